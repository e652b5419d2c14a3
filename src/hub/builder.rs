use std::fmt;

use crate::hub::epoch::epoch_now;
use crate::hub::local::LocalHub;
use crate::hub::shared::Shared;
use crate::hub::topics::retentions::Retentions;
use crate::model::{Pattern, PatternError, Retention};
use crate::time::{Clock, StdClock};

/// Builder of a [`LocalHub`].
#[must_use]
pub struct LocalHubBuilder {
    retentions: Retentions,
    max_event: usize,
    max_bytes: usize,
    live_buffer: usize,
    max_topics: usize,
    clock: Box<dyn Clock>,
}

impl Default for LocalHubBuilder {
    fn default() -> Self {
        Self {
            retentions: Retentions::default(),
            max_event: Self::MAX_EVENT,
            max_bytes: Self::MAX_BYTES,
            live_buffer: Self::LIVE_BUFFER,
            max_topics: Self::MAX_TOPICS,
            clock: Box::new(StdClock),
        }
    }
}

impl LocalHubBuilder {
    /// Default limit of the weight of one event: 1 MiB, the default history of a topic.
    pub const MAX_EVENT: usize = 1 << 20;

    /// Default of [`max_bytes`](Self::max_bytes): 256 MiB, the default history of 256 topics with large events, or of
    /// some hundred thousand topics with one small event.
    pub const MAX_BYTES: usize = 256 << 20;

    /// Default of [`live_buffer`](Self::live_buffer): 4 MiB, four times the default history of a topic.
    pub const LIVE_BUFFER: usize = 4 << 20;

    /// Default of [`max_topics`](Self::max_topics).
    pub const MAX_TOPICS: usize = 1_000_000;

    /// Sets the history of each topic that no [`retain_for`](Self::retain_for) matches. Default: 1,000 events, 1 MiB, 1
    /// hour.
    pub fn retain(mut self, retention: Retention) -> Self {
        self.retentions.otherwise(retention);
        self
    }

    /// Sets the history of the topics that match this topic or [`Pattern`]. If several match a topic, the narrowest
    /// applies, in any order of the calls: the topic itself, then `*`, then `**` with the longest prefix. A second call
    /// with the same pattern replaces the first.
    ///
    /// ```
    /// use tidings::{LocalHub, Retention};
    ///
    /// let hub = LocalHub::builder()
    ///     .retain(Retention::count(1_000))
    ///     .retain_for("prices/**", Retention::count(1))
    ///     .retain_for("prices/audit", Retention::count(100_000).bytes(64 << 20))
    ///     .build();
    /// ```
    ///
    /// # Panics
    ///
    /// If the text is not a pattern.
    pub fn retain_for<P>(mut self, pattern: P, retention: Retention) -> Self
    where
        P: TryInto<Pattern>,
        PatternError: From<P::Error>,
    {
        let pattern = pattern.try_into().map_err(PatternError::from);
        let why = pattern.as_ref().err().map(ToString::to_string).unwrap_or_default();
        assert!(pattern.is_ok(), "retain_for takes a topic or a pattern: {why}");
        if let Ok(pattern) = pattern {
            self.retentions.set(pattern, retention);
        }
        self
    }

    /// Sets the largest weight of one event: payload, name and key, in bytes. Default: 1 MiB.
    pub fn max_event(self, bytes: usize) -> Self {
        Self { max_event: bytes, ..self }
    }

    /// Sets the largest number of bytes that the hub holds: events (their weight and the structures that hold them) and
    /// encoded copies of events. Default: 256 MiB.
    ///
    /// Over the limit, encoded copies of sealed segments are dropped first. Then segments that retention does not
    /// promise are evicted, such as [live buffers](Self::live_buffer), then segments of history, oldest first within a
    /// topic. A segment has at most 256 events, and at most 64 KiB or one event. The topic is chosen by these
    /// rules:
    ///
    /// 1. A topic that holds more than a sixteenth of the budget makes room for its own events, if no other is larger by a
    ///    size class. A size class is one doubling of a topic's bytes.
    /// 2. New topics, which have one segment and no subscription, are evicted first while they hold more than an eighth of
    ///    all bytes.
    /// 3. Otherwise a topic of the size class with the most bytes is evicted. Bytes of topics without a subscription count
    ///    twice, bytes of new topics four times. Within the class topics without a subscription are evicted first, the least
    ///    recently used one completely before the next; then the others in rotation.
    ///
    /// A subscriber that has not read evicted events gets a gap, as with any eviction. A publish fails with
    /// [`PublishError::Full`](crate::PublishError::Full) if nothing is left to evict. Encoded copies take at most a
    /// quarter of the budget. The states of [keyed](Retention::latest_per_key) topics take at most half of it, and are not
    /// evicted: a publish that would add more fails with [`PublishError::StateFull`](crate::PublishError::StateFull).
    ///
    /// The hub exceeds the limit by the events that several threads publish at one moment, and by up to a quarter of it
    /// for evicted segments that [slow readers](crate::Subscriber::release) hold. Further such segments take the place
    /// of history. A payload counts with its length: one that is a slice of a larger buffer keeps all of that buffer in
    /// memory. Subscriptions, and [batches](crate::subscriber::Batch) that the application holds, do not count.
    pub fn max_bytes(self, bytes: usize) -> Self {
        Self { max_bytes: bytes, ..self }
    }

