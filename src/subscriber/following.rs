use std::collections::BTreeSet;
use std::task::{Context, Poll};

use crate::contract::{Batch, Delivery, Subscriber, SubscriptionEnd};
use crate::model::{Cursor, Gap, GapReason, Topic};
use crate::subscriber::Snapshot;
use crate::subscriber::snapshot::Known;

/// Delivery that comes before the inner subscriber is asked.
pub(super) enum Step {
    Gap(Gap),
    /// That of the stage, where it stays until it is taken.
    State,
    /// Those that come next in the stage, where they stay until they are taken.
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

/// Topics of which events were delivered that a state without a date may have already. They replace the topic's part of
/// the state, so the state no longer stands for what is missing of it.
#[derive(Default)]
pub(super) struct Begun(BTreeSet<Topic>);

impl Following {
    /// Returns where a client is that has the state, and what the inner subscriber has yielded.
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

    /// Returns whether the state may stand for what is missing.
    pub(super) fn allows(&self, gap: &Gap) -> bool {
        match &gap.topic {
            _ if gap.reason != GapReason::Overflow => true,
            Some(topic) => !self.0.contains(topic),
            None => self.0.is_empty(),
        }
    }
}

/// Returns what a subscriber yields first that has no cursor before that, unless it is a gap that the state mends.
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
