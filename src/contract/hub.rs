use std::future::Future;

use crate::contract::{Subscribe, SubscribeError, Subscriber};
use crate::model::{Cursor, Event, Topic, TopicError};

/// A source of subscriptions that takes events. Clones are handles of one hub.
///
/// [`LocalHub`](crate::LocalHub) is one. Code that is generic over hubs, such as
/// [`Endpoint::public`](crate::Endpoint::public), works with each of them.
pub trait Hub: Clone + Send + Sync + 'static {
    /// The type of its subscriptions.
    type Subscription: Subscriber;

    /// Publishes one event when the future is polled. The future is ready when the hub has accepted the event; it does not
    /// wait for subscribers.
    ///
    /// Each hub also has a method `publish` of its own, which takes everything that names a topic or is an event.
    ///
    /// # Errors
    ///
    /// [`PublishError`] if the event was not accepted, or if that is not known.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped before its first poll publishes nothing. After that the event may have been published. The
    /// future of a [`LocalHub`](crate::LocalHub) is ready at its first poll.
    fn publish(&self, topic: &Topic, event: Event) -> impl Future<Output = Result<Receipt, PublishError>> + Send;

    /// Subscribes from the given start on. The subscription yields each event that is published after this returns.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`] if a name or a combination of settings is not valid, or if the hub takes no more. An engine that is
    /// read when the subscription is polled reports its failures there, by a gap or the end.
    fn subscribe(&self, what: Subscribe) -> Result<Self::Subscription, SubscribeError>;
}

/// The result of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    cursor: Option<Cursor>,
    subscribers: usize,
}

impl Receipt {
    /// Returns a receipt, for implementations of [`Hub`].
    #[must_use]
    pub fn new(cursor: impl Into<Option<Cursor>>, subscribers: usize) -> Self {
        Self { cursor: cursor.into(), subscribers }
    }

    /// Returns the event's position in the hub's order. `None` if the hub has queued the event and does not know it yet. A
    /// [`LocalHub`](crate::LocalHub) always knows it.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    /// Returns the number of subscriptions of this hub that followed the topic when the event was published.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        self.subscribers
    }
}

/// Why an event was not published, or may not have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The name is not a topic.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The hub was closed; nothing more is published to it.
    #[error("the hub is closed")]
    Closed,
    /// The hub's engine cannot be reached. Nothing was published: publish again later.
    #[error("the hub's engine cannot be reached: {0}")]
    Unavailable(Box<str>),
    /// The connection to the hub's engine was lost after the event was sent and before it was confirmed. It may have been
    /// published: publish it again only if a repetition does no harm.
    #[error("the event may have been published: {0}")]
    OutcomeUnknown(Box<str>),
    /// The event weighs more than the hub takes.
    #[error("the event weighs {weight} bytes, the hub takes at most {limit}")]
    TooLarge {
        /// Payload, name and key, in bytes.
        weight: usize,
        /// The hub's limit, in bytes.
        limit: usize,
    },
    /// The hub holds as much as it may, and nothing is left that it could let go of. Slow readers hold the rest: publish
    /// again when they have read, raise the limit, or publish less at a time.
    #[error("no room for {weight} bytes of events: the hub holds at most {limit}, and has nothing left to evict")]
    Full {
        /// Payloads, names and keys of what was to be published, in bytes.
        weight: usize,
        /// The hub's limit, in bytes.
        limit: usize,
    },
    /// The events begin more topics than the hub holds. Publish fewer at once, or raise the limit.
    #[error(
        "the events begin {topics} topics, the hub holds at most {limit}: publish fewer at once or raise `max_topics`"
    )]
    TooManyTopics {
        /// Number of topics without history among those of the events.
        topics: usize,
        /// The hub's limit.
        limit: usize,
    },
}
