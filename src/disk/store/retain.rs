use std::collections::BTreeMap;
use std::time::Duration;

use crate::disk::store::codec::{Body, Row};
use crate::disk::store::error::DiskError;
use crate::disk::store::keys;
use crate::disk::store::meta::Head;
use crate::disk::store::options::{Durability, StoreOptions};
use crate::disk::store::read::{meta, order_row};
use crate::disk::store::rows::{Batch, View};
use crate::disk::store::states::decode_end;
use crate::disk::store::store::{Store, Writer};
use crate::disk::store::topics::{TopicMeta, last_row};
use crate::disk::store::write::{encode_newest, newest, row_bytes};
use crate::model::{Retention, StateLimits};

/// Maximum number of ends that are remembered, as in the hub in memory.
const MOST_ENDS: u64 = 65_536;
/// Longest time for which an end is remembered.
const LONGEST_END: Duration = Duration::from_secs(24 * 3_600);
/// Topics that are trimmed in one batch, and ends that are looked at.
const TOPICS: usize = 256;
/// Events of all topics that are removed at once for the byte budget.
const OLDEST: usize = 64;

impl Store {
    /// Removes what exceeds the retentions of the topics and the byte budget, in about `work` steps of one row each.
    /// Returns whether there is more to do: the caller then calls it again. A round looks at all topics once.
    ///
    /// The newest event of each key of a topic with a state and ends that are remembered are kept.
    pub(crate) fn trim(&self, now: u64, work: usize) -> Result<bool, DiskError> {
        let mut writer = self.ready_writer()?;
        let writer = &mut *writer;
        let mut left = work.max(1);
        while !writer.untrimmed.is_empty() {
            let ids = writer.untrimmed.iter().copied().take(TOPICS).collect::<Vec<_>>();
            for id in &ids {
                writer.untrimmed.remove(id);
            }
            let unfinished = self.trim_topics(writer, &ids, None, now, &mut left)?;
            writer.untrimmed.extend(unfinished);
            if left == 0 {
                return Ok(true);
            }
        }
        while writer.head.bytes > self.options.max_bytes {
            let oldest = self.oldest(writer.head.floor, left)?;
            if oldest.is_empty() {
                break;
            }
            let ids = oldest.keys().copied().collect::<Vec<_>>();
            self.trim_topics(writer, &ids, Some(&oldest), now, &mut left)?;
            let floor = writer.head.floor;
            self.raise_floor(writer)?;
            if left == 0 {
                return Ok(true);
            }
            if writer.head.floor == floor {
                break;
            }
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
        self.raise_floor(writer)?;
        if is_last {
            writer.trimmed_up_to = None;
        }
        Ok(!is_last || !writer.untrimmed.is_empty())
    }

    /// Returns the topics of the oldest rows of the order, each with the highest of their sequences.
    fn oldest(&self, floor: u64, left: usize) -> Result<BTreeMap<u32, u64>, DiskError> {
        self.with_view(|view| {
            let mut oldest = BTreeMap::new();
            for row in view.range(keys::order(floor + 1)..=keys::order(u64::MAX)).take(OLDEST.min(left)) {
                let (key, id) = row?;
                let (sequence, id) = order_row(&key, &id)?;
                oldest.insert(id, sequence);
            }
            Ok(oldest)
        })
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
        let (head, metas, unfinished) = self.with_rows(|rows| {
            let view = rows.view();
            let mut round =
                TrimRound { view: &view, batch: rows.batch(), head: writer.head, options: &self.options, now, left };
            let mut unfinished = Vec::new();
            let mut metas = Vec::new();
            for &id in ids {
                // A topic may have been forgotten since.
                let Some(mut meta) = TopicMeta::load(&view, id)? else { continue };
                let before = meta.clone();
                let up_to = up_to.and_then(|up_to| up_to.get(&id)).copied();
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
            let TrimRound { mut batch, mut head, .. } = round;
            if !batch.is_empty() {
                head.trims += 1;
                batch.put(keys::HEAD, head.encode());
                rows.commit(batch, Durability::Written)?;
            }
            Ok((head, metas, unfinished))
        })?;
        if head.topics < writer.head.topics {
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

    /// Moves the floor to the row before the oldest one, and removes epochs of which nothing is left.
    fn raise_floor(&self, writer: &mut Writer) -> Result<(), DiskError> {
        let head = &mut writer.head;
        let first = self.with_view(|view| {
            let first = view.range(keys::order(head.floor + 1)..=keys::order(u64::MAX)).next();
            Ok(first.transpose()?.and_then(|(key, _)| keys::sequence_of(&key)))
        })?;
        let oldest = first.unwrap_or(head.sequence + 1);
        // The head is written with the next batch. A lower floor costs time only.
        head.floor = oldest - 1;
        if writer.epochs.prune(oldest, head.trimmed) {
            self.with_rows(|rows| {
                let mut batch = rows.batch();
                batch.put(keys::EPOCHS, writer.epochs.encode());
                rows.commit(batch, Durability::Written)
            })?;
        }
        Ok(())
    }

    /// Forgets ends that are too many or too old, the oldest first, at most 256.
    fn forget_ends(&self, writer: &mut Writer, now: u64) -> Result<(), DiskError> {
        let head = self.with_rows(|rows| {
            let (view, mut batch, mut head) = (rows.view(), rows.batch(), writer.head);
            for row in view.prefix(b"x").take(TOPICS) {
                let (key, value) = row?;
                let (id, at, _) = decode_end(&key, &value)?;
                let meta = meta(&view, id)?;
                let age = (self.options.retention)(&meta.topic).age.min(LONGEST_END);
                if head.ends <= MOST_ENDS && now < at.saturating_add(milliseconds(age)) {
                    continue;
                }
                let sequence = keys::sequence_of(&key).unwrap_or(0);
                head.ends = head.ends.saturating_sub(1);
                batch.remove(&key);
                batch.put(keys::topic(id), TopicMeta { end: 0, ..meta }.encode(id));
                if let Some(value) = view.get(keys::event(id, sequence))? {
                    if view.get(keys::order(sequence))?.is_some() {
                        head.bytes = head.bytes.saturating_sub(row_bytes(value.len()));
                    }
                    batch.remove(keys::event(id, sequence));
                    batch.remove(keys::order(sequence));
                }
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

/// One batch of trimming.
struct TrimRound<'a> {
    view: &'a View,
    batch: Batch,
    head: Head,
    options: &'a StoreOptions,
    now: u64,
    left: &'a mut usize,
}

impl TrimRound<'_> {
    /// Removes the oldest events of a topic. Returns whether nothing is left to remove.
    fn trim_topic(&mut self, id: u32, meta: &mut TopicMeta, up_to: Option<u64>) -> Result<bool, DiskError> {
        let retention = (self.options.retention)(&meta.topic);
        let Some((last, newest_row)) = last_row(self.view, id)? else { return Ok(true) };
        let mut is_done = true;
        if last > meta.trimmed {
            for row in self.view.range(keys::event(id, meta.trimmed + 1)..=keys::event(id, last)) {
                let (key, value) = row?;
                let sequence = keys::sequence_of(&key).unwrap_or(0);
                let row = Row::decode(&key, &value)?;
                let is_over =
                    up_to.is_some_and(|up_to| sequence <= up_to) || is_over(&row, &newest_row, retention, self.now);
                if !is_over {
                    break;
                }
                if *self.left == 0 {
                    is_done = false;
                    break;
                }
                *self.left -= 1;
                let Body::Event(event) = &row.body else {
                    // The end is remembered for its own time. It may have lost its row of the order before.
                    if self.view.get(keys::order(sequence))?.is_some() {
                        self.remove_order(sequence, value.len());
                    }
                    continue;
                };
                self.remove_order(sequence, value.len());
                let key = event.key().filter(|_| retention.state.is_some()).map(|key| keys::newest(id, key));
                let newest = key.map(|key| newest(self.view, &key)).transpose()?.flatten();
                match newest {
                    Some((newest, _)) if newest == sequence => {
                        self.batch.put(keys::kept(sequence), id.to_be_bytes().to_vec());
                    }
                    _ => self.batch.remove_once(keys::event(id, sequence)),
                }
                (meta.trimmed, meta.number) = (sequence, row.number);
                self.head.trimmed = self.head.trimmed.max(sequence);
            }
        }
        if let Some(limits) = retention.state {
            is_done &= self.forget_removals(id, meta.trimmed, limits)?;
        }
        Ok(is_done)
    }

    fn remove_order(&mut self, sequence: u64, value: usize) {
        self.head.bytes = self.head.bytes.saturating_sub(row_bytes(value));
        self.batch.remove_once(keys::order(sequence));
    }

    /// Forgets removals that have left history and are too many or too old, as `KeyedState` of the hub in memory does.
    /// Returns whether nothing is left to forget.
    fn forget_removals(&mut self, id: u32, trimmed: u64, limits: StateLimits) -> Result<bool, DiskError> {
        let rows = self.view.range(keys::removal(id, 0)..=keys::removal(id, u64::MAX));
        let removals = rows.map(|row| Ok(keys::sequence_of(&row?.0).unwrap_or(0)));
        let removals = removals.collect::<Result<Vec<_>, DiskError>>()?;
        let (mut forgotten, mut is_done) = (0, true);
        for (place, &sequence) in removals.iter().enumerate().take_while(|&(_, &sequence)| sequence <= trimmed) {
            let place_of_event = keys::event(id, sequence);
            let Some(value) = self.view.get(place_of_event)? else { continue };
            let row = Row::decode(&place_of_event, &value)?;
            let is_new = self.now < row.at.saturating_add(milliseconds(limits.removal_age));
            if removals.len() - place <= limits.removals && is_new {
                break;
            }
            if *self.left == 0 {
                is_done = false;
                break;
            }
            *self.left -= 1;
            if let Body::Event(event) = row.body {
                self.batch.remove(keys::newest(id, event.key().unwrap_or_default()));
            }
            self.batch.remove(keys::removal(id, sequence));
            self.batch.remove(place_of_event);
            self.batch.remove(keys::kept(sequence));
            forgotten = sequence;
        }
        if forgotten > 0 {
            let key = keys::newest(id, "");
            self.batch.put(&key, encode_newest(&key, (forgotten, true)));
            self.head.forgotten_removal = self.head.forgotten_removal.max(forgotten);
        }
        Ok(is_done)
    }

    /// Forgets a topic without events, state and end. Its trimmed events count for all topics that the store does not
    /// have.
    fn forget_if_empty(&mut self, id: u32, meta: &TopicMeta) -> Result<(), DiskError> {
        let has_state = self.view.prefix(&keys::newest(id, "")).next().is_some();
        if meta.end > 0 || has_state || last_row(self.view, id)?.is_some() {
            return Ok(());
        }
        self.batch.remove(keys::topic_name(meta.topic.as_str()));
        self.batch.remove(keys::topic(id));
        self.head.topics -= 1;
        self.head.forgotten = self.head.forgotten.max(meta.trimmed);
        Ok(())
    }
}

/// Returns whether the oldest event of a topic exceeds the retention.
fn is_over(row: &Row, newest: &Row, retention: Retention, now: u64) -> bool {
    let before = row.weight - row.body.weight();
    let ttl = match &row.body {
        Body::Event(event) => event.time_to_live(),
        Body::End(_) => None,
    };
    let count = newest.number.saturating_sub(row.number) + u64::from(matches!(row.body, Body::Event(_)));
    count > retention.count as u64
        || newest.weight.saturating_sub(before) > retention.bytes as u64
        || now >= row.at.saturating_add(milliseconds(retention.age))
        || ttl.is_some_and(|ttl| now >= row.at.saturating_add(milliseconds(ttl)))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
