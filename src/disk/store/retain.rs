use std::collections::BTreeMap;
use std::time::Duration;

use crate::disk::store::damage::is_damage;
use crate::disk::store::error::DiskError;
use crate::disk::store::keys;
use crate::disk::store::options::Durability;
use crate::disk::store::read::meta;
use crate::disk::store::states::decode_end;
use crate::disk::store::store::{Store, Writer};
use crate::disk::store::topics::TopicMeta;
use crate::disk::store::trim_round::{TrimRound, milliseconds};
use crate::disk::store::write::row_bytes;

/// Maximum number of ends that are remembered, as in the hub in memory.
const MOST_ENDS: u64 = 65_536;
/// Longest time for which an end is remembered.
const LONGEST_END: Duration = Duration::from_secs(24 * 3_600);
/// Topics that are trimmed in one batch, and ends that are looked at.
const TOPICS: usize = 256;

impl Store {
    /// Removes what exceeds the retentions of the topics and the byte budget, in about `work` steps of one row each.
    /// Returns whether there is more to do: the caller then calls it again. A round looks at all topics once.
    ///
    /// The newest event of each key of a topic with a state and ends that are remembered are kept.
    pub(crate) fn trim(&self, now: u64, work: usize) -> Result<bool, DiskError> {
        let mut writer = self.ready_writer()?;
        let writer = &mut *writer;
        let mut left = work.max(1);
        if self.trim_writer(writer, now, &mut left)? {
            return Ok(true);
        }
        let from = writer.trimmed_up_to.map_or(0, |id| id.saturating_add(1));
        let ids = self.with_view(|view| {
            let rows = view.range(keys::topic(from)..=keys::topic(u32::MAX)).take(left);
            rows.map(|row| Ok(keys::topic_of(&row?.0).unwrap_or(u32::MAX))).collect::<Result<Vec<_>, DiskError>>()
        })?;
        let is_last = ids.len() < left;
        left = left.saturating_sub(ids.len()).max(1);
        for some in ids.chunks(TOPICS) {
            let unfinished = self.trim_topics(writer, some, None, now, &mut left)?;
            writer.trimmed_up_to = some.last().copied();
            writer.untrimmed.extend(unfinished);
        }
        self.forget_ends(writer, now)?;
        let has_more = self.trim_order(writer, &mut left)?;
        if is_last {
            writer.trimmed_up_to = None;
            self.with_rows(|rows| rows.merge_tables(writer.head.bytes))?;
        }
        Ok(!is_last || has_more || !writer.untrimmed.is_empty())
    }

    /// Removes what exceeds the retentions of the topics that were written since the last call, and the byte budget.
    /// Returns whether there is more to do.
    pub(crate) fn trim_written(&self, now: u64, work: usize) -> Result<bool, DiskError> {
        let mut writer = self.ready_writer()?;
        let mut left = work.max(1);
        Ok(self.trim_writer(&mut writer, now, &mut left)? || self.trim_order(&mut writer, &mut left)?)
    }

    fn trim_writer(&self, writer: &mut Writer, now: u64, left: &mut usize) -> Result<bool, DiskError> {
        while !writer.untrimmed.is_empty() {
            let ids = writer.untrimmed.iter().copied().take(TOPICS).collect::<Vec<_>>();
            for id in &ids {
                writer.untrimmed.remove(id);
            }
            let unfinished = self.trim_topics(writer, &ids, None, now, left)?;
            writer.untrimmed.extend(unfinished);
            if *left == 0 {
                return Ok(true);
            }
        }
        let mut looked = writer.head.floor;
        while writer.head.bytes > self.options.max_bytes {
            let (oldest, last) = self.oldest(writer.head.sequence, looked, *left)?;
            let ids = oldest.keys().copied().collect::<Vec<_>>();
            self.trim_topics(writer, &ids, Some(&oldest), now, left)?;
            self.raise_floor(writer)?;
            if *left == 0 {
                return Ok(true);
            }
            let Some(last) = last else { break };
            looked = last.max(writer.head.floor);
        }
        Ok(false)
    }

