use std::time::{Duration, Instant};

use crate::model::Event;

/// Least time between two changes of a key, and the time after which a change that failed is tried again.
pub(in crate::endpoint::presence) const INTERVAL: Duration = Duration::from_secs(1);
/// A change that fails repeatedly is tried again after at most 2⁶ intervals.
const MAX_DOUBLINGS: u32 = 6;

/// State machine of one key of one topic.
///
/// A key is *wanted* while it has sessions. If the hub has its event, it stays so for the reconnect grace after the
/// last session. The published state follows that. Between two changes there is at least one [`INTERVAL`], after which
/// the newest state is published. While a change is being published, no other begins, so the changes of a key reach the
/// hub in their order.
#[derive(Debug)]
pub(super) struct PresentKey {
    /// Number of live sessions.
    sessions: usize,
    /// Event of the newest session.
    event: Event,
    /// Event that the hub has.
    published: Option<Event>,
    /// End of the reconnect grace, if there is no session.
    grace_end: Instant,
    /// Time before which nothing is tried.
    earliest: Instant,
    /// End of the interval after the last change.
    interval_end: Instant,
    /// Number of failures in a row.
    failures: u32,
    /// The hub refused `event`, and would refuse it again.
    is_refused: bool,
    is_publishing: bool,
    /// Time at which the key is filed in the table.
    pub(super) due: Option<Instant>,
}

/// Next step of a key.
#[derive(Debug, PartialEq)]
pub(super) enum NextStep {
    /// Publish the event, or the removal of the key if there is none. [`PresentKey::finish`] follows.
    Publish(Option<Event>),
    /// Look again at this time.
    At(Instant),
    /// Nothing to do before the next input.
    Rest,
    /// The hub has no event of the key, and the key is not wanted.
    Forget,
}

/// Result of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Published,
    /// The hub refused the change for good.
    Refused,
    /// The hub has no room for the change now.
    Postponed,
}

impl PresentKey {
    /// Returns a key without a session.
    pub(super) fn new(event: Event, now: Instant) -> Self {
        Self {
            sessions: 0,
            event,
            published: None,
            grace_end: now,
            earliest: now,
            interval_end: now,
            failures: 0,
            is_refused: false,
            is_publishing: false,
            due: None,
        }
    }

    /// Adds a session. Returns the event of an earlier one, which the caller drops under no lock.
    pub(super) fn begin(&mut self, event: Event) -> Event {
        self.sessions += 1;
        self.is_refused = false;
        std::mem::replace(&mut self.event, event)
    }

    /// Removes a session. The key is wanted up to `grace_end` if it was the last one.
    pub(super) fn end(&mut self, grace_end: Instant) {
        self.sessions = self.sessions.saturating_sub(1);
        self.grace_end = grace_end;
    }

    pub(super) fn is_published(&self) -> bool {
        self.published.is_some()
    }

    /// Returns the events of a key that is forgotten, for the caller to drop under no lock.
    pub(super) fn into_events(self) -> impl Iterator<Item = Event> {
        std::iter::once(self.event).chain(self.published)
    }

    /// Returns the next step. After [`NextStep::Publish`] the key rests until the change is [finished](Self::finish).
    pub(super) fn next(&mut self, now: Instant) -> NextStep {
        if self.is_publishing {
            return NextStep::Rest;
        }
        let is_wanted = self.sessions > 0 || (self.is_published() && now < self.grace_end);
        let has_change = match &self.published {
            Some(published) if is_wanted => *published != self.event && !self.is_refused,
            None if is_wanted => !self.is_refused,
            published => published.is_some(),
        };
        match has_change {
            true if now < self.earliest => NextStep::At(self.earliest),
            true => {
                self.is_publishing = true;
                self.earliest = now + INTERVAL;
                NextStep::Publish(is_wanted.then(|| self.event.clone()))
            }
            false if self.sessions > 0 => NextStep::Rest,
            false if is_wanted => NextStep::At(self.grace_end),
            // Kept for the interval, so that the key does not change twice within it.
            false if now < self.interval_end => NextStep::At(self.interval_end),
            false => NextStep::Forget,
        }
    }

    /// Finishes a change, which began at `began`. Returns an event that the caller drops under no lock.
    pub(super) fn finish(&mut self, change: Option<Event>, outcome: Outcome, began: Instant) -> Option<Event> {
        self.is_publishing = false;
        match outcome {
            Outcome::Postponed => {
                self.earliest = began + INTERVAL * 2_u32.pow(self.failures.min(MAX_DOUBLINGS));
                self.failures = self.failures.saturating_add(1);
                change
            }
            Outcome::Refused if change.is_some() => {
                // A session that began meanwhile may have brought another event.
                self.is_refused = change.as_ref() == Some(&self.event);
                change
            }
            // A removal that is refused for good is not tried again: the hub is closed, or the topic has ended.
            Outcome::Published | Outcome::Refused => {
                self.failures = 0;
                self.interval_end = began + INTERVAL;
                std::mem::replace(&mut self.published, change)
            }
        }
    }
}
