use std::time::Duration;

use crate::model::Topic;

/// Live run with its counts, see [`Runs::list`](crate::runs::Runs::list). The numbers are not all of one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunInfo {
    /// Topic of the run.
    pub topic: Topic,
    /// Time since the run was started.
    pub age: Duration,
    /// Number of published events.
    pub events: usize,
    /// Sum of their payloads, names and keys, in bytes.
    pub bytes: usize,
    /// Number of live subscriptions that were made by [`subscribe`](crate::runs::Runs::subscribe). A client that polls counts
    /// while its poll is held.
    pub readers: usize,
}