    /// Trims topics in one batch, up to a sequence each if there is one. Returns those with more to do.
    fn trim_topics(
        &self,
        writer: &mut Writer,
        ids: &[u32],
        up_to: Option<&BTreeMap<u32, u64>>,
        now: u64,
        left: &mut usize,
    ) -> Result<Vec<u32>, DiskError> {
        let (head, metas, unfinished, has_damage) = self.with_rows(|rows| {
            let view = rows.view();
            let mut round = TrimRound {
                view: &view,
                batch: rows.batch(),
                head: writer.head,
                options: &self.options,
                now,
                left,
                has_damage: false,
            };
            let mut unfinished = Vec::new();
            let mut metas = Vec::new();
            for &id in ids {
                // A topic may have been forgotten since. One without a readable row does not keep the others.
                let mut meta = match TopicMeta::load(&view, id) {
                    Ok(Some(meta)) => meta,
                    Err(error) if !is_damage(&error) => return Err(error),
                    _ => continue,
                };
                let before = meta.clone();
                let up_to = up_to.and_then(|up_to| up_to.get(&id)).copied().unwrap_or(0);
                if !round.trim_topic(id, &mut meta, up_to)? {
                    unfinished.push(id);
                }
                if meta != before {
                    round.batch.put(keys::topic(id), meta.encode(id));
                    metas.push(meta.clone());
                }
                if round.head.topics > self.options.max_topics {
                    round.forget_if_empty(id, &meta)?;
                }
            }
            let TrimRound { mut batch, mut head, has_damage, .. } = round;
            if !batch.is_empty() {
                head.trims += 1;
                batch.put(keys::HEAD, head.encode());
                rows.commit(batch, Durability::Written)?;
            }
            Ok((head, metas, unfinished, has_damage))
        })?;
        if head.topics < writer.head.topics || has_damage {
            writer.topics.clear();
        }
        writer.head = head;
        for meta in metas {
            if let Some(known) = writer.topics.get_mut(&meta.topic) {
                known.meta = meta;
            }
        }
        Ok(unfinished)
    }

    /// Forgets ends that are too many or too old, the oldest first, at most 256.
    fn forget_ends(&self, writer: &mut Writer, now: u64) -> Result<(), DiskError> {
        let head = self.with_rows(|rows| {
            let (view, mut batch, mut head) = (rows.view(), rows.batch(), writer.head);
            for row in view.prefix(b"x").take(TOPICS) {
                let (key, value) = row?;
                let sequence = keys::sequence_of(&key).unwrap_or(0);
                let end = decode_end(&key, &value).and_then(|(id, at, _)| Ok((id, at, meta(&view, id)?)));
                let (id, at, meta) = match end {
                    Err(error) if is_damage(&error) => {
                        head.ends = head.ends.saturating_sub(1);
                        batch.remove(&key);
                        continue;
                    }
                    end => end?,
                };
                let age = (self.options.retention)(&meta.topic).age.min(LONGEST_END);
                if head.ends <= MOST_ENDS && now < at.saturating_add(milliseconds(age)) {
                    continue;
                }
                head.ends = head.ends.saturating_sub(1);
                batch.remove(&key);
                if let Some(value) = view.get(keys::event(id, sequence))? {
                    head.bytes = head.bytes.saturating_sub(row_bytes(value.len()));
                    head.retained = head.retained.saturating_sub(1);
                    batch.remove(keys::event(id, sequence));
                }
                batch.put(keys::topic(id), TopicMeta { end: 0, ..meta }.encode(id));
            }
            if !batch.is_empty() {
                batch.put(keys::HEAD, head.encode());
                rows.commit(batch, Durability::Written)?;
            }
            Ok(head)
        })?;
        if head.ends < writer.head.ends {
            writer.topics.clear();
        }
        writer.head = head;
        Ok(())
    }
}
