use std::fmt;

use crate::contract::{Subscriber, SubscriptionEnd};
use crate::model::{Cursor, Gap};
use crate::subscriber::Snapshot;
use crate::subscriber::following::Following;
use crate::subscriber::recover::Recover;
use crate::subscriber::recovery::Recovering;
use crate::subscriber::snapshot::{State, is_gap_after, later, later_or_nowhere};

/// State of a [`Recover`](crate::subscriber::Recover) that does not pass on the deliveries of its inner subscriber.
pub(super) enum Stage {
    /// Before the first poll, if the inner subscriber has no cursor because of a gap. Contains the client's cursor, see
    /// [`with_start`](Recover::with_start).
    New(Cursor),
    /// Snapshot that is sent before the first event.
    Opening(Snapshot),
    /// Gap that is yielded when its snapshot is ready.
    Recovering {
        gap: Gap,
        /// `None` if the snapshot is to be requested, also after a panic of an earlier future.
        snapshot: Option<Recovering>,
        /// Head of the source when the snapshot was requested.
        asked: Option<Cursor>,
    },
    /// Snapshot that is being sent. It is empty when all events were taken.
    Sending(State, Following),
    Following(Following),
    /// The recovery ended the subscriber.
    Over(SubscriptionEnd),
}

impl<S: Subscriber, F> Recover<S, F> {
    /// Enters the stage of a snapshot. After it the client is at the inner subscriber's cursor, or at `gap` if that is `None`.
    pub(super) fn send(&mut self, snapshot: Snapshot, mut following: Following, gap: Option<Cursor>) {
        let (held, start) = (self.held, following.begin(self.inner.cursor().or(gap), self.held));
        self.held = start;
        self.stage = Some(Box::new(Stage::Sending(State { events: snapshot.events.into(), held, start }, following)));
    }
}

impl<S, F> Recover<S, F> {
    /// Returns whether the future of a snapshot is pending.
    #[must_use]
    pub fn is_recovering(&self) -> bool {
        matches!(self.stage.as_deref(), Some(Stage::Recovering { .. }))
    }

    /// Returns whether deliveries of the inner subscriber are passed on, so that its cursor is the client's.
    #[cfg(feature = "http")]
    pub(crate) fn is_passing(&self) -> bool {
        self.stage.is_none()
    }

    /// Returns whether the client is still to get a snapshot, or a part of one.
    #[cfg(feature = "http")]
    #[cold]
    pub(crate) fn owes_snapshot(&self) -> bool {
        match self.stage.as_deref() {
            None | Some(Stage::Following(_) | Stage::Over(_)) => false,
            Some(Stage::Sending(state, _)) => !state.events.is_empty(),
            Some(Stage::New(_) | Stage::Opening(_) | Stage::Recovering { .. }) => true,
        }
    }

    /// Returns the source of the snapshots.
    #[cfg(feature = "http")]
    #[inline]
    pub(crate) fn recovery(&self) -> &F {
        &self.recovery
    }
}

impl<S: fmt::Debug, F> fmt::Debug for Recover<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recover").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// Skips deliveries of a stage, but no snapshot, to a cursor to which the inner subscriber skipped. Returns `true`.
#[cold]
pub(super) fn skip_to(stage: &mut Option<Box<Stage>>, held: &mut Option<Cursor>, cursor: Cursor) -> bool {
    if stage.as_deref_mut().is_some_and(|stage| !stage.skip_to(cursor, held)) {
        (*stage, *held) = (None, Some(later(*held, cursor)));
    }
    true
}

impl Stage {
    /// Returns the cursor of the client. `held` is its cursor before the stage, or after the last snapshot or events of it.
    #[cold]
    pub(super) fn cursor(&self, held: Option<Cursor>, inner: impl FnOnce() -> Option<Cursor>) -> Option<Cursor> {
        match self {
            Self::New(cursor) => Some(*cursor),
            Self::Opening(_) | Self::Recovering { .. } | Self::Over(_) => held,
            Self::Sending(state, _) if !state.events.is_empty() => state.held,
            Self::Sending(_, following) | Self::Following(following) => match following.has_more() {
                true => held,
                false => following.state.after(inner()).or(held),
            },
        }
    }

    /// Skips events and gaps up to a cursor, but no snapshot. Sets `held` to the client's cursor then. Returns whether the stage
    /// is still needed.
    #[cold]
    pub(super) fn skip_to(&mut self, cursor: Cursor, held: &mut Option<Cursor>) -> bool {
        match self {
            Self::New(_) => return false,
            Self::Recovering { gap, .. } if !is_gap_after(gap, cursor) => return false,
            Self::Sending(state, following) => {
                following.skip_to(cursor);
                state.skip_to(cursor);
                // A client that has a part of a snapshot starts over.
                *held = held.map(|held| later_or_nowhere(held, cursor));
            }
            Self::Following(following) => {
                following.skip_to(cursor);
                *held = held.map(|held| later_or_nowhere(held, cursor));
            }
            Self::Opening(_) | Self::Recovering { .. } | Self::Over(_) => *held = Some(later(*held, cursor)),
        }
        true
    }

    /// Returns whether a delivery is left that is not the inner subscriber's next one.
    pub(super) fn has_more(&self) -> bool {
        match self {
            Self::New(_) | Self::Opening(_) | Self::Recovering { .. } | Self::Over(_) => true,
            Self::Sending(state, following) => !state.events.is_empty() || following.has_more(),
            Self::Following(following) => following.has_more(),
        }
    }
}
