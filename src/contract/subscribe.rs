use std::collections::HashSet;
use std::hash::Hash;

use super::{EventFilter, EventRef, SubscribeOptions};
use crate::model::{Cursor, Overflow, Pattern, PatternError, Topic, TopicError};

/// Parameters of a subscription: its topics and patterns, its start, and its behaviour when it falls behind.
///
/// A subscription follows [topics](Self::topics), or a mixture of [patterns](Self::patterns) and topics. An event is
/// delivered once, even if several of them match its topic.
///
/// ```
/// # use tidings::{Start, Subscribe};
/// let news = Subscribe::topics(["news"]).start(Start::Last(10));
/// let prices = Subscribe::patterns(["prices/*", "news"]);
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Subscribe {
    patterns: Vec<Pattern>,
    pub(crate) options: SubscribeOptions,
    invalid: Option<SubscribeError>,
}

/// Start of a subscription. One that is not a cursor begins with the whole state of each
/// [keyed](crate::Retention::latest_per_key) topic, and precedes the [end](crate::subscriber::Delivery::TopicEnd) of a
/// topic that has ended, whenever that was.
///
/// ```
/// use tidings::{LocalHub, Start, Subscribe, Subscriber};
///
/// let hub = LocalHub::new();
/// let cursor = hub.publish_now("news", "first")?.cursor().expect("a local hub has cursors");
/// let resume = hub.subscribe(Subscribe::topics(["news"]).start(Start::After(cursor)))?;
/// assert_eq!(resume.cursor(), Some(cursor));
/// let replay = hub.subscribe(Subscribe::topics(["news"]).start(Start::Oldest))?;
/// assert_ne!(replay.cursor(), Some(cursor), "the first event is still to be delivered");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Start {
    /// Starts with the next event that is published.
    #[default]
    Now,
    /// Starts with the oldest retained event.
    Oldest,
    /// Starts with the last `n` retained events of each topic that have not expired.
    Last(usize),
    /// Resumes with the event after this cursor.
    After(Cursor),
    /// Starts with an [`Invalid`](crate::GapReason::Invalid) gap, and then as [`Now`](Self::Now). For a client whose cursor
    /// is not readable.
    Unreadable,
}

impl Start {
    /// Returns the cursor of a resume.
    pub(crate) fn cursor(self) -> Option<Cursor> {
        match self {
            Self::After(cursor) => Some(cursor),
            _ => None,
        }
    }
}

impl Subscribe {
    /// Creates parameters for these topics, with the start [`Start::Now`].
    ///
    /// A name with `*` is not accepted, so a name that a client supplied cannot become a wildcard. For wildcards use
    /// [`patterns`](Self::patterns).
    ///
    /// # Errors
    ///
    /// For a text that is not a topic name, [`Hub::subscribe`](crate::Hub::subscribe) returns [`SubscribeError::Topic`].
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

    /// Creates parameters for these [patterns](Pattern), with the start [`Start::Now`]. A topic name is a pattern that
    /// matches only that topic.
    ///
    /// Do not build a pattern from a client's text. A client that sends `*` would follow every topic that matches.
    ///
    /// # Errors
    ///
    /// For a text that is not a pattern, [`Hub::subscribe`](crate::Hub::subscribe) returns [`SubscribeError::Pattern`].
    pub fn patterns<I>(patterns: I) -> Self
    where
        I: IntoIterator,
        I::Item: TryInto<Pattern>,
        PatternError: From<<I::Item as TryInto<Pattern>>::Error>,
    {
        let patterns = patterns.into_iter();
        Self::collect(patterns.map(|pattern| pattern.try_into().map_err(|error| SubscribeError::Pattern(error.into()))))
    }

    /// Returns whether a pattern has a wildcard.
    #[cfg(feature = "http")]
    pub(crate) fn has_wildcard(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern.as_topic().is_none())
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

