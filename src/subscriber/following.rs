use std::collections::BTreeSet;
use std::task::{Context, Poll};

use crate::contract::{Batch, Delivery, Subscriber, SubscriptionEnd};
use crate::model::{Cursor, Gap, GapReason, Topic, TopicEnd};
use crate::subscriber::Snapshot;
use crate::subscriber::snapshot::Known;

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
}

/// Topics with delivered events that a snapshot without a cursor may contain. These events overwrite the topic's part of the
/// snapshot, so the snapshot no longer replaces missing events of the topic.
#[derive(Default)]
pub(super) struct Begun(BTreeSet<Topic>);

impl Following {
    /// Returns the cursor of a client that has the snapshot and all deliveries of the inner subscriber that were returned.
    pub(super) fn cursor(&self, inner: Option<Cursor>) -> Option<Cursor> {
        self.state.after(inner.filter(|_| self.next.is_none()))
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
