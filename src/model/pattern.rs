use std::borrow::Borrow;
use std::convert::Infallible;
use std::fmt;
use std::iter::once;
use std::str::FromStr;

use crate::model::{Topic, TopicError};

/// Name of one topic, or of all topics below a prefix, including topics that are created later.
///
/// | pattern | matches |
/// |---|---|
/// | `orders/eu` | the topic `orders/eu` |
/// | `orders/*` | every topic with exactly one segment after `orders` |
/// | `orders/**` | every topic with one or more segments after `orders` |
/// | `*` | every topic of one segment |
/// | `**` | every topic |
///
/// A wildcard is the whole last segment; other segments have none. Of two patterns either one contains the other, or they
/// have no topic in common. Clones share the text.
///
/// ```
/// use tidings::{Pattern, Topic};
///
/// let (near, far) = (Topic::new("orders/eu")?, Topic::new("orders/eu/7")?);
/// let children = Pattern::new("orders/*")?;
/// assert!(children.matches(&near) && !children.matches(&far));
/// let below = Pattern::new("orders/**")?;
/// assert!(below.matches(&near) && below.matches(&far) && !below.matches(&Topic::new("orders")?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern(
    /// The text. It is handed out as a topic only if it has no wildcard.
    Topic,
);

/// Wildcard of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wildcard {
    /// `*`: one segment.
    One,
    /// `**`: one or more segments.
    Any,
}

impl Pattern {
    /// Checks a text and creates a pattern. The part before a wildcard must be a valid [`Topic`] name.
    ///
    /// # Errors
    ///
    /// Returns [`PatternError::Topic`] if the text, or its part before the wildcard, is not a topic name, and
    /// [`PatternError::Wildcard`] if a `*` is misplaced.
    pub fn new(text: impl AsRef<str>) -> Result<Self, PatternError> {
        let text = text.as_ref();
        let (prefix, last) = text.rsplit_once('/').map_or((None, text), |(prefix, last)| (Some(prefix), last));
        if !matches!(last, "*" | "**") {
            return Self::topic(text);
        }
        if let Some(prefix) = prefix {
            Self::topic(prefix)?;
        }
        Ok(Self(Topic::unchecked(text)))
    }

    fn topic(name: &str) -> Result<Self, PatternError> {
        Topic::new(name).map(Self).map_err(|error| match error {
            TopicError::Wildcard => PatternError::Wildcard,
            error => PatternError::Topic(error),
        })
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns the topic if the pattern has no wildcard.
    #[must_use]
    pub fn as_topic(&self) -> Option<&Topic> {
        match self.wildcard() {
            None => Some(&self.0),
            Some(_) => None,
        }
    }

    /// Returns whether the pattern matches `topic`.
    #[must_use]
    pub fn matches(&self, topic: &Topic) -> bool {
        self.matches_name(topic.as_str())
    }

    /// Returns whether the pattern matches the topic of this name.
    pub(crate) fn matches_name(&self, topic: &str) -> bool {
        match self.wildcard() {
            None => self.as_str() == topic,
            Some(Wildcard::One) => topic.strip_prefix(self.prefix()).is_some_and(|rest| !rest.contains('/')),
            Some(Wildcard::Any) => topic.starts_with(self.prefix()),
        }
    }

    /// Returns whether the pattern matches every topic that `other` matches.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (self.wildcard(), other.as_topic()) {
            _ if self == other => true,
            (Some(Wildcard::Any), _) => other.as_str().starts_with(self.prefix()),
            (Some(Wildcard::One), Some(topic)) => self.matches(topic),
            _ => false,
        }
    }

    /// Returns the texts of all other patterns that [cover](Self::covers) this one, the narrowest first. Their number is at
    /// most the number of segments plus one.
    pub(crate) fn covering(&self) -> impl Iterator<Item = String> + '_ {
        covering(self.as_str(), self.wildcard())
    }

    /// Returns the texts of all patterns that match a topic, the narrowest first: the topic itself, `*` in place of its last
    /// segment, then `**` after each prefix from the longest to the empty one.
    pub(crate) fn matching(topic: &Topic) -> impl Iterator<Item = String> + '_ {
        once(topic.as_str().to_owned()).chain(covering(topic.as_str(), None))
    }

    /// Returns the common prefix of all matching topics: the text without its wildcard.
    pub(crate) fn prefix(&self) -> &str {
        self.as_str().trim_end_matches('*')
    }

    fn wildcard(&self) -> Option<Wildcard> {
        match self.as_str().as_bytes() {
            [.., b'*', b'*'] => Some(Wildcard::Any),
            [.., b'*'] => Some(Wildcard::One),
            _ => None,
        }
    }
}

/// Error of a text that is not a [`Pattern`].
///
/// ```
/// use tidings::{Pattern, PatternError, TopicError};
///
/// assert_eq!(Pattern::new("orders/*/eu"), Err(PatternError::Wildcard));
/// assert_eq!(Pattern::new("orders//*"), Err(PatternError::Topic(TopicError::EmptySegment)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// The text before the wildcard, or the whole text if it has none, is not a topic.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The text contains a `*` other than a last segment of `*` or `**`.
    #[error("pattern has a misplaced '*'; use 'prefix/*' or 'prefix/**'")]
    Wildcard,
}

impl From<Infallible> for PatternError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Returns the texts of all other patterns that cover this one.
fn covering(name: &str, wildcard: Option<Wildcard>) -> impl Iterator<Item = String> + '_ {
    let prefixes = name.rmatch_indices('/').map(|(slash, _)| slash + 1).chain([0]).map(|end| name.split_at(end).0);
    let beside = prefixes.clone().take(usize::from(wildcard.is_none())).map(|prefix| format!("{prefix}*"));
    let is_itself = usize::from(wildcard == Some(Wildcard::Any));
    beside.chain(prefixes.skip(is_itself).map(|prefix| format!("{prefix}**")))
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::new(text)
    }
}

impl TryFrom<&str> for Pattern {
    type Error = PatternError;

    fn try_from(text: &str) -> Result<Self, PatternError> {
        Self::new(text)
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        Self::new(text)
    }
}

/// Converts an item of a slice of names.
impl TryFrom<&&str> for Pattern {
    type Error = PatternError;

    fn try_from(text: &&str) -> Result<Self, PatternError> {
        Self::new(*text)
    }
}

/// Converts an item of a slice of owned names.
impl TryFrom<&String> for Pattern {
    type Error = PatternError;

    fn try_from(text: &String) -> Result<Self, PatternError> {
        Self::new(text.as_str())
    }
}

impl From<Topic> for Pattern {
    fn from(topic: Topic) -> Self {
        Self(topic)
    }
}

impl From<&Topic> for Pattern {
    fn from(topic: &Topic) -> Self {
        Self(topic.clone())
    }
}

impl From<&Self> for Pattern {
    fn from(pattern: &Self) -> Self {
        pattern.clone()
    }
}

impl AsRef<str> for Pattern {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Pattern {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
