use bytes::Bytes;

/// Message of a client: a WebSocket message, or the body of a POST.
///
/// The content type of a POST selects the variant: `text/*` and `application/json` are text, all others are binary, also
/// the `application/x-www-form-urlencoded` of an HTML form and of `curl -d`. A POST of text that is not UTF-8 gets 400.
///
/// ```
/// use tidings::Message;
///
/// let message = Message::Text("ping".to_owned());
/// assert_eq!((message.as_text(), message.as_bytes()), (Some("ping"), &b"ping"[..]));
/// assert_eq!(Message::Binary("ping".into()).as_text(), Some("ping"));
/// assert_eq!(Message::Binary(vec![0xff].into()).as_text(), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// Text frame of a WebSocket, or a POST of text.
    Text(String),
    /// Binary frame of a WebSocket, or any other POST.
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

    /// Returns the message as text: a text message, or a binary one that is UTF-8, such as a POST by `curl -d`.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(bytes) => std::str::from_utf8(bytes).ok(),
        }
    }
}
