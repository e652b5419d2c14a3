use std::cmp::Ordering;
use std::sync::Arc;

use crate::hub::log::log::Log;
use crate::hub::log::seek::{Found, StartAt};
use crate::hub::log::state_start::{Starts, StateStart};
use crate::hub::shared::Shared;
use crate::hub::subscription::reader::{Lost, Reader};
use crate::model::Overflow;

/// Topic with unread events.
#[derive(Debug)]
pub(crate) struct UnreadTopic {
    /// Sequence of its next event, or of an earlier one.
    pub(crate) head: u64,
    /// Sequence of the last event of the backfill.
    pub(crate) last: u64,
    /// Dense index after that event. The highest in a keyed topic, which is read up to a sequence.
    pub(crate) end: u64,
    pub(crate) reader: Reader,
    pub(crate) overflow: Overflow,
}

/// Loss before the next event of a topic.
pub(crate) enum Loss {
    OfEvents(Lost),
    /// Removals up to this sequence are forgotten. The whole state follows.
    OfState {
        forgotten: u64,
    },
}

impl Drop for UnreadTopic {
    fn drop(&mut self) {
        let mut state = self.reader.log.state();
        state.backfills -= 1;
        let released = state.release_live();
        drop(state);
        drop(released);
    }
}

impl UnreadTopic {
    /// Returns a keyed topic from a start on, if it has events of interest up to a boundary. Also returns the sequence of the
    /// newest forgotten removal if the client must forget its state.
    #[cold]
    pub(crate) fn with_state(
        log: Arc<Log>,
        start: StateStart,
        boundary: u64,
        overflow: Overflow,
        now: u64,
    ) -> (Option<Self>, Option<u64>) {
        if overflow == Overflow::Latest {
            log.conflate();
        }
        let mut state = log.present(now);
        let point = state.place_in(Starts { plain: StartAt::Live(boundary), keyed: start }, overflow);
        let head = point.head.filter(|&head| head <= boundary);
        state.backfills += u32::from(head.is_some());
        drop(state);
        let (last, end) = (boundary, u64::MAX);
        let unread = head.map(|head| Self { head, last, end, reader: Reader::new(log, &point), overflow });
        (unread, point.gap)
    }

    /// Leaves the topic.
    pub(crate) fn leave(self, shared: &Shared) {
        let log = Arc::clone(&self.reader.log);
        drop(self);
        if log.state().is_idle() {
            shared.registry.release(&log);
        }
    }

    /// Returns the sequence of the next event, or the loss before it; `None` if there is nothing more. Everything up to
    /// `read` is delivered.
    pub(crate) fn look(&mut self, shared: &Shared, read: u64) -> Option<Result<u64, Loss>> {
        let overflow = self.overflow;
        while self.reader.next < self.end {
            if let Some(unread) = self.reader.unread_before(self.end, shared, overflow) {
                let head = unread.first_sequence();
                // In a keyed topic the reader may be ahead of the pattern's log.
                return (head <= self.last).then_some(Ok(head));
            }
            let found = self.reader.log.state().find(self.reader.next, overflow);
            match found {
                Found::Fill => match self.reader.fill(read) {
                    Some(forgotten) => return Some(Err(Loss::OfState { forgotten })),
                    None => continue,
                },
                Found::Nothing if self.end == u64::MAX => return None,
                _ => {}
            }
            if let Some(lost) = self.reader.follow(found, self.end, shared) {
                // Events that are gone after the end of the backfill are not missed here.
                return Some(Err(Loss::OfEvents(Lost { evicted: lost.evicted.min(self.last), ..lost })));
            }
        }
        None
    }
}

impl Ord for UnreadTopic {
    fn cmp(&self, other: &Self) -> Ordering {
        self.head.cmp(&other.head)
    }
}

impl PartialOrd for UnreadTopic {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for UnreadTopic {
    fn eq(&self, other: &Self) -> bool {
        self.head == other.head
    }
}

impl Eq for UnreadTopic {}
