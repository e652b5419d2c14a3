use std::collections::{BTreeSet, VecDeque};
use std::task::{Context, Poll};

use crate::contract::{Batch, Delivery, EndState, Subscriber, SubscriberInfo, SubscriptionEnd};
use crate::model::{Cursor, Gap, GapReason, Topic, TopicEnd};
use crate::subscriber::Snapshot;
use crate::subscriber::snapshot::{Known, NOWHERE, is_gap_after, later, later_or_nowhere};

/// Delivery of a stage, which precedes the deliveries of the inner subscriber.
pub(super) enum Step {
    Gap(Gap),
    /// Events of a snapshot. They stay in the stage until they are taken.
    State,
    /// Next events of the stage. They stay there until they are taken.
    Events(Batch),
    TopicEnd(TopicEnd),
    End(SubscriptionEnd),
}

/// Stage after a snapshot. Events that the snapshot contains are skipped.
#[derive(Default)]
pub(super) struct Following {
    pub(super) state: Known,
    /// Delivery of the inner subscriber that was not returned yet. Until then the client's cursor is `held`.
    pub(super) next: Option<Delivery>,
    pub(super) begun: Begun,
    /// Ends of topics up to the newest event of the snapshot, which the snapshot does not contain. They are yielded after it.
    /// Until the last of them, a client that is cut starts over.
    ends: VecDeque<TopicEnd>,
    /// Cursor of the client after these ends.
    after_ends: Option<Cursor>,
}

/// Topics with delivered events that a snapshot without a cursor may contain. These events overwrite the topic's part of the
/// snapshot, so the snapshot no longer replaces missing events of the topic.
#[derive(Default)]
pub(super) struct Begun(BTreeSet<Topic>);

impl Following {
    /// Returns the stage after a snapshot of this extent. `next` is a delivery that the subscriber yielded before.
    ///
    /// Polls the subscriber up to the newest event of the snapshot: a client that resumes from that event would not receive
    /// the ends of topics before it.
    pub(super) fn new<S: Subscriber>(
        state: Known,
        next: Option<Delivery>,
        subscriber: &mut S,
        cx: &mut Context<'_>,
    ) -> Self {
        let mut this = Self { state, ..Self::default() };
        next.into_iter().for_each(|delivery| this.put(delivery));
        while this.next.is_none() && state.is_ahead_of(subscriber.cursor()) {
            match subscriber.poll_next(cx) {
                Poll::Ready(delivery) => this.put(delivery),
                Poll::Pending => break,
            }
        }
        this
    }

    /// Keeps a delivery that was polled early, apart from events and gaps that the snapshot contains.
    fn put(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::TopicEnd(end) if self.state.holds(Some(end.cursor)) => self.ends.push_back(end),
            Delivery::Gap(gap) if !gap.snapshot && self.state.has_mended(&gap) => {}
            Delivery::Events(batch) => self.next = self.state.rest_of(&batch).map(Delivery::Events),
            other => self.next = Some(other),
        }
    }

    /// Returns the cursor of a client that has the snapshot: `held` if ends follow it, else that of all deliveries of the
    /// inner subscriber that were returned.
    pub(super) fn begin(&mut self, inner: Option<Cursor>, held: Option<Cursor>) -> Option<Cursor> {
        let after = self.state.after(inner.filter(|_| self.next.is_none())).or(held);
        if self.ends.is_empty() {
            return after;
        }
        self.after_ends = after;
        held
    }

    /// Skips events and gaps up to a cursor.
    pub(super) fn skip_to(&mut self, cursor: Cursor) {
        self.next = match self.next.take() {
            Some(Delivery::Events(batch)) => batch.after(cursor).map(Delivery::Events),
            Some(Delivery::Gap(gap)) if !is_gap_after(&gap, cursor) => None,
            Some(Delivery::TopicEnd(end)) => {
                let cursor = later(Some(end.cursor), cursor);
                Some(Delivery::TopicEnd(TopicEnd { cursor, ..end }))
            }
            next => next,
        };
        self.after_ends = self.after_ends.map(|after| later_or_nowhere(after, cursor));
    }

    /// Returns the next end that follows the snapshot. Sets `held` to the client's cursor after it.
    pub(super) fn take_end(&mut self, held: &mut Option<Cursor>) -> Option<TopicEnd> {
        let end = self.ends.pop_front()?;
        let cursor = if self.ends.is_empty() { self.after_ends } else { *held };
        let cursor = cursor.unwrap_or(NOWHERE);
        *held = Some(cursor);
        Some(TopicEnd { cursor, ..end })
    }

    /// Returns whether something is left that was polled early.
    pub(super) fn has_more(&self) -> bool {
        self.next.is_some() || !self.ends.is_empty()
    }
}

/// Returns the description of a subscriber that has more to deliver than the inner one, of which `info` is.
pub(super) fn with_more(info: SubscriberInfo<'_>) -> SubscriberInfo<'_> {
    match info.end_state() {
        EndState::Finished => info.with_end_state(EndState::Ended),
        _ => info,
    }
}

impl Begun {
    /// Records the topic of a delivered batch.
    pub(super) fn add(&mut self, batch: &Batch, state: Known) {
        if state.may_have(batch.iter().next().and_then(|event| event.cursor)) && !self.0.contains(batch.topic()) {
            self.0.insert(batch.topic().clone());
        }
    }

    /// Returns whether the snapshot may replace the missing events of a gap.
    pub(super) fn allows(&self, gap: &Gap) -> bool {
        match &gap.topic {
            _ if gap.reason != GapReason::Overflow => true,
            Some(topic) => !self.0.contains(topic),
            None => self.0.is_empty(),
        }
    }
}

/// Polls a subscriber without a cursor for its first delivery. Drops the delivery if it is a gap that the snapshot replaces.
pub(super) fn look<S: Subscriber>(subscriber: &mut S, snapshot: &Snapshot, cx: &mut Context<'_>) -> Option<Delivery> {
    if subscriber.cursor().is_some() {
        return None;
    }
    match subscriber.poll_next(cx) {
        Poll::Ready(Delivery::Gap(gap)) if !gap.snapshot && snapshot.known(None).has_mended(&gap) => None,
        Poll::Ready(delivery) => Some(delivery),
        Poll::Pending => None,
    }
}
