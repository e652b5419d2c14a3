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
    /// Limits of the state if the newest event of each key is kept, see [`latest_per_key`](Self::latest_per_key).
    /// Default: `None`.
    pub state: Option<StateLimits>,
}

/// Limits of the state of a topic with [`Retention::latest_per_key`].
///
/// A publish that would exceed the keys or bytes is refused with
/// [`PublishError::StateFull`](crate::PublishError::StateFull).
///
/// ```
/// use tidings::{Retention, StateLimits};
///
/// let limits = StateLimits::default().keys(50_000).bytes(16 << 20);
/// let retention = Retention::latest_per_key().state_limits(limits);
/// assert_eq!(retention.state, Some(limits));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateLimits {
    /// Maximum number of keys. Default: 10,000.
    pub keys: usize,
    /// Maximum sum of payloads, names, keys and tags, in bytes. Default: 4 MiB.
    pub bytes: usize,
    /// Maximum number of removals that are kept for clients that resume, beyond those in history. Default: 10,000.
    pub removals: usize,
    /// Maximum age of these removals. Default: 1 hour. A client that missed a forgotten removal receives a
    /// [`Gap`](crate::Gap) with [`snapshot`](crate::Gap::snapshot), and then the whole state.
    pub removal_age: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { count: 1_000, bytes: 1 << 20, age: Duration::from_secs(3600), state: None }
    }
}

impl Default for StateLimits {
    fn default() -> Self {
        Self { keys: 10_000, bytes: 4 << 20, removals: 10_000, removal_age: Duration::from_secs(3600) }
    }
}

impl StateLimits {
    /// Sets the maximum number of keys.
    #[must_use]
    pub fn keys(self, keys: usize) -> Self {
        Self { keys, ..self }
    }

    /// Sets the maximum number of bytes.
    #[must_use]
    pub fn bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    /// Sets the maximum number of removals.
    #[must_use]
    pub fn removals(self, removals: usize) -> Self {
        Self { removals, ..self }
    }

    /// Sets the maximum age of removals.
    #[must_use]
    pub fn removal_age(self, removal_age: Duration) -> Self {
        Self { removal_age, ..self }
    }
}

impl Retention {
    /// Creates a retention of at most `count` events, with the default limits of bytes and age. `count(0)` disables replay.
    #[must_use]
    pub fn count(count: usize) -> Self {
        Self { count, ..Self::default() }
    }

    /// Creates a retention that keeps the newest event of each [key](crate::Event::with_key), whatever its age: the
    /// state of the topic. History has the default limits.
    ///
    /// A client without a cursor receives the state first, and then changes. A client that resumes receives the changes
    /// since its cursor: from history, or from the state if history does not reach back as far.
    /// [`Event::removal`](crate::Event::removal) removes a key.
    ///
    /// Each event needs a key, and has no [time to live](crate::Event::with_ttl). The removal of a key that has no
    /// event is accepted: subscribers receive it, and the state is unchanged.
    ///
    /// ```
    /// use std::task::{Context, Poll, Waker};
    /// use tidings::{Event, LocalHub, Retention, Subscribe, Subscriber};
    /// use tidings::subscriber::Delivery;
    ///
    /// let hub = LocalHub::builder().retain_for("cars", Retention::latest_per_key()).build();
    /// for (car, place) in [("1", "home"), ("2", "station"), ("1", "bridge")] {
    ///     hub.publish_now("cars", Event::text(place).with_key(car)?)?;
    /// }
    /// hub.publish_now("cars", Event::removal("2")?)?;
    /// let mut client = hub.subscribe(Subscribe::topics(["cars"]))?;
    /// let Poll::Ready(Delivery::Events(state)) = client.poll_next(&mut Context::from_waker(Waker::noop())) else {
    ///     unreachable!("the state is not empty");
    /// };
    /// let cars: Vec<_> = state.iter().map(|car| (car.event.key(), car.event.as_str())).collect();
    /// assert_eq!(cars, [(Some("1"), Some("bridge"))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn latest_per_key() -> Self {
        Self { state: Some(StateLimits::default()), ..Self::default() }
    }

    /// Sets the limits of the state, and keeps the newest event of each key.
    #[must_use]
    pub fn state_limits(self, limits: StateLimits) -> Self {
        Self { state: Some(limits), ..self }
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
