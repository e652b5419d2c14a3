/// Content of a connection's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Subprotocol {
    /// Payloads and nothing else: no cursors, and so no gaps. Events that are gone end the connection.
    ///
    /// A client loses what is published between two of its connections, and is not told: it has no cursor to resume from.
    /// Where that matters, use [`TidingsV1`](Self::TidingsV1), or send each new client the application's state.
    #[default]
    Raw,
    /// `tidings.v1`: JSON event objects, gaps, and the control objects `hello`, `heartbeat`, `error` and `bye`. An event object
    /// without `id` and `topic` answers a message of the client; `error` says that one was rejected. The hello has the
    /// cursor where the connection begins, and each object its own, so a client that comes back with `?cursor=` gets what was
    /// published meanwhile.
    TidingsV1,
}

impl Subprotocol {
    /// Chooses among what a client offers, the values of its `Sec-WebSocket-Protocol` fields in their order.
    ///
    /// One that offers nothing gets [`Raw`](Self::Raw). `None` where it offers only what is not known here: browsers
    /// fail a connection that does not take up one of their offers, so it is better refused with 400.
    #[must_use]
    pub fn choose<'a>(offers: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut offers = offers.into_iter().flat_map(|field| field.split(',')).map(str::trim).filter(|o| !o.is_empty());
        let Some(first) = offers.next() else { return Some(Self::Raw) };
        let known = |offer| Self::TidingsV1.name() == Some(offer);
        (known(first) || offers.any(known)).then_some(Self::TidingsV1)
    }

    /// The name to answer with in `Sec-WebSocket-Protocol`. `None`: the field is to be left out.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Raw => None,
            Self::TidingsV1 => Some("tidings.v1"),
        }
    }
}

/// The `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key` (RFC 6455 §4.2.2). `None` where the key is not the
/// base64 of 16 bytes: such a request is to be refused with 400.
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
