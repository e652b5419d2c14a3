use std::collections::BTreeSet;
use std::task::{Context, Poll};

use crate::contract::{Batch, Delivery, Subscriber, SubscriptionEnd};
use crate::model::{Cursor, Gap, GapReason, Topic};
use crate::subscriber::Snapshot;
use crate::subscriber::snapshot::Known;

/// Delivery that comes before the inner subscriber is asked.
pub(super) enum Step {
    Gap(Gap),
    /// The state's events. They stay in the stage until they are taken.
    State,
    /// The next events of the stage. They stay there until they are taken.
    Events(Batch),
    End(SubscriptionEnd),
}

/// Deliveries after a state. Events that the state contains are skipped.
#[derive(Default)]
pub(super) struct Following {
    pub(super) state: Known,
    /// Delivery of the inner subscriber that was not passed on yet. The client is at `held`.
    pub(super) next: Option<Delivery>,
    pub(super) begun: Begun,
}

/// Topics with delivered events that a state without a date may contain already. These events replace the topic's part of
/// the state, so the state no longer stands for missing events of the topic.
#[derive(Default)]
pub(super) struct Begun(BTreeSet<Topic>);

impl Following {
    /// Returns the cursor of a client that has the state and all that the inner subscriber has yielded.
    pub(super) fn cursor(&self, inner: Option<Cursor>) -> Option<Cursor> {
        self.state.after(inner.filter(|_| self.next.is_none()))
    }
}

impl Begun {
    /// Notes that a batch is delivered.
    pub(super) fn add(&mut self, batch: &Batch, state: Known) {
        if state.may_have(batch.iter().next().and_then(|event| event.cursor)) && !self.0.contains(batch.topic()) {
            self.0.insert(batch.topic().clone());
        }
    }

    /// Returns whether the state may stand for the missing events of a gap.
    pub(super) fn allows(&self, gap: &Gap) -> bool {
        match &gap.topic {
            _ if gap.reason != GapReason::Overflow => true,
            Some(topic) => !self.0.contains(topic),
            None => self.0.is_empty(),
        }
    }
}

/// Returns the first delivery of a subscriber that has no cursor before it, unless it is a gap that the state mends.
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