    /// Sets the number of bytes of a topic or a pattern that a connected reader may be behind: events (their weight and
    /// the structures that hold them), including those in history. Default: 4 MiB.
    ///
    /// [Retention](Self::retain) limits the events that a client gets when it subscribes or resumes. A subscription
    /// that exists when an event is published gets it also if it leaves history before the subscription reads it: such
    /// events stay in memory while they and the newer ones of the topic take at most this number of bytes. Beyond that
    /// the subscription gets a gap, or what its [`Overflow`](crate::Overflow) selects.
    ///
    /// Events are released when every subscription of the topic has read them, and when the last one ends. That is
    /// checked when the topic has an event and when it is [swept](LocalHub::sweep). They count in
    /// [`max_bytes`](Self::max_bytes), and are evicted before history is. A stalled subscription can keep this many
    /// bytes of each of its topics in memory. With 0, a subscription that falls behind history gets a gap.
    ///
    /// ```
    /// use tidings::LocalHub;
    ///
    /// let hub = LocalHub::builder().live_buffer(64 << 10).build();
    /// ```
    pub fn live_buffer(self, bytes: usize) -> Self {
        Self { live_buffer: bytes, ..self }
    }

    /// Sets the largest number of topics that hold events, and the largest number of topics without events that have
    /// subscriptions. Default: 1,000,000. The default byte budget has room for about 270,000 topics with one event
    /// each, and so is reached first. Topics without events do not count in it; they take at most about 350 MB.
    ///
    /// A publish that begins one more topic evicts the history of another: of those with one segment and no
    /// subscription the one that began first; otherwise of those without a subscription, and then of any, the one that
    /// had an event least recently. A client that resumes there gets a gap, as with any eviction. A subscription of one
    /// more topic without events is refused with
    /// [`SubscribeError::TooManyTopics`](crate::SubscribeError::TooManyTopics), so that subscriptions never refuse a
    /// publisher. A batch that begins more topics than the limit is refused with
    /// [`PublishError::TooManyTopics`](crate::PublishError::TooManyTopics).
    ///
    /// It is also the largest number of topics with a [state](crate::Retention::latest_per_key), which are not evicted: a
    /// publish that begins one more is refused with that error.
    pub fn max_topics(self, topics: usize) -> Self {
        Self { max_topics: topics, ..self }
    }

    /// Sets the clock by which events age. Default: the monotonic clock of the operating system.
    pub fn clock(self, clock: impl Clock) -> Self {
        Self { clock: Box::new(clock), ..self }
    }

    /// Returns the hub, in its own epoch: the number of milliseconds since 1970 by the system's clock, times 2²², plus 22
    /// random bits. It has 13 digits in a [`Cursor`](crate::Cursor), so that cursors of a hub that is built later compare
    /// greater as text. That holds for the years from 2006 to 2108, unless the clock was set back between the two or both
    /// were built in the same millisecond. Outside of these years epochs still differ, and have no order.
    #[must_use]
    pub fn build(self) -> LocalHub {
        self.build_at(epoch_now(), 0)
    }

    /// Returns whether topics keep the newest event of each key.
    #[cfg(any(test, feature = "engine"))]
    pub(crate) fn has_keyed(&self) -> bool {
        self.retentions.has_keyed()
    }

    /// Sets which topics keep the newest event of each key. Returns the name of a topic or pattern as an error if the
    /// builder has set that itself.
    #[cfg(feature = "disk")]
    pub(crate) fn with_states_of(self, retentions: &Retentions) -> Result<Self, String> {
        match self.retentions.first_keyed() {
            Some(name) => Err(name.to_owned()),
            None => Ok(Self { retentions: self.retentions.with_states_of(retentions), ..self }),
        }
    }

    /// Returns a hub of an epoch that continues after a sequence.
    pub(crate) fn build_at(self, epoch: u64, sequence: u64) -> LocalHub {
        let Self { retentions, max_event, max_bytes, live_buffer, max_topics, clock } = self;
        let shared = Shared::new(epoch, retentions, max_event, max_bytes, live_buffer, max_topics, clock);
        LocalHub::of(shared.beginning_after(sequence))
    }
}

/// Construction of hubs.
impl LocalHub {
    /// Returns a hub with the default settings.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Returns a builder, which sets the limits and the clock of a hub.
    pub fn builder() -> LocalHubBuilder {
        LocalHubBuilder::default()
    }
}

impl Default for LocalHub {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LocalHubBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalHubBuilder")
            .field("retentions", &self.retentions)
            .field("max_event", &self.max_event)
            .field("max_bytes", &self.max_bytes)
            .field("live_buffer", &self.live_buffer)
            .field("max_topics", &self.max_topics)
            .finish_non_exhaustive()
    }
}
