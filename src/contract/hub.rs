use std::future::{Future, ready};

use crate::contract::{Subscribe, SubscribeError, Subscriber};
use crate::model::{Cursor, EndReason, Event, Topic, TopicEnd, TopicError};

/// Hub: accepts events and creates subscriptions. Clones are handles of one hub.
///
/// [`LocalHub`](crate::LocalHub) implements it. Code that is generic over hubs, such as
/// [`Endpoint::public`](crate::Endpoint::public), works with every implementation.
///
/// ```
/// use tidings::{Event, Hub, PublishError, Topic};
///
/// async fn publish_twice(hub: &impl Hub, topic: &Topic) -> Result<(), PublishError> {
///     hub.publish(topic, Event::text("first")).await?;
///     hub.publish(topic, Event::text("second")).await?;
///     Ok(())
/// }
/// ```
pub trait Hub: Clone + Send + Sync + 'static {
    /// Type of the subscriptions.
    type Subscription: Subscriber;

    /// Publishes one event when the future is polled. The future is ready when the hub has accepted the event. It does not
    /// wait for subscribers.
    ///
    /// Each hub also has an inherent method `publish`, whose arguments are anything that names a topic and anything that
    /// converts into an event.
    ///
    /// # Errors
    ///
    /// Returns [`PublishError`] if the event was not accepted, or if this is not known.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped before its first poll publishes nothing. After that the event may have been published. The
    /// future of a [`LocalHub`](crate::LocalHub) is ready at its first poll.
    fn publish(&self, topic: &Topic, event: Event) -> impl Future<Output = Result<Receipt, PublishError>> + Send;

    /// Ends a topic when the future is polled: subscribers of the topic receive its [end](TopicEnd) after its last event, and
    /// later publishes to it are refused with [`PublishError::Finished`].
    ///
    /// The first call determines the reason. Later calls change nothing and return the first end.
    ///
    /// # Errors
    ///
    /// Returns [`PublishError::Unsupported`] if the hub cannot end topics, as the default implementation does, and the other
    /// errors of [`publish`](Self::publish).
    fn finish(&self, topic: &Topic, reason: EndReason) -> impl Future<Output = Result<TopicEnd, PublishError>> + Send {
        let _ = (topic, reason);
        ready(Err(PublishError::Unsupported))
    }

    /// Creates a subscription. It yields each event of its topics that is published after this call returns, and earlier ones
    /// from its [start](crate::Start).
    ///
    /// # Errors
    ///
    /// Returns [`SubscribeError`] if a name or a combination of settings is not valid, or if a limit of the hub is reached. A
    /// hub that reads its events only when the subscription is polled reports failures there, by a gap or the end.
    fn subscribe(&self, what: Subscribe) -> Result<Self::Subscription, SubscribeError>;
}

/// Result of a publish.
///
/// ```
/// use tidings::{LocalHub, Subscribe};
///
/// let hub = LocalHub::new();
/// let subscription = hub.subscribe(Subscribe::topics(["news"]))?;
/// let receipt = hub.publish_now("news", "first")?;
/// assert_eq!(receipt.subscribers(), 1);
/// assert!(receipt.cursor().is_some());
/// # drop(subscription);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    cursor: Option<Cursor>,
    subscribers: usize,
}

impl Receipt {
    /// Creates a receipt. Implementations of [`Hub`] call it.
    #[must_use]
    pub fn new(cursor: impl Into<Option<Cursor>>, subscribers: usize) -> Self {
        Self { cursor: cursor.into(), subscribers }
    }

    /// Returns the cursor of the event. `None` if the hub has queued the event and has not assigned a cursor yet. A
    /// [`LocalHub`](crate::LocalHub) always returns one.
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

/// Error of a publish.
///
/// ```
/// use tidings::{LocalHub, PublishError, TopicError};
///
/// let hub = LocalHub::new();
/// assert_eq!(hub.publish_now("", "first"), Err(PublishError::Topic(TopicError::Empty)));
/// hub.close();
/// assert_eq!(hub.publish_now("news", "first"), Err(PublishError::Closed));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The name is not a topic.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The hub is closed.
    #[error("hub is closed")]
    Closed,
    /// The topic has ended, see [`Hub::finish`]. A batch with such a topic publishes nothing.
    #[error("topic `{0}` has ended; publish to another topic")]
    Finished(Topic),
    /// The topic keeps the newest event of each key, and the event has no key.
    #[error("topic `{0}` keeps the newest event of each key; set the event's key")]
    KeyRequired(Topic),
    /// The topic keeps the newest event of each key, and the event has a time to live.
    #[error("topic `{0}` keeps the newest event of each key; publish events without a time to live, and removals")]
    TtlUnsupported(Topic),
    /// The event is a removal, and the topic does not keep the newest event of each key.
    #[error("topic `{0}` keeps no state; set `Retention::latest_per_key` for it")]
    NotKeyed(Topic),
    /// The state of the topic, or of all topics of the hub, has no room for the event. Remove keys, or raise the limit.
    #[error("state of topic `{topic}` has no room for the event; remove keys or raise its limits")]
    StateFull {
        /// Topic of the event.
        topic: Topic,
    },
    /// The hub does not support the operation.
    #[error("hub does not support the operation")]
    Unsupported,
    /// The hub's server cannot be reached. Nothing was published. Publish again later.
    #[error("hub is not reachable: {0}")]
    Unavailable(Box<str>),
    /// The connection to the hub's server was lost before the event was confirmed, so the event may have been published.
    /// Publish it again only if a duplicate is harmless.
    #[error("outcome of the publish is unknown: {0}")]
    OutcomeUnknown(Box<str>),
    /// The event is larger than the limit of the hub.
    #[error("event is {weight} bytes; the limit of the hub is {limit}")]
    TooLarge {
        /// Sum of payload, name and key, in bytes.
        weight: usize,
        /// Limit of the hub, in bytes.
        limit: usize,
    },
    /// The hub's memory is full, and it has nothing left to evict: slow readers hold the rest. Publish again when they have
    /// read, raise the limit, or publish less at once.
    #[error("hub has no room for {weight} bytes; its limit is {limit} bytes and nothing is left to evict")]
    Full {
        /// Sum of the payloads, names and keys of the events, in bytes.
        weight: usize,
        /// Limit of the hub, in bytes.
        limit: usize,
    },
    /// The events create more topics than the hub may hold. Publish fewer at once, or raise the limit.
    #[error(
        "events create {topics} topics; the limit of the hub is {limit}. Publish fewer at once or raise `max_topics`"
    )]
    TooManyTopics {
        /// Number of topics without history, or without a state, among those of the events.
        topics: usize,
        /// Limit of the hub.
        limit: usize,
    },
}