    /// Sets the start of one topic or pattern of the subscription, for clients without a cursor.
    ///
    /// A client with a cursor resumes every topic there: if [`start`](Self::start) is [`Start::After`] or
    /// [`Start::Unreadable`], as [`SubscribeRequest::subscribe_to`](crate::SubscribeRequest::subscribe_to) sets it, this start
    /// is not used. A client whose connection is cut while it receives older events of one topic resumes all topics at the
    /// last of these. It may then receive events of another topic from before that topic's own start.
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
    /// // The last 50 messages of the chat, and only new events of presence.
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

    /// Marks topics and patterns of the subscription that the client did not follow up to its cursor. A
    /// [keyed](crate::Retention::latest_per_key) topic that one of them matches begins with its whole state, although
    /// the client has a cursor.
    ///
    /// [`SubscribeRequest::subscribe_to`](crate::SubscribeRequest::subscribe_to) does so for those that a session adds.
    pub fn added<I: IntoIterator<Item: Into<Pattern>>>(mut self, names: I) -> Self {
        self.options.set_added(names.into_iter().map(Into::into));
        self
    }

    /// Marks the topics and patterns that none of these patterns covers as [added](Self::added).
    #[cfg(feature = "http")]
    pub(crate) fn added_to(mut self, known: &[Pattern]) -> Self {
        let is_known = |name: &&Pattern| known.iter().any(|other| other.covers(name));
        let added: Vec<_> = self.patterns.iter().filter(|name| !is_known(name)).cloned().collect();
        self.options.set_added(added);
        self
    }

    /// Sets a predicate of the events that are delivered. Default: all events. A second call replaces the first
    /// predicate.
    ///
    /// Use it if clients of one topic may see different events of it. Topics of their own cost less: the predicate is
    /// called for each event, in the task that polls the subscription. [`Event::with_tag`](crate::Event::with_tag) sets
    /// a text that it can compare without a look at the payload.
    ///
    /// ```
    /// use std::task::{Context, Poll, Waker};
    /// use tidings::subscriber::Delivery;
    /// use tidings::{Event, LocalHub, Subscribe, Subscriber};
    ///
    /// let hub = LocalHub::new();
    /// let for_staff = Subscribe::topics(["audit"]).filter(|event| event.event.tag() == Some("staff"));
    /// let mut staff = hub.subscribe(for_staff)?;
    /// hub.publish_now("audit", Event::text("a login").with_tag("admin")?)?;
    /// hub.publish_now("audit", Event::text("a refund").with_tag("staff")?)?;
    /// let Poll::Ready(Delivery::Events(batch)) = staff.poll_next(&mut Context::from_waker(Waker::noop())) else {
    ///     unreachable!("the second event is ready");
    /// };
    /// assert_eq!(batch.iter().map(|event| event.event.as_str()).collect::<Vec<_>>(), [Some("a refund")]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// - An event that is left out is no [gap](crate::Gap), and the subscription's cursor moves past it. Gaps and [ends
    ///   of topics](crate::subscriber::Delivery::TopicEnd) are delivered without a call of the predicate. A gap has no
    ///   number of missing events, and may be of events that the predicate would have left out.
    /// - The predicate must return the same for the same event each time, also for the subscription with which a client
    ///   resumes. Otherwise events are lost without a gap. For a permission that changes, end the session or change its
    ///   topics.
    /// - With [`Overflow::Latest`], older events of a key are left out before the predicate is asked: if it leaves out
    ///   the newest one, nothing is delivered for the key. In a topic that keeps the [newest event of each
    ///   key](crate::Retention::latest_per_key) it must depend on the topic and the key alone. If it left out a later
    ///   event of a key, the client would keep the earlier one.
    /// - [`Start::Last`] counts events before the predicate is asked, so a client may get fewer.
    /// - An event is encoded once for each format, whatever the number of subscriptions and predicates. The bytes that
    ///   a subscription gets are copied from that encoding, unless they are adjacent. Subscriptions that get the same of
    ///   up to 64 events share the copy.
    /// - It runs without a lock of the hub. After a panic the subscription is at the same position, and asks again. A
    ///   session of an [`Endpoint`](crate::Endpoint) ends as [`Panicked`](crate::SessionEnd::Panicked).
    /// - A poll that has looked at 4,096 events and delivered none wakes its task and is pending.
    /// - A client gets the cursor only with an event or a keep-alive, so the keep-alives of a filtered stream have the
    ///   cursor: in SSE as a block `event: tidings.heartbeat`, in NDJSON as a `heartbeat`.
    pub fn filter<F>(mut self, predicate: F) -> Self
    where
        F: Fn(&EventRef<'_>) -> bool + Send + Sync + 'static,
    {
        self.options.set_filter(EventFilter::new(predicate));
        self
    }

    /// Sets the overflow of all topics: the policy for a subscriber that falls behind. Default: [`Overflow::Gap`]. It loses
    /// no event without a notice.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.options.set_overflow(overflow);
        self
    }

