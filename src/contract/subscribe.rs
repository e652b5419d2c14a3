use std::collections::HashSet;
use std::hash::Hash;

use crate::model::{Cursor, Overflow, Pattern, PatternError, Topic, TopicError};

/// What to subscribe to, from where, and what happens to a subscriber that falls behind.
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
    start: Start,
    overflow: Overflow,
    invalid: Option<SubscribeError>,
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
        let mut this = Self { patterns: room, start: Start::Now, overflow: Overflow::Gap, invalid: None };
        let mut known = None;
        for pattern in patterns {
            match pattern {
                Ok(pattern) => push_distinct(&mut this.patterns, &mut known, pattern),
                Err(error) => this.invalid = Some(error),
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

    /// For hubs: the parts, checked. At least one pattern, none twice; but one may match what another matches too, and a
    /// hub delivers each event once.
    pub fn into_parts(self) -> Result<(Vec<Pattern>, Start, Overflow), SubscribeError> {
        match self.invalid {
            Some(error) => Err(error),
            None if self.patterns.is_empty() => Err(SubscribeError::NoTopics),
            None => Ok((self.patterns, self.start, self.overflow)),
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
