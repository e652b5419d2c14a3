use crate::model::{Cursor, Topic};

/// Delivery in the place of missing events.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// Why they are gone.
    pub reason: GapReason,
    /// How many, where that can be known: all that left history before the subscriber came to them, from the first up to
    /// the last that still lived then. An event that [expired](crate::Event::with_ttl) while it was in history is no gap alone,
    /// but counted between two that are; with [`Overflow::Latest`] the same goes for one that a newer event replaced.
    pub missed: Option<u64>,
    /// The topic they were of, where it is one.
    pub topic: Option<Topic>,
    /// The position of the last missing event: a client that holds it has been told.
    pub cursor: Cursor,
    /// Position of the last missing event, if it is after `cursor`. Set for [`Epoch`](GapReason::Epoch) gaps only: the cursor
    /// of such a gap is the beginning of the hub, and all retained events follow it. Older state does not replace what is
    /// missing.
    pub gone: Option<Cursor>,
    /// Everything up to here was delivered before it, where the hub knows: a client that resumes from it is told again.
    pub after: Option<Cursor>,
    /// Whether the application's state follows, so that what is missing is missed by nobody.
    pub snapshot: bool,
}

impl Gap {
    /// A gap up to and with `cursor`, of unknown size and topic.
    #[must_use]
    pub fn new(reason: GapReason, cursor: Cursor) -> Self {
        Self { reason, missed: None, topic: None, cursor, gone: None, after: None, snapshot: false }
    }

    /// Sets the number of events missed.
    #[must_use]
    pub fn missed(self, missed: u64) -> Self {
        Self { missed: Some(missed), ..self }
    }

    /// Sets the position of the last missing event, which is after the gap's cursor.
    #[must_use]
    pub fn gone(self, gone: Cursor) -> Self {
        Self { gone: Some(gone), ..self }
    }

    /// Says that everything up to this cursor was delivered before the gap.
    #[must_use]
    pub fn after(self, cursor: Cursor) -> Self {
        Self { after: Some(cursor), ..self }
    }

    /// Says that the application's state follows the gap.
    #[must_use]
    pub fn with_snapshot(self) -> Self {
        Self { snapshot: true, ..self }
    }

    /// Sets the topic of the missing events.
    #[must_use]
    pub fn topic(self, topic: Topic) -> Self {
        Self { topic: Some(topic), ..self }
    }
}

/// Why events are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GapReason {
    /// The client was away longer than history is kept.
    Evicted,
    /// The subscriber was here, and further behind than history and the hub's
    /// [live buffer](crate::LocalHubBuilder::live_buffer) go.
    Overflow,
    /// The cursor is of another life of the hub; all that is retained follows.
    Epoch,
    /// The cursor can't be read, or is ahead of the hub; what follows is live.
    Invalid,
    /// The event is larger than the endpoint delivers, see
    /// [`EndpointBuilder::max_event`](crate::EndpointBuilder::max_event). The hub has it, and the next event follows.
    TooLarge,
}

impl GapReason {
    /// The reason's name on the wire.
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

/// Behaviour of a subscriber that falls behind the events kept for it: its topics' histories, and the hub's [live
/// buffer](crate::LocalHubBuilder::live_buffer).
///
/// It does not depend on the transport, and applies to live subscribers. A client that was disconnected, or polls, and
/// comes back with a cursor that is older than history gets a [`Gap`] ([`Evicted`](GapReason::Evicted)). With
/// [`Latest`](Self::Latest) it gets one only if it misses an event that no newer one replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// It gets a [`Gap`] with the exact count, and goes on from the oldest event in memory.
    #[default]
    Gap,
    /// Its subscription ends with [`SubscriptionEnd::TooSlow`](crate::subscriber::SubscriptionEnd::TooSlow), which each wire has a word for: a WebSocket
    /// closes with 1013, a stream breaks off.
    Disconnect,
    /// Of the events that it has not read it gets only the newest of each [key](crate::Event::with_key) of each topic, in
    /// its place in the order, and all without a key. For state of which only the present counts, such as prices.
    ///
    /// - Looked at anew at each poll, a polling client's too: a client that reads as fast as is published gets every
    ///   event.
    /// - Events that left history and the live buffer unread are a [`Gap`], except for those that a newer one of their key
    ///   had replaced by then: it is delivered in their place. To a subscriber that was there they count as conflated. A hub knows of all
    ///   replaced events of a topic once it had a subscription that conflates, of the topic or of a pattern that matches;
    ///   before that only of those that have the key of the newest event.
    /// - A client that resumes at any cursor it was given gets the newest event of each key after that. An older one that
    ///   it was spared has a newer one behind it, whose cursor is later.
    /// - If the newest event of a key has [expired](crate::Event::with_ttl), nothing is delivered for the key: the events
    ///   that it replaced stay replaced.
    /// - How many were left out is told with each delivery: [`Batch::conflated`](crate::subscriber::Batch::conflated),
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
