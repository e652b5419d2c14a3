use std::fmt;

use crate::model::Topic;

/// Hook that was set by [`RunsBuilder::on_failure`](crate::runs::RunsBuilder::on_failure).
pub(crate) type FailureHook = Box<dyn Fn(&RunFailure<'_>) + Send + Sync>;

/// Failure of a run: the argument of the hook that [`RunsBuilder::on_failure`](crate::runs::RunsBuilder::on_failure) sets.
///
/// `Display` and `Debug` write one line for a log, with the text escaped.
///
/// ```
/// use tidings::LocalHub;
/// use tidings::runs::Runs;
///
/// # #[cfg(feature = "tokio")]
/// let runs = Runs::builder(&LocalHub::new())
///     .on_failure(|failure| eprintln!("{}: {} ({})", failure.topic(), failure.text(), failure.cause().as_str()))
///     .build();
/// ```
pub struct RunFailure<'a> {
    pub(crate) topic: &'a Topic,
    pub(crate) cause: FailureCause,
    pub(crate) text: &'a str,
}

/// Cause of the failure of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureCause {
    /// The stream yielded an error.
    Error,
    /// The closure, the stream, the drop of the stream, or the waker of a reader panicked.
    Panic,
    /// The run exceeded its number of events, its bytes or its lifetime.
    Limit,
    /// The hub did not accept an event, or the end.
    Hub,
    /// The run was live at the end of a [drain](crate::runs::Runs::drain).
    Drain,
    /// The task of the run was dropped: its runtime has ended, or the task was aborted.
    Dropped,
}

impl FailureCause {
    /// Every cause, in the order of the enum.
    pub const ALL: &'static [Self] = &[Self::Error, Self::Panic, Self::Limit, Self::Hub, Self::Drain, Self::Dropped];

    /// Returns the name: `error`, `panic`, `limit`, `hub`, `drain` or `dropped`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Panic => "panic",
            Self::Limit => "limit",
            Self::Hub => "hub",
            Self::Drain => "drain",
            Self::Dropped => "dropped",
        }
    }
}

impl RunFailure<'_> {
    /// Returns the topic of the run.
    #[must_use]
    pub fn topic(&self) -> &Topic {
        self.topic
    }

    /// Returns the cause.
    #[must_use]
    pub fn cause(&self) -> FailureCause {
        self.cause
    }

    /// Returns the text of the error or of the panic, or a text that names the limit. It is not escaped. Clients do not
    /// receive it.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text
    }
}

impl fmt::Display for RunFailure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run {:?} failed ({}): {:?}", self.topic.as_str(), self.cause.as_str(), self.text)
    }
}

impl fmt::Debug for RunFailure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunFailure({self})")
    }
}
