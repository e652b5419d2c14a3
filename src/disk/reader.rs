use std::sync::Arc;
use std::time::Duration;

use crate::disk::commands::{CommandQueue, Commands};
use crate::disk::reply::{Replier, reply};
use crate::disk::store::{DiskError, Limit, Record, Store};
use crate::engine::history::{History, HistoryError, HistoryPage, LostEvents, Read, ReadFrom, ReadFuture, StoredEvent};
use crate::model::{Pattern, Topic};

/// Limit of a page.
const PAGE: Limit = Limit { events: 1_024, bytes: 256 * 1024 };
/// Number of topics that are listed at once.
const TOPICS: usize = 1_024;
/// Time for which an idle reader waits. It ends with the last sender.
const IDLE: Duration = Duration::from_secs(60);

/// Command to the reader.
pub(super) struct ReadPage {
    read: Read,
    reply: Replier<Result<HistoryPage, HistoryError>>,
}

/// History in the store. Its reads are commands to the reader.
pub(super) struct DiskHistory(pub(super) Commands<ReadPage>);

/// The thread that reads from the store.
pub(super) struct DiskReader {
    pub(super) store: Arc<Store>,
    pub(super) queue: CommandQueue<ReadPage>,
}

impl History for DiskHistory {
    fn read(&self, read: Read) -> ReadFuture {
        let (replier, page) = reply();
        let sent = self.0.send(ReadPage { read, reply: replier });
        Box::pin(async move {
            sent.map_err(|_| HistoryError)?;
            page.await.unwrap_or(Err(HistoryError))
        })
    }
}

impl DiskReader {
    /// Carries out commands until none follows.
    pub(super) fn run(self) {
        while let Ok(command) = self.queue.wait(IDLE) {
            if let Some(ReadPage { read, reply }) = command {
                reply.send(self.page(&read).map_err(|_| HistoryError));
            }
        }
    }

    fn page(&self, read: &Read) -> Result<HistoryPage, DiskError> {
        let Read { ranges, after, up_to, .. } = read;
        let is_read = |topic: &Topic| ranges.iter().any(|range| range.name.matches(topic));
        if ranges.iter().any(|range| matches!(range.from, ReadFrom::Last(_))) {
            return self.last(read);
        }
        let only = match &**ranges {
            [range] => range.name.as_topic(),
            _ => None,
        };
        let (page, trimmed) = match only {
            Some(topic) => {
                let page = self.store.read(topic, *after, *up_to, PAGE)?;
                let trimmed = page.trimmed;
                (page, trimmed)
            }
            None => {
                let page = self.store.read_all(*after, *up_to, PAGE, is_read)?;
                (page, self.store.trimmed(*after, is_read)?)
            }
        };
        // Some of the topic's events up to the page's end are lost, or of a later time: those are not distinguished.
        let lost = (trimmed > *after).then(|| LostEvents { last: trimmed.min(page.up_to), topic: only.cloned() });
        let up_to = if page.has_more { page.up_to } else { *up_to };
        let events = page.records.into_iter().filter_map(event).collect();
        Ok(HistoryPage { lost, ..HistoryPage::new(events, up_to).with_trims(page.trims) })
    }

    /// Reads the last events of topics. They are one page: a subscription asks for few.
    fn last(&self, read: &Read) -> Result<HistoryPage, DiskError> {
        let mut events = Vec::new();
        for range in &*read.ranges {
            let count = match range.from {
                ReadFrom::Last(count) => count,
                ReadFrom::Position => usize::MAX,
            };
            for topic in self.topics(&range.name)? {
                events.extend(self.store.last(&topic, read.up_to, count)?.into_iter().filter_map(event));
            }
        }
        events.retain(|event| event.sequence > read.after);
        events.sort_unstable_by_key(|event| event.sequence);
        Ok(HistoryPage::new(events, read.up_to))
    }

    /// Returns the topics that a pattern matches.
    fn topics(&self, name: &Pattern) -> Result<Vec<Topic>, DiskError> {
        if let Some(topic) = name.as_topic() {
            return Ok(vec![topic.clone()]);
        }
        let (mut found, mut last) = (Vec::new(), None);
        loop {
            let rows = self.store.topics(last.as_ref(), TOPICS)?;
            let Some(end) = rows.last() else { return Ok(found) };
            last = Some(end.topic.clone());
            found.extend(rows.into_iter().map(|row| row.topic).filter(|topic| name.matches(topic)));
        }
    }
}

/// Returns the event of a record; `None` for an end, and for an event that has expired.
fn event(record: Record) -> Option<StoredEvent> {
    let Record::Event { sequence, topic, at, event } = record else { return None };
    let now = crate::time::milliseconds_since_1970();
    let has_expired = event.time_to_live().is_some_and(|ttl| u128::from(now.saturating_sub(at)) >= ttl.as_millis());
    (!has_expired).then_some(StoredEvent { sequence, topic, event })
}
