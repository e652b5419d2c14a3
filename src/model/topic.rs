use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Name of an ordered stream of events.
///
/// A name has 1 to 255 bytes of UTF-8 without control characters. It consists of segments separated by `/`, of which none
/// is empty and none contains `*`. Clones share the text.
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
    /// Maximum length of a name, in bytes.
    pub const MAX_LEN: usize = 255;

    /// Checks a name and creates a topic.
    ///
    /// # Errors
    ///
    /// Returns [`TopicError`] if the name breaks a rule of [`Topic`].
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

    /// Joins segments with `/`. Rejects a segment that is empty or contains `/` or `*`.
    ///
    /// Use this function for a topic that contains text of a client. A path parameter is percent-decoded, so `a%2Fb`
    /// arrives as `a/b` and `%2A` as `*`. A name that is joined by hand could therefore name a topic further down, or
    /// become a wildcard.
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
    /// Returns [`TopicError::EmptySegment`], [`TopicError::Separator`] or [`TopicError::Wildcard`] for a segment, and the
    /// errors of [`new`](Self::new) for the whole name.
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

    /// Stores the text of a pattern, which may have a wildcard, without a check.
    pub(super) fn unchecked(text: &str) -> Self {
        Self(text.into())
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Value that names a topic: a [`Topic`], a `&Topic`, a `&str` or a `String`.
///
/// A `&Topic` is borrowed. A text is checked and copied at each call, so an application that publishes often to one topic
/// should create the [`Topic`] once.
///
/// ```
/// use tidings::{LocalHub, Topic};
///
/// let (hub, news) = (LocalHub::new(), Topic::new("news")?);
/// hub.publish_now("news", "first")?;
/// hub.publish_now(&news, "second")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait IntoTopic: sealed::Sealed {
    /// Topic, or reference to one.
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

/// Error of a name that is not a [`Topic`].
///
/// ```
/// use tidings::{Topic, TopicError};
///
/// assert_eq!(Topic::new(""), Err(TopicError::Empty));
/// assert_eq!(TopicError::TooLong { len: 300 }.to_string(), "topic name is 300 bytes; the limit is 255");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// The name has no bytes.
    #[error("topic name is empty")]
    Empty,
    /// The name is longer than [`Topic::MAX_LEN`].
    #[error("topic name is {len} bytes; the limit is 255")]
    TooLong {
        /// Length of the name in bytes.
        len: usize,
    },
    /// The name contains a control character (U+0000–U+001F, U+007F–U+009F).
    #[error("topic name contains a control character")]
    Control,
    /// The name contains `*`, which is reserved for patterns.
    #[error("topic name contains '*'")]
    Wildcard,
    /// A segment passed to [`Topic::from_segments`] contains `/`.
    #[error("topic segment contains '/'")]
    Separator,
    /// A segment is empty: the name begins or ends with `/`, or contains `//`.
    #[error("topic name has an empty segment; remove the '/' at either end and any '//'")]
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
