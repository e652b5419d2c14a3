use std::collections::HashSet;
use std::hash::Hash;

use super::SubscribeOptions;
use crate::model::{Cursor, Overflow, Pattern, PatternError, Topic, TopicError};

/// Parameters of a subscription: its topics and patterns, its start, and its behaviour when it falls behind.
///
/// A subscription follows [topics](Self::topics), or [patterns](Self::patterns) and topics mixed. An event is delivered
/// once, however many of them match its topic.
///
/// ```
/// use tidings::{Start, Subscribe};
///
/// let news = Subscribe::topics(["news"]).start(Start::Last(10));
/// let prices = Subscribe::patterns(["prices/*", "news"]);
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Subscribe {
    patterns: Vec<Pattern>,
    options: SubscribeOptions,
    invalid: Option<SubscribeError>,
}

/// Start of a subscription.
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

impl Start {
    /// Returns the cursor that the client came with.
    pub(crate) fn cursor(self) -> Option<Cursor> {
        match self {
            Self::After(cursor) => Some(cursor),
            _ => None,
        }
    }
}

impl Subscribe {
    /// Follows these topics, from now on. Refuses every `*`, so that a name that a client supplied cannot become a
    /// wildcard: use [`patterns`](Self::patterns) for those.
    ///
    /// A text that is not a topic name is reported by [`Hub::subscribe`](crate::Hub::subscribe), as
    /// [`SubscribeError::Topic`].
    pub fn topics<I>(topics: I) -> Self
    where
        I: IntoIterator,
        I::Item: TryInto<Topic>,
        TopicError: From<<I::Item as TryInto<Topic>>::Error>,
    {
        let topics = topics.into_iter();
        Self::collect(topics.map(|topic| match topic.try_into() {
            Ok(topic) => Ok(Pattern::from(topic)),
            Err(error) => Err(SubscribeError::Topic(error.into())),
        }))
    }

    /// Follows these [patterns](Pattern), from now on; a topic name is a pattern that matches that topic alone.
    ///
    /// Do not build a pattern from a client's text: a client that sends `*` would follow every topic that matches. A
    /// text that is not a pattern is reported by [`Hub::subscribe`](crate::Hub::subscribe), as
    /// [`SubscribeError::Pattern`].
    pub fn patterns<I>(patterns: I) -> Self
    where
        I: IntoIterator,
        I::Item: TryInto<Pattern>,
        PatternError: From<<I::Item as TryInto<Pattern>>::Error>,
    {
        let patterns = patterns.into_iter();
        Self::collect(patterns.map(|pattern| pattern.try_into().map_err(|error| SubscribeError::Pattern(error.into()))))
    }

    #[inline]
    fn collect(patterns: impl Iterator<Item = Result<Pattern, SubscribeError>>) -> Self {
        let room = Vec::with_capacity(patterns.size_hint().0);
        let mut this = Self { patterns: room, options: SubscribeOptions::default(), invalid: None };
        let mut known = None;
        for pattern in patterns {
            match pattern {
                Ok(pattern) => push_distinct(&mut this.patterns, &mut known, pattern),
                Err(error) => this.invalid = Some(error),
            }
        }
        this
    }

    /// Sets the start of all topics. Default: [`Start::Now`].
    pub fn start(mut self, start: Start) -> Self {
        self.options.set_start(start);
        self
    }

    /// Sets the start of one topic or pattern of the subscription, for clients that come without a cursor.
    ///
    /// A client that comes with a cursor resumes every topic there: where [`start`](Self::start) is [`Start::After`] or
    /// [`Start::Unreadable`], as [`SubscribeRequest::subscribe_to`](crate::SubscribeRequest::subscribe_to) sets it, the
    /// topics' own starts are not used. A client that is cut while it receives older events of one topic resumes all
    /// topics at the last of these, so it may receive events of another topic from before that topic's own start.
    ///
    /// ```
    /// use std::task::{Context, Poll, Waker};
    /// use tidings::{LocalHub, Start, Subscribe, Subscriber, Topic};
    /// use tidings::subscriber::Delivery;
    ///
    /// let hub = LocalHub::new();
    /// let (chat, presence) = (Topic::new("rooms/7/chat")?, Topic::new("rooms/7/presence")?);
    /// hub.publish_now(&chat, "hello")?;
    /// hub.publish_now(&presence, "ann is here")?;
    ///
    /// // The last 50 messages, and of presence only what changes from now on.
    /// let room = Subscribe::topics([&chat, &presence]).start_of(&chat, Start::Last(50));
    /// let mut room = hub.subscribe(room)?;
    /// let Poll::Ready(Delivery::Events(batch)) = room.poll_next(&mut Context::from_waker(Waker::noop())) else {
    ///     unreachable!("the chat has history");
    /// };
    /// assert_eq!((batch.topic(), batch.iter().count()), (&chat, 1));
    /// assert!(room.poll_next(&mut Context::from_waker(Waker::noop())).is_pending());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Hub::subscribe`](crate::Hub::subscribe) returns [`SubscribeError::NotFollowed`] if the subscription does not name
    /// the topic, [`Covered`](SubscribeError::Covered) if one of its patterns matches it too,
    /// [`OwnCursor`](SubscribeError::OwnCursor) if the start is a cursor, and [`Pattern`](SubscribeError::Pattern) if `name`
    /// is not a pattern.
    pub fn start_of<P>(mut self, name: P, start: Start) -> Self
    where
        P: TryInto<Pattern>,
        PatternError: From<P::Error>,
    {
        let set = name.try_into().map_err(|error| SubscribeError::Pattern(error.into()));
        if let Err(error) = set.and_then(|name| self.options.set_start_of(name, start)) {
            self.invalid = Some(error);
        }
        self
    }

