use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::disk::commands::{CommandQueue, Commands, NotQueued, Weighted};
use crate::disk::reply::{Replier, reply};
use crate::disk::store::{DiskError, Limit, LogPage, Record, Store};
use crate::engine::history::{
    History, HistoryError, HistoryPage, LostEvents, Read, ReadFrom, ReadFuture, ReadRange, StoredEvent,
};
use crate::model::{Event, Topic};
use crate::time::milliseconds_since_1970;

/// Limit of a page.
const PAGE: Limit = Limit { events: 1_024, bytes: 256 * 1024 };
/// Time for which an idle reader waits. It ends with the last sender.
const IDLE: Duration = Duration::from_secs(60);

/// Command to the reader.
pub(super) enum ReadCommand {
    Page {
        read: Read,
        reply: Replier<Result<HistoryPage, HistoryError>>,
    },
    /// The reader carries out the commands before this one, and ends.
    Close,
}

impl Weighted for ReadCommand {
    fn weight(&self) -> usize {
        0
    }
}

/// History in the store. Its reads are commands to the reader.
pub(super) struct DiskHistory(pub(super) Commands<ReadCommand>);

/// The thread that reads from the store.
pub(super) struct DiskReader {
    pub(super) store: Arc<Store>,
    pub(super) queue: CommandQueue<ReadCommand>,
}

impl History for DiskHistory {
    fn read(&self, read: Read) -> ReadFuture {
        let (replier, page) = reply();
        let sent = self.0.send(ReadCommand::Page { read, reply: replier });
        Box::pin(async move {
            match sent {
                Ok(()) => page.await.unwrap_or(Err(HistoryError::closed())),
                Err(NotQueued::Full) => Err(HistoryError::new()),
                Err(NotQueued::Closed) => Err(HistoryError::closed()),
            }
        })
    }
}

impl DiskReader {
    /// Carries out commands until one of them is to close, or none follows.
    pub(super) fn run(self) {
        while let Ok(command) = self.queue.wait(IDLE) {
            match command {
                Some(ReadCommand::Page { read, reply }) => {
                    reply.send(self.page(&read).map_err(|error| match error {
                        DiskError::Closed => HistoryError::closed(),
                        _ => HistoryError::new(),
                    }));
                }
                Some(ReadCommand::Close) => return,
                None => {}
            }
        }
    }

    fn page(&self, read: &Read) -> Result<HistoryPage, DiskError> {
        let Read { ranges, after, up_to, .. } = read;
        let page = Page { store: &self.store, read };
        let is_plain = |topic: &Topic| page.range_of(topic).is_some() && !self.store.has_state(topic);
        // Up to the lowest of these positions no event of a topic without a state is missing.
        let others = ranges.iter().map(|range| range.after).min().unwrap_or(0).max(*after);
        let (mut records, trimmed, mut end, trims) = match page.only() {
            Some(topic) => {
                let state = self.store.has_state(topic);
                let from = if state { *after } else { page.first_of(topic)?.max(*after) };
                let LogPage { records, trimmed, up_to: end, trims, .. } = self.store.read(topic, from, *up_to, PAGE)?;
                (records, if state { 0 } else { trimmed }, end, trims)
            }
            None => {
                let is_read = |topic: &Topic| page.range_of(topic).is_some();
                let LogPage { records, up_to: end, trims, .. } = self.store.read_all(*after, *up_to, PAGE, is_read)?;
                (records, self.store.trimmed(others, page.topics().as_deref(), is_plain)?, end, trims)
            }
        };
        let mut lost_state = None;
        if ranges.iter().any(|range| range.state.is_some()) {
            end = page.add_kept(&mut records, end)?;
            lost_state = page.lost_state()?;
        }
        let mut events = Vec::with_capacity(records.len());
        let mut firsts = HashMap::new();
        for record in records {
            if let Some(event) = page.event(record, &mut firsts)? {
                events.push(event);
            }
        }
        // Some of the topic's events up to the page's end are lost, or of a later time: those are not distinguished.
        let lost = (trimmed > others).then(|| LostEvents { last: trimmed.min(end), topic: page.only().cloned() });
        Ok(HistoryPage { lost, lost_state, ..HistoryPage::new(events, end).with_trims(trims) })
    }
}

