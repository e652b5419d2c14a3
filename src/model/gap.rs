use crate::model::{Cursor, Topic};

/// Delivery in place of missing events.
///
/// A gap is delivered at the position of the missing events. On the wire it is the object
/// `{"id":"7.a9","gap":{"reason":"evicted","missed":12,"topic":"news"}}`.
///
/// ```
/// use tidings::{Cursor, Gap, GapReason};
///
/// let gap = Gap::new(GapReason::Evicted, Cursor::new(7, 9)).with_missed(12);
/// assert_eq!((gap.reason.as_str(), gap.missed, gap.topic), ("evicted", Some(12), None));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// Reason of the loss.
    pub reason: GapReason,
    /// Number of events evicted before the subscriber read them, if known.
    ///
    /// Events that [expired](crate::Event::with_ttl) in history make no gap. They are counted if they are between two events
    /// that were missed. With [`Overflow::Latest`] this also applies to an event that a newer one replaced.
    pub missed: Option<u64>,
    /// Topic of the missing events, if all are of one topic.
    pub topic: Option<Topic>,
    /// Position of the last missing event. A client that resumes from it does not receive the gap again.
    pub cursor: Cursor,
    /// Position of the last missing event, if it is after `cursor`. Set for [`Epoch`](GapReason::Epoch) gaps: the cursor of
    /// such a gap is the beginning of the hub, and all retained events follow it. Also set for [`Invalid`](GapReason::Invalid)
    /// gaps of a topic that has ended: their cursor is before the end, which follows. A snapshot that is older than this
    /// position does not replace the missing events.
    pub gone: Option<Cursor>,
    /// Position of the last event delivered before the gap, if known. A client that resumes from it receives the gap again.
    pub after: Option<Cursor>,
    /// Whether a snapshot of the application's state follows and replaces the missing events, or the whole state of
    /// [keyed](crate::Retention::latest_per_key) topics: of `topic`, or of all keyed topics of the client if it is
    /// `None`. The client forgets what it has of them. The cursor of a gap before keyed state is the beginning of the
    /// hub, so a client that is cut there receives the gap again.
    pub snapshot: bool,
}

impl Gap {
    /// Creates a gap of unknown size and topic. `cursor` is the position of the last missing event.
    #[must_use]
    pub fn new(reason: GapReason, cursor: Cursor) -> Self {
        Self { reason, missed: None, topic: None, cursor, gone: None, after: None, snapshot: false }
    }

    /// Sets the number of missing events.
    #[must_use]
    pub fn with_missed(self, missed: u64) -> Self {
        Self { missed: Some(missed), ..self }
    }

    /// Sets the position of the last missing event, if it is after the gap's cursor.
    #[must_use]
    pub fn with_gone(self, gone: Cursor) -> Self {
        Self { gone: Some(gone), ..self }
    }

    /// Sets the position of the last event that was delivered before the gap. Without it a client that is cut while
    /// [`Recover`](crate::subscriber::Recover) waits for a snapshot may receive earlier events again.
    #[must_use]
    pub fn with_after(self, cursor: Cursor) -> Self {
        Self { after: Some(cursor), ..self }
    }

    /// Marks the gap as followed by a snapshot, or by the whole state of keyed topics.
    #[must_use]
    pub fn with_snapshot(self) -> Self {
        Self { snapshot: true, ..self }
    }

    /// Sets the topic of the missing events.
    #[must_use]
    pub fn with_topic(self, topic: Topic) -> Self {
        Self { topic: Some(topic), ..self }
    }
}

