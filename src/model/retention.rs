use std::time::Duration;

/// Limits of a topic's history, which is kept for replay.
///
/// The limits apply to the events that a client receives when it subscribes or resumes. A connected subscription may be
/// further behind, see [`LocalHubBuilder::live_buffer`](crate::LocalHubBuilder::live_buffer).
///
/// An event is evicted as soon as one limit is exceeded: history holds more than `count` events, their payloads, names and
/// keys are more than `bytes`, or the event is older than `age`. An [expired](crate::Event::with_ttl) event is evicted when
/// it is the oldest in history.
///
/// ```
/// use std::time::Duration;
/// use tidings::{LocalHub, Retention};
///
/// let retention = Retention::count(10_000).age(Duration::from_secs(600));
/// assert_eq!(retention.bytes, 1 << 20);
/// let hub = LocalHub::builder().retain(retention).build();
/// # drop(hub);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// Maximum number of events. Default: 1,000. It covers one minute at 16 events per second.
    pub count: usize,
    /// Maximum sum of payloads, names and keys, in bytes. Default: 1 MiB. It covers 1,000 events of 1 KiB.
    pub bytes: usize,
    /// Maximum time since publication. Default: 1 hour. A laptop that was closed for less than an hour can resume.
    pub age: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { count: 1_000, bytes: 1 << 20, age: Duration::from_secs(3600) }
    }
}

impl Retention {
    /// Creates a retention of at most `count` events, with the default limits of bytes and age. `count(0)` disables replay.
    #[must_use]
    pub fn count(count: usize) -> Self {
        Self { count, ..Self::default() }
    }

    /// Sets the maximum number of bytes.
    #[must_use]
    pub fn bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    /// Sets the maximum age of events.
    #[must_use]
    pub fn age(self, age: Duration) -> Self {
        Self { age, ..self }
    }
}