    /// Sets the overflow of one topic or pattern of the subscription. With [`Overflow::Disconnect`] the whole subscription
    /// ends if it falls behind in that topic.
    ///
    /// A client of this subscription receives every chat message or a gap, but only the newest prices:
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
    /// [`Hub::subscribe`](crate::Hub::subscribe) returns [`SubscribeError::NotFollowed`] if the subscription does not name
    /// the topic, [`Covered`](SubscribeError::Covered) if one of its patterns matches it too, and
    /// [`Pattern`](SubscribeError::Pattern) if `name` is not a pattern.
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

    /// Returns the patterns and options. There is at least one pattern, and no duplicate. Several may match a topic.
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

/// Number of values up to which a comparison with each of them is faster than hashing.
const FEW: usize = 16;

/// Adds a value if it is new. `known` is the set of the values if they are more than [`FEW`].
#[inline]
fn push_distinct<T: Clone + Eq + Hash>(values: &mut Vec<T>, known: &mut Option<HashSet<T>>, value: T) {
    let is_new = if values.len() < FEW { !values.contains(&value) } else { insert(values, known, &value) };
    if is_new {
        values.push(value);
    }
}

/// Adds a value to the set. Returns whether it is new.
#[cold]
fn insert<T: Clone + Eq + Hash>(values: &[T], known: &mut Option<HashSet<T>>, value: &T) -> bool {
    known.get_or_insert_with(|| values.iter().cloned().collect()).insert(value.clone())
}

/// Error of a subscription that was not created.
///
/// ```
/// use tidings::{LocalHub, Start, Subscribe, SubscribeError};
///
/// let hub = LocalHub::new();
/// let subscribe = Subscribe::topics(["news"]).start_of("chat", Start::Oldest);
/// assert!(matches!(hub.subscribe(subscribe), Err(SubscribeError::NotFollowed(_))));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The subscription names no topic.
    #[error("subscription has no topic; name at least one")]
    NoTopics,
    /// A text is not a topic name.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// A text is not a pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// A start or overflow was set for a topic or pattern that the subscription does not name.
    #[error("`{0}` has its own start or overflow and is not subscribed to; add it to the topics or patterns")]
    NotFollowed(Pattern),
    /// A start or overflow was set for a topic or pattern that another pattern of the subscription covers.
    #[error("`{0}` cannot have its own start or overflow; another pattern of the subscription matches it")]
    Covered(Pattern),
    /// The start of one topic or pattern is a cursor.
    #[error("`{0}` cannot have its own cursor; a cursor applies to all topics, set it with `Subscribe::start`")]
    OwnCursor(Pattern),
    /// Subscriptions follow the maximum number of topics without events. Subscribe again later, or raise the limit.
    #[error("hub has subscriptions of {limit} topics without events; raise its `max_topics`")]
    TooManyTopics {
        /// Limit of the hub.
        limit: usize,
    },
    /// The hub is closed.
    #[error("hub is closed")]
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
    fn distinct_values_keep_their_order_and_need_few_comparisons() {
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
