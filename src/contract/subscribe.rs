use crate::model::{Cursor, Overflow, Pattern, PatternError};

/// What to subscribe to, from where, and what happens to a subscriber that falls behind.
///
/// Topics and [patterns](Pattern) may be mixed. An event comes once, however many of them match its topic.
///
/// ```
/// use tidings::{Start, Subscribe};
///
/// let subscribe = Subscribe::to(["prices/*", "news"]).start(Start::Last(10));
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Subscribe {
    patterns: Vec<Pattern>,
    start: Start,
    overflow: Overflow,
    invalid: Option<PatternError>,
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
    /// A subscription of these topics and [patterns](Pattern), from now on. A text that is neither is told by the hub.
    pub fn to<I>(patterns: I) -> Self
    where
        I: IntoIterator,
        I::Item: TryInto<Pattern>,
        PatternError: From<<I::Item as TryInto<Pattern>>::Error>,
    {
        let patterns = patterns.into_iter();
        let room = Vec::with_capacity(patterns.size_hint().0);
        let mut this = Self { patterns: room, start: Start::Now, overflow: Overflow::Gap, invalid: None };
        for pattern in patterns {
            match pattern.try_into() {
                Ok(pattern) if this.patterns.contains(&pattern) => {}
                Ok(pattern) => this.patterns.push(pattern),
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

    /// For hubs: the parts, checked. At least one pattern, none twice; but one may match what another matches too, and a
    /// hub delivers each event once.
    pub fn into_parts(self) -> Result<(Vec<Pattern>, Start, Overflow), SubscribeError> {
        match self.invalid {
            Some(error) => Err(error.into()),
            None if self.patterns.is_empty() => Err(SubscribeError::NoTopics),
            None => Ok((self.patterns, self.start, self.overflow)),
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
    /// A text is neither a topic nor a pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// The hub was closed.
    #[error("the hub is closed")]
    Closed,
}
