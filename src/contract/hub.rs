use std::future::Future;

use crate::contract::{Subscribe, SubscribeError, Subscriber};
use crate::model::{Cursor, Event, Topic};

/// Takes events and hands out subscribers. A handle: clones are the same hub.
pub trait Hub: Clone + Send + Sync + 'static {
    /// Subscriber that [`subscribe`](Self::subscribe) returns.
    type Subscription: Subscriber;

    /// Publishes one event when the future is polled. Ready when the hub has accepted it; never waits for a subscriber.
    ///
    /// Cancel safety: a future that is dropped before its first poll publishes nothing. After that the event may have been
    /// published. That of a [`LocalHub`](crate::LocalHub) is ready at its first poll, so there is nothing in between.
    fn publish(&self, topic: &Topic, event: Event) -> impl Future<Output = Result<Receipt, PublishError>> + Send;

    /// Subscribes from the given start on; events published after this returns are never missed.
    fn subscribe(&self, what: Subscribe) -> Result<Self::Subscription, SubscribeError>;
}

/// Result of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The event's cursor.
    pub cursor: Cursor,
    /// How many subscriptions of this hub followed the topic then.
    pub subscribers: usize,
}

impl Receipt {
    /// A receipt for the event at `cursor`.
    #[must_use]
    pub fn new(cursor: Cursor, subscribers: usize) -> Self {
        Self { cursor, subscribers }
    }
}

/// Why an event was not published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The hub was closed; nothing more is published to it.
    #[error("the hub is closed")]
    Closed,
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
