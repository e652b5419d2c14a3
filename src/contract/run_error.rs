use crate::contract::SubscribeError;
use crate::model::{Topic, TopicError};

/// Error of [`Runs`](crate::runs::Runs).
///
/// By the `?` operator it becomes a [`Rejection`](crate::Rejection): `Gone` is 410, `Busy`, `Draining` and `Ended` are 503 with
/// `Retry-After: 5`.
///
/// ```
/// use tidings::runs::RunError;
/// use tidings::{Rejection, Topic};
///
/// let error = RunError::Gone(Topic::new("runs/ann/7")?);
/// assert_eq!(Rejection::from(error), Rejection::Gone);
/// # Ok::<(), tidings::TopicError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The name is not a topic.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The maximum number of runs is live.
    #[error("{limit} runs are live, which is the limit; retry later or raise `RunsBuilder::max_live`")]
    Busy {
        /// Limit of live runs.
        limit: usize,
    },
    /// New runs are refused because the server shuts down.
    #[error("runs are drained; start the run on another server")]
    Draining,
    /// The topic has ended on the hub and is not free yet: a reader has not received the end of its last run, or the
    /// application has [finished](crate::LocalHub::finish) the topic.
    #[error("topic `{0}` has ended and is not free yet; start the run later or with another topic")]
    Ended(Topic),
    /// The topic has no run.
    #[error("topic `{0}` has no run; start one, or raise `RunsBuilder::linger` if it ended early")]
    Gone(Topic),
    /// The hub on disk does not keep the history of the topic for runs.
    #[error("topic `{0}` is not one of runs on this hub; give a pattern that matches it to `DiskHubBuilder::runs`")]
    NotForRuns(Topic),
    /// There is no means to start a task.
    #[error(
        "run cannot start a task; call `start` inside a tokio runtime (feature `tokio`), set `RunsBuilder::spawn`, or \
         use `start_unspawned`"
    )]
    NoSpawner,
    /// The hub did not accept the subscription.
    #[error(transparent)]
    Subscribe(#[from] SubscribeError),
}
