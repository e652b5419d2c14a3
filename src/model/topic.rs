use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A named, ordered stream of events.
///
/// 1 to 255 bytes of UTF-8 without control characters, in `/`-separated segments of which none is empty and none
/// contains `*`. Cloning shares the name.
///
/// ```
/// use tidings::Topic;
///
/// let topic = Topic::new("orders/eu")?;
/// assert_eq!(topic.as_str(), "orders/eu");
/// assert!(Topic::new("orders//eu").is_err());
/// # Ok::<(), tidings::TopicError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic(Arc<str>);

impl Topic {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 255;

    /// Checks a name and makes a topic of it.
    pub fn new(name: impl AsRef<str>) -> Result<Self, TopicError> {
        let name = name.as_ref();
        if name.is_empty() {
            return Err(TopicError::Empty);
        }
        if name.len() > Self::MAX_LEN {
            return Err(TopicError::TooLong { len: name.len() });
        }
        let bytes = name.as_bytes();
        if !bytes.iter().all(|byte| matches!(byte, b' '..=b'~')) && name.chars().any(char::is_control) {
            return Err(TopicError::Control);
        }
        if bytes.contains(&b'*') {
            return Err(TopicError::Wildcard);
        }
        if bytes.split(|&byte| byte == b'/').any(<[u8]>::is_empty) {
            return Err(TopicError::EmptySegment);
        }
        Ok(Self::unchecked(name))
    }

    /// Joins segments with `/`, and refuses one that is empty or contains `/` or `*`.
    ///
    /// Use this for a topic that contains text of a client: a path parameter is percent-decoded, so `a%2Fb` arrives as
    /// `a/b` and `%2A` as `*`, and a name that is joined by hand could reach a topic further down or become a wildcard.
    ///
    /// ```
    /// use tidings::Topic;
    ///
    /// let id = "7"; // of the signed-in user
    /// assert_eq!(Topic::from_segments(["users", id])?.as_str(), "users/7");
    /// assert!(Topic::from_segments(["users", "7/private"]).is_err());
    /// assert!(Topic::from_segments(["users", "*"]).is_err());
    /// # Ok::<(), tidings::TopicError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TopicError::EmptySegment`], [`TopicError::Separator`] or [`TopicError::Wildcard`] for a segment, and those of
    /// [`new`](Self::new) for the whole name.
    pub fn from_segments<I>(segments: I) -> Result<Self, TopicError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut name = String::new();
        for segment in segments {
            let segment = segment.as_ref();
            match segment {
                "" => return Err(TopicError::EmptySegment),
                _ if segment.contains('/') => return Err(TopicError::Separator),
                _ if segment.len() > Self::MAX_LEN => return Err(TopicError::TooLong { len: segment.len() }),
                _ if name.is_empty() => name.push_str(segment),
                _ => name.extend(["/", segment]),
            }
        }
        Self::new(name)
    }

    /// The text of a pattern, which no other code takes for a topic.
    pub(super) fn unchecked(text: &str) -> Self {
        Self(text.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A value that names a topic: a [`Topic`], a `&Topic`, a `&str` or a `String`.
///
/// A `&Topic` costs nothing. A text is checked and copied at each call, so an application that publishes often to one topic
/// should make the [`Topic`] once.
pub trait IntoTopic: sealed::Sealed {
    /// A topic, or a reference to one.
    #[doc(hidden)]
    type Topic: Borrow<Topic> + Send;

    /// Returns the topic.
    #[doc(hidden)]
    fn into_topic(self) -> Result<Self::Topic, TopicError>;
}

impl IntoTopic for Topic {
    type Topic = Self;

    fn into_topic(self) -> Result<Self, TopicError> {
        Ok(self)
    }
}

impl<'a> IntoTopic for &'a Topic {
    type Topic = &'a Topic;

    fn into_topic(self) -> Result<&'a Topic, TopicError> {
        Ok(self)
    }
}

impl IntoTopic for &str {
    type Topic = Topic;

    fn into_topic(self) -> Result<Topic, TopicError> {
        Topic::new(self)
    }
}

impl IntoTopic for String {
    type Topic = Topic;

    fn into_topic(self) -> Result<Topic, TopicError> {
        Topic::new(self)
    }
}

impl IntoTopic for &String {
    type Topic = Topic;

    fn into_topic(self) -> Result<Topic, TopicError> {
        Topic::new(self)
    }
}

mod sealed {
    #[expect(unnameable_types, reason = "seals the trait")]
    pub trait Sealed {}

    impl Sealed for super::Topic {}
    impl Sealed for &super::Topic {}
    impl Sealed for &str {}
    impl Sealed for String {}
    impl Sealed for &String {}
}

/// Why a name is not a topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// The name has no bytes.
    #[error("a topic's name is empty")]
    Empty,
    /// The name is longer than [`Topic::MAX_LEN`].
    #[error("a topic's name is at most 255 bytes, this one has {len}")]
    TooLong {
        /// The name's length in bytes.
        len: usize,
    },
    /// The name contains a control character (U+0000–U+001F, U+007F–U+009F).
    #[error("a topic's name contains a control character")]
    Control,
    /// The name contains `*`, which belongs to patterns.
    #[error("a topic's name contains '*'")]
    Wildcard,
    /// A segment that was given to [`Topic::from_segments`] contains `/`.
    #[error("a topic's segment contains '/'")]
    Separator,
    /// A segment between two `/`, or before the first or after the last, is empty.
    #[error("a topic's name has an empty segment: '/' at either end, or '//'")]
    EmptySegment,
}

impl FromStr for Topic {
    type Err = TopicError;

    fn from_str(name: &str) -> Result<Self, TopicError> {
        Self::new(name)
    }
}

impl TryFrom<&str> for Topic {
    type Error = TopicError;

    fn try_from(name: &str) -> Result<Self, TopicError> {
        Self::new(name)
    }
}

impl TryFrom<&&str> for Topic {
    type Error = TopicError;

    fn try_from(name: &&str) -> Result<Self, TopicError> {
        Self::new(*name)
    }
}

impl TryFrom<String> for Topic {
    type Error = TopicError;

    fn try_from(name: String) -> Result<Self, TopicError> {
        Self::new(name)
    }
}

impl TryFrom<&String> for Topic {
    type Error = TopicError;

    fn try_from(name: &String) -> Result<Self, TopicError> {
        Self::new(name.as_str())
    }
}

impl TryFrom<&Self> for Topic {
    type Error = TopicError;

    fn try_from(topic: &Self) -> Result<Self, TopicError> {
        Ok(topic.clone())
    }
}

impl From<std::convert::Infallible> for TopicError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl AsRef<str> for Topic {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Topic {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
