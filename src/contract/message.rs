use bytes::Bytes;

/// Message of a client: a WebSocket message, or the body of a POST.
///
/// ```
/// use tidings::Message;
///
/// let message = Message::Text("ping".to_owned());
/// assert_eq!((message.as_text(), message.as_bytes()), (Some("ping"), &b"ping"[..]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// UTF-8 text.
    Text(String),
    /// Arbitrary bytes.
    Binary(Bytes),
}

impl Message {
    /// Returns the bytes of the message, of either kind.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Returns the text of a text message.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }
}