    /// Sets the overflow of all topics: the treatment of a subscriber that falls behind. Default: [`Overflow::Gap`].
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.options.set_overflow(overflow);
        self
    }

    /// Sets the overflow of one topic or pattern of the subscription: of a chat no message is left out silently, of prices
    /// the newest are enough. With [`Overflow::Disconnect`] the whole subscription ends if it falls behind there.
    ///
    /// ```
    /// use tidings::{LocalHub, Overflow, Subscribe};
    ///
    /// let hub = LocalHub::new();
    /// let room = Subscribe::topics(["rooms/7/chat", "rooms/7/prices"]).overflow_of("rooms/7/prices", Overflow::Latest);
    /// let room = hub.subscribe(room)?;
    /// # drop(room);
    /// # Ok::<(), tidings::SubscribeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`start_of`](Self::start_of).
    pub fn overflow_of<P>(mut self, name: P, overflow: Overflow) -> Self
    where
        P: TryInto<Pattern>,
        PatternError: From<P::Error>,
    {
        match name.try_into() {
            Ok(name) => self.options.set_overflow_of(name, overflow),
            Err(error) => self.invalid = Some(SubscribeError::Pattern(error.into())),
        }
        self
    }

    /// Returns the patterns and options. There is at least one pattern, and none is there twice. A pattern may match topics
    /// of another one; a hub delivers each event once.
    pub(crate) fn into_parts(self) -> Result<(Vec<Pattern>, SubscribeOptions), SubscribeError> {
        match self.invalid {
            Some(error) => Err(error),
            None if self.patterns.is_empty() => Err(SubscribeError::NoTopics),
            None => {
                self.options.check(&self.patterns)?;
                Ok((self.patterns, self.options))
            }
        }
    }
}

/// Number of values up to which comparing with each of them is faster than hashing.
const FEW: usize = 16;

/// Adds a value, if it is not there. `known` has all of them again, once they are more than a [`FEW`].
#[inline]
fn push_distinct<T: Clone + Eq + Hash>(values: &mut Vec<T>, known: &mut Option<HashSet<T>>, value: T) {
    let is_new = if values.len() < FEW { !values.contains(&value) } else { insert(values, known, &value) };
    if is_new {
        values.push(value);
    }
}

/// Adds one of many values to those that are known. Returns whether it is new.
#[cold]
fn insert<T: Clone + Eq + Hash>(values: &[T], known: &mut Option<HashSet<T>>, value: &T) -> bool {
    known.get_or_insert_with(|| values.iter().cloned().collect()).insert(value.clone())
}

/// Why there is no subscription.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// No topic was named.
    #[error("name at least one topic")]
    NoTopics,
    /// A text is not a topic name.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// A text is not a pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// A topic or pattern that the subscription does not follow has a start or overflow of its own.
    #[error("`{0}` has a start or overflow of its own: name it in `Subscribe::topics` or `Subscribe::patterns` too")]
    NotFollowed(Pattern),
    /// A topic or pattern that another pattern of the subscription covers has a start or overflow of its own.
    #[error("`{0}` cannot have a start or overflow of its own: a pattern of the same subscription matches it too")]
    Covered(Pattern),
    /// The start of one topic or pattern is a cursor.
    #[error("`{0}` cannot have a cursor of its own: a cursor is for all topics, give it to `Subscribe::start`")]
    OwnCursor(Pattern),
    /// Subscriptions follow as many topics without events as the hub allows. Subscribe again later, or raise the limit.
    #[error("{limit} topics without events are subscribed to already: raise `max_topics` of the hub")]
    TooManyTopics {
        /// The hub's limit.
        limit: usize,
    },
    /// The hub was closed.
    #[error("the hub is closed")]
    Closed,
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::cell::Cell;
    use std::hash::Hasher;

    use super::*;

    thread_local!(static COMPARISONS: Cell<usize> = const { Cell::new(0) });

    #[derive(Clone, Debug)]
    struct Counted(usize);

    impl PartialEq for Counted {
        fn eq(&self, other: &Self) -> bool {
            COMPARISONS.set(COMPARISONS.get() + 1);
            self.0 == other.0
        }
    }

    impl Eq for Counted {}

    impl Hash for Counted {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }

    #[test]
    fn distinct_values_keep_their_order_at_a_few_comparisons_each() {
        const MANY: usize = 10_000;
        for (values, distinct) in [(10, 7), (FEW, FEW), (FEW + 1, FEW + 1), (MANY, MANY), (MANY, MANY / 3)] {
            COMPARISONS.set(0);
            let (mut all, mut known) = (Vec::new(), None);
            (0..values).for_each(|n| push_distinct(&mut all, &mut known, Counted(n % distinct)));
            let comparisons = COMPARISONS.get();
            assert!(all.iter().map(|value| value.0).eq(0..distinct), "{all:?}");
            assert!(comparisons <= 2 * values + FEW * FEW, "{comparisons} comparisons for {values} values");
        }
    }
}
