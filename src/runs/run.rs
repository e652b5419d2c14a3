use std::fmt;
use std::sync::Arc;

use super::entry::{Phase, RunEntry};
use super::shared::Shared;
use super::subscription::{Reader, RunSubscription};
use crate::contract::{EndState, RunError, Start, Subscribe, Subscriber};
#[cfg(feature = "http")]
use crate::endpoint::request::SubscribeRequest;
use crate::model::{Cursor, EndReason, Topic};

/// Start of a client whose cursor is of no use: no hub has this epoch, so it gets a gap, then the whole run.
const OVER: Start = Start::After(Cursor::new(0, 0));

/// Handle of one run, which [`Runs::start`](crate::runs::Runs::start) returns. Dropping it does not stop the run.
#[derive(Clone)]
pub struct Run {
    shared: Arc<Shared>,
    entry: Arc<RunEntry>,
    is_new: bool,
}

impl Run {
    pub(crate) fn new(shared: &Arc<Shared>, entry: Arc<RunEntry>, is_new: bool) -> Self {
        Self { shared: Arc::clone(shared), entry, is_new }
    }

    /// Returns the topic of the run.
    #[must_use]
    pub fn topic(&self) -> &Topic {
        &self.entry.topic
    }

    /// Returns whether the call of `start` created the run. `false` if it joined the run of an earlier call.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Stops the run, see [`Runs::stop`](crate::runs::Runs::stop). A later run of the same topic is not stopped.
    pub fn stop(&self) -> bool {
        self.shared.end(&self.entry, EndReason::Stopped, None)
    }

    /// Subscribes a client to the run, see [`Runs::subscribe`](crate::runs::Runs::subscribe).
    ///
    /// # Errors
    ///
    /// See [`Runs::subscribe`](crate::runs::Runs::subscribe).
    #[cfg(feature = "http")]
    #[cfg_attr(docsrs, doc(cfg(feature = "http")))]
    pub fn subscribe(&self, request: &SubscribeRequest) -> Result<RunSubscription, RunError> {
        self.subscribe_from(match request.start() {
            Start::Now => Start::Oldest,
            start => start,
        })
    }

    /// Subscribes to the run from this start, see [`Runs::subscribe_from`](crate::runs::Runs::subscribe_from).
    ///
    /// # Errors
    ///
    /// See [`Runs::subscribe`](crate::runs::Runs::subscribe).
    pub fn subscribe_from(&self, start: Start) -> Result<RunSubscription, RunError> {
        let start = match start {
            // A cursor, so that a reader gets a gap in place of events that the hub has evicted.
            Start::Oldest => Start::After(self.entry.start),
            Start::Unreadable => OVER,
            Start::After(cursor) if self.is_invalid(cursor) => OVER,
            start => start,
        };
        let reader = Reader::new(&self.shared, &self.entry);
        self.shared.end_again(&self.entry);
        let subscribe = || self.shared.hub.subscribe(Subscribe::topics([self.topic()]).start(start));
        let ended = self.entry.end_reason();
        let mut subscription = subscribe()?;
        if let (Some(reason), EndState::Live) = (ended, subscription.info().end_state()) {
            // The hub forgets the end of a topic after 24 hours, and after 65,536 others.
            self.shared.finish_again(&self.entry, reason);
            subscription = subscribe()?;
        }
        // Its topic has no end after that, so the client would wait for ever.
        if self.entry.phase() == Phase::Forgotten {
            return Err(RunError::Gone(self.topic().clone()));
        }
        Ok(RunSubscription::new(subscription, reader))
    }

    /// Returns whether the hub would take the cursor as unreadable, and start with the next event.
    fn is_invalid(&self, cursor: Cursor) -> bool {
        let last = self.shared.hub.cursor();
        cursor.epoch() == last.epoch() && (cursor.tag().is_some() || cursor.sequence() > last.sequence())
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("topic", self.topic()).field("is_new", &self.is_new).finish_non_exhaustive()
    }
}
