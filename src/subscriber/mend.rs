use std::pin::Pin;

use crate::contract::SubscriptionEnd;
use crate::model::Gap;
use crate::subscriber::Snapshot;

/// Source of the state for a subscriber's gaps. A closure that returns a future of `Option<Snapshot>` is one.
pub trait Mend: Send + 'static {
    /// Returns the state for a gap, if there is one. Called once for a gap that no earlier state replaces, and again if the
    /// call or the future panicked; the future is polled by the task that polls the subscriber, and dropped with it.
    fn mend(&mut self, gap: &Gap) -> Mending;

    /// Notes that a state is not sent, because one of its events is larger than an endpoint's `max_event`. Does nothing
    /// by default.
    #[doc(hidden)]
    fn too_large(&mut self) {}
}

/// The state for a gap, on its way; an error ends the subscriber.
pub type Mending = Pin<Box<dyn Future<Output = Result<Option<Snapshot>, SubscriptionEnd>> + Send>>;

impl<F, R> Mend for F
where
    F: FnMut(&Gap) -> R + Send + 'static,
    R: Future<Output = Option<Snapshot>> + Send + 'static,
{
    fn mend(&mut self, gap: &Gap) -> Mending {
        let state = self(gap);
        Box::pin(async { Ok(state.await) })
    }
}
