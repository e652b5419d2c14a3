use std::time::Duration;

use crate::disk::store::damage::is_damage;
use crate::disk::store::error::DiskError;
use crate::disk::store::keys;
use crate::disk::store::options::Durability;
use crate::disk::store::read::meta;
use crate::disk::store::store::{Store, Writer};
use crate::disk::store::topics::{TopicMeta, id_of, last_record};
use crate::disk::store::trim_round::{TrimRound, Trimmed};
use crate::model::{Retention, Topic};

impl Store {
    /// Removes the events and ends of a topic up to a sequence, also those that its retention keeps. The topic is as new after
    /// the last of them: readers behind it have a loss up to it, and an end that was removed is not remembered. Records
    /// after the sequence stay. The call does nothing if the store does not have the topic.
    ///
    /// In a topic with a state the newest event of each key is kept, as by [`Store::trim`].
    ///
    /// All changes are one batch with [`Durability::Written`]: after a power loss the topic may be as before the call. After
    /// an error readers find the topic as before, and the next call that writes opens the database again if that is
    /// needed.
    ///
    /// # Errors
    ///
    /// - [`DiskError::Damaged`]: the row of the topic cannot be read. Rows of events that cannot be read are removed.
    /// - [`DiskError::Full`], [`DiskError::ReadOnly`], [`DiskError::Io`]: the disk refused.
    /// - [`DiskError::Closed`]: the store was closed.
    pub(crate) fn drop_topic(&self, topic: &Topic, up_to: u64) -> Result<(), DiskError> {
        let mut writer = self.ready_writer()?;
        let dropped = self.drop_from_rows(&mut writer, topic, up_to);
        if dropped.as_ref().is_err_and(|error| !is_damage(error)) {
            // The journal may contain a part of the batch, or all of it.
            writer.has_failed = true;
            writer.topics.clear();
        }
        dropped
    }

    fn drop_from_rows(&self, writer: &mut Writer, topic: &Topic, up_to: u64) -> Result<(), DiskError> {
        let head = self.with_rows(|rows| {
            let view = rows.view();
            let Some(id) = id_of(&view, topic)? else { return Ok(writer.head) };
            let mut meta = meta(&view, id)?;
            let (before, mut left) = (meta.clone(), usize::MAX);
            let mut round = TrimRound {
                view: &view,
                batch: rows.batch(),
                head: writer.head,
                options: &self.options,
                now: 0,
                left: &mut left,
                has_damage: false,
            };
            round.drop_records(id, &mut meta, up_to)?;
            if meta != before {
                round.batch.put(keys::topic(id), meta.encode(id));
            }
            if round.head.topics > self.options.max_topics {
                round.forget_if_empty(id, &meta)?;
            }
            let TrimRound { mut batch, mut head, .. } = round;
            if !batch.is_empty() {
                head.trims += 1;
                batch.put(keys::HEAD, head.encode());
                rows.commit(batch, Durability::Written)?;
            }
            Ok(head)
        })?;
        writer.head = head;
        // The next write reads it from the rows: after damage the numbers in the cache are not those of the rows.
        writer.topics.remove(topic);
        Ok(())
    }
}

impl TrimRound<'_> {
    /// Removes the records of a topic up to a sequence, and the end that is remembered if it is among them.
    fn drop_records(&mut self, id: u32, meta: &mut TopicMeta, up_to: u64) -> Result<(), DiskError> {
        let state = (self.options.retention)(&meta.topic).state;
        // No record exceeds this retention.
        let retention = Retention { state, ..Retention::count(usize::MAX).bytes(usize::MAX).age(Duration::MAX) };
        let newest = last_record(self.view, id)?.unwrap_or_default();
        let mut topic = Trimmed { id, meta, retention, newest, up_to, ends: Vec::new() };
        self.trim_records(&mut topic)?;
        // Ends that no removed event follows.
        if let Some(last) = topic.ends.last().and_then(|(key, _)| keys::sequence_of(key)) {
            self.trim_ends(&mut topic);
            topic.meta.trimmed = last;
            self.head.trimmed = self.head.trimmed.max(last);
        }
        meta.dropped = meta.dropped.max(meta.trimmed.min(up_to));
        if meta.end > 0 && meta.end <= meta.dropped {
            let key = keys::end(meta.end);
            if self.view.get(key)?.is_some() {
                self.head.ends = self.head.ends.saturating_sub(1);
                self.batch.remove(key);
            }
            meta.end = 0;
        }
        Ok(())
    }
}