/// Page that is being read.
struct Page<'a> {
    store: &'a Store,
    read: &'a Read,
}

impl Page<'_> {
    /// Returns the topic of the read if it is only one.
    fn only(&self) -> Option<&Topic> {
        match &*self.read.ranges {
            [range] => range.name.as_topic(),
            _ => None,
        }
    }

    /// Returns the topics of the read if it has no pattern with a wildcard.
    fn topics(&self) -> Option<Vec<&Topic>> {
        self.read.ranges.iter().map(|range| range.name.as_topic()).collect()
    }

    fn range_of(&self, topic: &Topic) -> Option<&ReadRange> {
        self.read.ranges.iter().find(|range| range.name.matches(topic))
    }

    /// Returns the sequence after which the events of a topic are read.
    fn first_of(&self, topic: &Topic) -> Result<u64, DiskError> {
        let Some(range) = self.range_of(topic) else { return Ok(u64::MAX) };
        match (range.state.filter(|_| self.store.has_state(topic)), range.from) {
            (Some(state), _) => Ok(state.after),
            (None, ReadFrom::Position) => Ok(range.after),
            (None, ReadFrom::Last(count)) => {
                let now = milliseconds_since_1970();
                Ok(self.store.before_last(topic, self.read.since, count, now)?.max(range.after))
            }
        }
    }

    /// Adds the events of states that have left history. They are looked for after history was read, so that an event which
    /// leaves it meanwhile is found. Returns the end of the page.
    fn add_kept(&self, records: &mut Vec<Record>, end: u64) -> Result<u64, DiskError> {
        let is_read = |topic: &Topic| self.range_of(topic).is_some();
        let kept = self.store.kept(self.only(), self.read.after, end, PAGE, is_read)?;
        records.retain(|record| record.sequence() <= kept.up_to);
        records.extend(kept.records);
        records.sort_by_key(Record::sequence);
        records.dedup_by_key(|record| record.sequence());
        Ok(kept.up_to)
    }

    /// Returns the newest removals that are forgotten, and that the client needs.
    fn lost_state(&self) -> Result<Option<LostEvents>, DiskError> {
        let Read { ranges, after, up_to, .. } = self.read;
        let needed = |range: &ReadRange| range.state.map(|state| state.needed(*after)).filter(|needed| needed < up_to);
        let Some(first) = ranges.iter().filter_map(needed).min() else { return Ok(None) };
        let is_read = |topic: &Topic| self.range_of(topic).is_some();
        let mut lost: Option<LostEvents> = None;
        for (topic, last) in self.store.forgotten(self.topics().as_deref(), first, is_read)? {
            let is_needed = |topic| self.range_of(topic).and_then(needed).is_some_and(|needed| last > needed);
            if !topic.as_ref().is_none_or(is_needed) {
                continue;
            }
            lost = Some(match lost {
                Some(other) => LostEvents { last: other.last.max(last), topic: None },
                None => LostEvents { last, topic },
            });
        }
        Ok(lost)
    }

    /// Returns the event of a record if it is to be read, and has not expired. `firsts` are the sequences after which topics are
    /// read.
    fn event(&self, record: Record, firsts: &mut HashMap<Topic, u64>) -> Result<Option<StoredEvent>, DiskError> {
        let Record::Event { sequence, topic, at, event } = record else { return Ok(None) };
        let first = match firsts.get(&topic) {
            Some(first) => *first,
            None => {
                let first = self.first_of(&topic)?;
                firsts.insert(topic.clone(), first);
                first
            }
        };
        let base = self.range_of(&topic).and_then(|range| range.state).map_or(0, |state| state.base);
        let is_read = sequence > first
            && !has_expired(&event, at)
            && (sequence > base
                || !self.store.has_state(&topic)
                || self.store.is_in_state(&topic, sequence, &event)?);
        Ok(is_read.then_some(StoredEvent { sequence, topic, event }))
    }
}

fn has_expired(event: &Event, at: u64) -> bool {
    let age = milliseconds_since_1970().saturating_sub(at);
    event.ttl().is_some_and(|ttl| u128::from(age) >= ttl.as_millis())
}
