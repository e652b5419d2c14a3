/// Content of a connection's frames.
///
/// ```
/// use tidings::transport::websocket::Subprotocol;
///
/// assert_eq!(Subprotocol::choose(["chat, tidings.v1"]), Some(Subprotocol::TidingsV1));
/// assert_eq!(Subprotocol::choose([]), Some(Subprotocol::Raw));
/// assert_eq!(Subprotocol::choose(["chat"]), None, "answer 400");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Subprotocol {
    /// Payloads without cursors and gaps. If events are missing, the connection closes with 1013.
    ///
    /// A client has no cursor to resume from, so it misses the events between two of its connections, without a gap. If this
    /// matters, use [`TidingsV1`](Self::TidingsV1), or send a snapshot to each new client.
    #[default]
    Raw,
    /// `tidings.v1`: JSON objects of events, gaps, and the control objects `hello`, `heartbeat`, `error` and `bye`.
    ///
    /// The `hello` has the cursor where the connection begins, and each event has its own. A client that reconnects with
    /// `?cursor=` receives the events after it. An event object without `id` and `topic` answers a message of the client, and
    /// `error` rejects one.
    TidingsV1,
}

impl Subprotocol {
    /// Selects a subprotocol from the values of a client's `Sec-WebSocket-Protocol` fields, in their order.
    ///
    /// Returns [`Raw`](Self::Raw) if the client offers none, and `None` if it offers unknown ones only. Answer the latter
    /// with 400: browsers fail a connection that selects none of their offers.
    #[must_use]
    pub fn choose<'a>(offers: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut offers = offers.into_iter().flat_map(|field| field.split(',')).map(str::trim).filter(|o| !o.is_empty());
        let Some(first) = offers.next() else { return Some(Self::Raw) };
        let known = |offer| Self::TidingsV1.name() == Some(offer);
        (known(first) || offers.any(known)).then_some(Self::TidingsV1)
    }

    /// Returns the name for the `Sec-WebSocket-Protocol` of the answer. `None` if the answer must not have the field.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Raw => None,
            Self::TidingsV1 => Some("tidings.v1"),
        }
    }
}

/// Returns the `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key` (RFC 6455 §4.2.2). `None` if the key is not the
/// base64 of 16 bytes; answer such a request with 400.
///
/// ```
/// use tidings::transport::websocket::websocket_accept;
///
/// let accept = websocket_accept(b"dGhlIHNhbXBsZSBub25jZQ==");
/// assert_eq!(accept.as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
/// assert_eq!(websocket_accept(b"AAAA"), None);
/// ```
#[must_use]
pub fn websocket_accept(key: &[u8]) -> Option<String> {
    use base64::Engine as _;

    let nonce = base64::engine::general_purpose::STANDARD.decode(key).ok()?;
    (nonce.len() == 16).then(|| tungstenite::handshake::derive_accept_key(key))
}
