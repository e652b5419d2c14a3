use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::disk::store::{DiskError, Record, Store, TopicRow};
use crate::model::{Cursor, EndReason, Pattern, Topic};
use crate::time::milliseconds_since_1970;

/// Number of topics that are listed at once.
const TOPICS: usize = 1_024;

/// Topics of runs.
#[derive(Debug, Default)]
pub(super) struct RunTopics {
    patterns: Vec<Pattern>,
    ended: Mutex<Vec<EndedRun>>,
}

/// Run that ended before the hub was opened, or by that.
#[derive(Debug)]
pub(crate) struct EndedRun {
    pub(crate) topic: Topic,
    /// Position before the first event.
    pub(crate) start: Cursor,
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    /// Sequence of the end.
    pub(crate) sequence: u64,
    /// Time of the end, in milliseconds since 1970.
    pub(crate) at: u64,
    pub(crate) reason: EndReason,
}

impl RunTopics {
    /// Finds the runs in a store, and ends those that have not ended as failed. `cursor` returns the cursor of a sequence.
    pub(super) fn open(
        store: &Store,
        patterns: Vec<Pattern>,
        cursor: impl Fn(u64) -> Cursor,
    ) -> Result<Self, DiskError> {
        let mut runs = Self { patterns, ended: Mutex::default() };
        if runs.patterns.is_empty() {
            return Ok(runs);
        }
        let ends: HashMap<_, _> = store.ends()?.into_iter().filter_map(end_of).collect();
        let (mut ended, mut last, now) = (Vec::new(), None, milliseconds_since_1970());
        loop {
            let rows = store.stored_topics(last, TOPICS)?;
            let Some((end, _)) = rows.last() else { break };
            last = Some(*end);
            let mut interrupted = Vec::new();
            for (_, row) in rows.into_iter().filter(|(_, row)| runs.contains(&row.topic)) {
                let TopicRow { topic, dropped, events, bytes, .. } = row;
                let (sequence, at, reason) = match ends.get(&topic) {
                    Some(end) => *end,
                    // A topic without events is as new.
                    None if events == 0 => continue,
                    None => {
                        interrupted.push(topic.clone());
                        (store.head() + interrupted.len() as u64, now, EndReason::Failed)
                    }
                };
                ended.push(EndedRun { topic, start: cursor(dropped), events, bytes, sequence, at, reason });
            }
            let records = (store.head() + 1..).zip(interrupted).map(|(sequence, topic)| Record::End {
                sequence,
                topic,
                at: now,
                reason: EndReason::Failed,
            });
            store.write(&records.collect::<Vec<_>>())?;
        }
        ended.sort_by_key(|run| run.sequence);
        runs.ended = Mutex::new(ended);
        Ok(runs)
    }

    pub(super) fn contains(&self, topic: &Topic) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(topic))
    }

    /// Returns the runs that ended before the hub was opened, the one that ended first before the others. Later calls return
    /// none.
    pub(super) fn take_ended(&self) -> Vec<EndedRun> {
        std::mem::take(&mut *self.ended.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn end_of(record: Record) -> Option<(Topic, (u64, u64, EndReason))> {
    match record {
        Record::End { sequence, topic, at, reason } => Some((topic, (sequence, at, reason))),
        Record::Event { .. } => None,
    }
}
