use std::sync::Mutex;
use std::task::Poll;

use crate::engine::history::{History, HistoryError, HistoryPage, LostEvents, Read, ReadFrom, ReadFuture, StoredEvent};
use crate::model::Topic;

/// Events in order, and those that are not retained any more.
#[derive(Debug, Clone, Default)]
pub(in crate::engine) struct Stored {
    pub(super) events: Vec<StoredEvent>,
    pub(super) trimmed: Vec<StoredEvent>,
}

pub(super) struct MemoryHistory {
    pub(super) stored: Mutex<Stored>,
    /// Largest number of events of a page.
    pub(super) page: usize,
    /// Number of polls for which a read is pending.
    pub(super) slow: Mutex<u32>,
    /// Whether reads fail, or failed before.
    pub(super) fails: Mutex<(bool, bool)>,
}

impl History for MemoryHistory {
    fn read(&self, read: Read) -> ReadFuture {
        let mut page = self.stored.lock().unwrap().page(&read, self.page);
        let mut slow = *self.slow.lock().unwrap();
        if self.fails.lock().unwrap().0 {
            return Box::pin(std::future::ready(Err(HistoryError::new())));
        }
        Box::pin(std::future::poll_fn(move |cx| {
            if slow > 0 {
                slow -= 1;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(Ok(std::mem::take(&mut page)))
        }))
    }
}

impl Stored {
    /// Removes the first events of a topic.
    pub(super) fn trim(&mut self, topic: &str, events: usize) {
        for _ in 0..events {
            let Some(at) = self.events.iter().position(|event| event.topic.as_str() == topic) else { return };
            let removed = self.events.remove(at);
            self.trimmed.push(removed);
        }
    }

    pub(super) fn page(&self, read: &Read, limit: usize) -> HistoryPage {
        let Read { ranges, after, up_to, since } = read;
        let range_of = |topic: &Topic| ranges.iter().find(|range| range.name.matches(topic));
        let in_read = |event: &&StoredEvent| event.sequence <= *up_to && range_of(&event.topic).is_some();
        let all: Vec<_> = self.events.iter().filter(in_read).collect();
        let is_read = |at: usize| match range_of(&all[at].topic).unwrap().from {
            ReadFrom::Position => true,
            ReadFrom::Last(_) if all[at].sequence > *since => true,
            ReadFrom::Last(n) => {
                let later = all[at..].iter().filter(|event| event.topic == all[at].topic && event.sequence <= *since);
                later.count() <= n
            }
        };
        let is_after = |at: usize| all[at].sequence > *after.max(&range_of(&all[at].topic).unwrap().after);
        let read = (0..all.len()).filter(|&at| is_after(at) && is_read(at));
        let mut events: Vec<_> = read.map(|at| all[at].clone()).collect();
        let is_whole = events.len() <= limit;
        events.truncate(limit);
        let end = if is_whole { *up_to } else { events.last().unwrap().sequence };
        let is_lost =
            |event: &&StoredEvent| range_of(&event.topic).is_some() && (*after + 1..=end).contains(&event.sequence);
        let lost = self.trimmed.iter().filter(is_lost).map(|event| event.sequence).max();
        let lost = lost.map(LostEvents::up_to);
        HistoryPage { lost, ..HistoryPage::new(events, end).with_trims(self.trimmed.len() as u64) }
    }
}
