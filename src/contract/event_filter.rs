use std::fmt;
use std::sync::Arc;

use crate::contract::EventRef;

/// Predicate of the events that a subscription delivers, see [`Subscribe::filter`](crate::Subscribe::filter).
#[derive(Clone)]
pub(crate) struct EventFilter(Arc<dyn Fn(&EventRef<'_>) -> bool + Send + Sync>);

impl EventFilter {
    pub(crate) fn new(predicate: impl Fn(&EventRef<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(predicate))
    }

    /// Returns whether an event is delivered.
    #[inline]
    pub(crate) fn keeps(&self, event: &EventRef<'_>) -> bool {
        (self.0)(event)
    }
}

impl fmt::Debug for EventFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventFilter").finish_non_exhaustive()
    }
}
