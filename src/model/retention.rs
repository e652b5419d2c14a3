use std::time::Duration;

/// How much of a topic's history is kept for replay: until any of the three limits is reached.
///
/// It limits the events that a client gets when it subscribes or returns. A connected subscription may be further behind,
/// see [`LocalHubBuilder::live_buffer`](crate::LocalHubBuilder::live_buffer).
///
/// An event is evicted when there are more than `count` newer ones in its topic, when it and the newer ones weigh
/// more than `bytes` (payload, name and key), or when it is older than `age`. One that has
/// [expired](crate::Event::with_ttl) goes as soon as it is the oldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// Events. The default, 1,000, replays a minute at 16 a second.
    pub count: usize,
    /// Bytes. The default, 1 MiB, is 1,000 events of 1 KiB.
    pub bytes: usize,
    /// Time since publication. The default, 1 hour, outlasts a laptop's lid over lunch.
    pub age: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { count: 1_000, bytes: 1 << 20, age: Duration::from_secs(3600) }
    }
}

impl Retention {
    /// At most `count` events, with the default limits of bytes and age. `count(0)` forbids replay.
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
