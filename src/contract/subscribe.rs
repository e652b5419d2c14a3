use crate::model::{Cursor, Overflow, Topic, TopicError};

/// What to subscribe to, from where, and what happens to a subscriber that falls behind.
///
/// ```
/// use tidings::{Start, Subscribe};
///
/// let subscribe = Subscribe::to(["prices/eu", "prices/us"]).start(Start::Last(10));
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Subscribe {
    topics: Vec<Topic>,
    start: Start,
    overflow: Overflow,
    invalid: Option<TopicError>,
}

/// Where a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Start {
    /// With the next event published.
    #[default]
    Now,
    /// With the oldest event retained.
    Oldest,
    /// With the last `n` retained events of each topic that have not expired.
    Last(usize),
    /// With the event after this cursor: a resume.
    After(Cursor),
    /// The client sent a cursor that can't be read: an `invalid` gap, then as [`Start::Now`].
    Unreadable,
}

impl Subscribe {
    /// A subscription of these topics, from now on. A name that is no topic is told by the hub.
    pub fn to<I>(topics: I) -> Self
    where
        I: IntoIterator,
        I::Item: TryInto<Topic>,
        TopicError: From<<I::Item as TryInto<Topic>>::Error>,
    {
        let mut this = Self { topics: Vec::new(), start: Start::Now, overflow: Overflow::Gap, invalid: None };
        for topic in topics {
            match topic.try_into() {
                Ok(topic) if this.topics.contains(&topic) => {}
                Ok(topic) => this.topics.push(topic),
                Err(error) => this.invalid = Some(error.into()),
            }
        }
        this
    }

    /// The same from another start.
    pub fn start(self, start: Start) -> Self {
        Self { start, ..self }
    }

    /// The same with another fate for a subscriber that falls behind.
    pub fn overflow(self, overflow: Overflow) -> Self {
        Self { overflow, ..self }
    }

    /// For hubs: the parts, checked. At least one topic, none twice.
    pub fn into_parts(self) -> Result<(Vec<Topic>, Start, Overflow), SubscribeError> {
        match self.invalid {
            Some(error) => Err(error.into()),
            None if self.topics.is_empty() => Err(SubscribeError::NoTopics),
            None => Ok((self.topics, self.start, self.overflow)),
        }
    }
}

/// Why there is no subscription.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// No topic was named.
    #[error("name at least one topic")]
    NoTopics,
    /// A name is not a topic.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The hub was closed.
    #[error("the hub is closed")]
    Closed,
}
