/// Error of a payload, name, key or tag that an [`Event`](crate::Event) cannot have.
///
/// ```
/// use tidings::{Event, EventError};
///
/// let error = Event::text("42.17").with_name("tidings.price").unwrap_err();
/// assert_eq!(error, EventError::ReservedName);
/// assert_eq!(error.to_string(), "event names that begin with 'tidings.' are reserved");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// The text is not UTF-8.
    #[error("text is not UTF-8 at byte {at}; publish other bytes as a binary event")]
    NotUtf8 {
        /// Offset of the first invalid byte.
        at: usize,
    },
    /// The text is not JSON.
    #[error("invalid JSON: {reason}")]
    NotJson {
        /// Message of the parser.
        reason: String,
    },
    /// The value cannot be serialized as JSON.
    #[error("value cannot be serialized as JSON: {reason}")]
    NotSerializable {
        /// Message of the serializer.
        reason: String,
    },
    /// A JSON string or name contains half of a surrogate pair, which encodes no character.
    #[error(
        "JSON string has an unpaired surrogate at byte {at}; escape a character above U+FFFF as a high and a low surrogate"
    )]
    UnpairedSurrogate {
        /// Offset of the escape, in bytes.
        at: usize,
    },
    /// The JSON is nested deeper than [`crate::Event::MAX_JSON_DEPTH`].
    #[error("JSON is nested deeper than 124 levels at byte {at}; publish a flatter value, or the text as a string")]
    JsonTooDeep {
        /// Offset of the first bracket that is too deep, in bytes.
        at: usize,
    },
    /// A JSON number is larger than the largest double.
    #[error("JSON number at byte {at} exceeds the largest double; publish it as a string")]
    JsonNumberTooLarge {
        /// Offset of the number, in bytes.
        at: usize,
    },
    /// The name, key or tag is empty.
    #[error("event name, key or tag is empty")]
    EmptyLabel,
    /// The name, key or tag is longer than [`crate::Event::MAX_LABEL`].
    #[error("event name, key or tag is {len} bytes; the limit is 128")]
    LongLabel {
        /// Length in bytes.
        len: usize,
    },
    /// The name, key or tag contains a control character.
    #[error("event name, key or tag contains a control character")]
    Control,
    /// The name begins with `tidings.`.
    #[error("event names that begin with 'tidings.' are reserved")]
    ReservedName,
}