/// Reason why events are missing.
///
/// ```
/// use std::task::{Context, Poll, Waker};
/// use tidings::subscriber::Delivery;
/// use tidings::{GapReason, LocalHub, Start, Subscribe, Subscriber};
///
/// // The hub was started again, so it does not know the epoch of the client's cursor.
/// let hub = LocalHub::new();
/// let start = Start::After("k3x9.b17".parse()?);
/// let mut subscription = hub.subscribe(Subscribe::topics(["news"]).start(start))?;
/// let Poll::Ready(Delivery::Gap(gap)) = subscription.poll_next(&mut Context::from_waker(Waker::noop())) else {
///     unreachable!("the gap is ready");
/// };
/// assert_eq!((gap.reason, gap.reason.as_str()), (GapReason::Epoch, "epoch"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GapReason {
    /// The client was disconnected, and the events left history before it resumed.
    Evicted,
    /// The subscriber was connected, and the events left history and the hub's
    /// [live buffer](crate::LocalHubBuilder::live_buffer) before it read them.
    Overflow,
    /// The cursor is of another epoch, because the hub was started again. All retained events follow.
    Epoch,
    /// The cursor is not readable, or is ahead of the hub. Live events follow.
    Invalid,
    /// The event is larger than [`EndpointBuilder::max_event`](crate::EndpointBuilder::max_event). It remains in the hub,
    /// and the next event follows.
    TooLarge,
}

impl GapReason {
    /// Returns the name of the reason on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Evicted => "evicted",
            Self::Overflow => "overflow",
            Self::Epoch => "epoch",
            Self::Invalid => "invalid",
            Self::TooLarge => "too_large",
        }
    }
}

/// Policy for a subscriber that falls behind the events in memory, which are its topics' histories and the hub's [live
/// buffer](crate::LocalHubBuilder::live_buffer). Default: [`Gap`](Self::Gap).
///
/// The policy applies to connected subscribers on every transport. A client that resumes or polls with a cursor older than
/// history receives a [`Gap`] with the reason [`Evicted`](GapReason::Evicted). With [`Latest`](Self::Latest) it receives
/// one only if it misses an event that no newer one replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// The subscriber receives a [`Gap`] with the exact count, and continues with the oldest event in memory.
    #[default]
    Gap,
    /// The subscription ends with [`SubscriptionEnd::TooSlow`](crate::subscriber::SubscriptionEnd::TooSlow): a WebSocket
    /// closes with 1013, and the body of a stream ends with an error.
    Disconnect,
    /// The subscriber receives only the newest unread event of each [key](crate::Event::with_key) of each topic, at the
    /// position of that event, and all events without a key. Use it for values of which only the newest is needed, such as
    /// prices.
    ///
    /// - Unread events are conflated at each poll, also at each poll of a polling client. A client that reads as fast as
    ///   events are published receives every event.
    /// - Events that left history and the live buffer unread are a [`Gap`], except for those that a newer event of their key
    ///   had replaced by then, which is delivered. A connected subscriber counts the replaced events as conflated. The hub
    ///   marks all replaced events of a topic from the first conflating subscription of the topic, or of a pattern that
    ///   matches it. Before that it finds only those that have the key of the newest event.
    /// - A client may resume at any cursor that it received. It then receives the newest event of each key after that
    ///   cursor.
    /// - A [removal](crate::Event::removal) does not replace an earlier removal of its key.
    /// - If the newest event of a key has [expired](crate::Event::with_ttl), nothing is delivered for the key. The events
    ///   that it replaced remain replaced.
    /// - Each delivery has the number of events left out: [`Batch::conflated`](crate::subscriber::Batch::conflated),
    ///   [`EncodedBatch::conflated`](crate::subscriber::EncodedBatch::conflated).
    ///
    /// ```
    /// use std::task::{Context, Poll, Waker};
    /// use tidings::{Event, LocalHub, Overflow, Subscribe, Subscriber, Topic};
    /// use tidings::subscriber::Delivery;
    ///
    /// let (hub, prices) = (LocalHub::new(), Topic::new("prices")?);
    /// let mut slow = hub.subscribe(Subscribe::topics([&prices]).overflow(Overflow::Latest))?;
    /// for (key, price) in [("ACME", "42"), ("EMCA", "7"), ("ACME", "43"), ("ACME", "44")] {
    ///     hub.publish_now(&prices, Event::text(price).with_key(key)?)?;
    /// }
    /// let (mut read, mut conflated) = (Vec::new(), 0);
    /// while let Poll::Ready(Delivery::Events(batch)) = slow.poll_next(&mut Context::from_waker(Waker::noop())) {
    ///     read.extend(batch.iter().map(|price| price.event.payload().clone()));
    ///     conflated += batch.conflated();
    /// }
    /// assert_eq!((read, conflated), (vec!["7".into(), "44".into()], 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    Latest,
}
