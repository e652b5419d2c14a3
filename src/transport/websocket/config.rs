use std::time::Duration;

use crate::transport::limit::BATCH;

/// Limits and times of a [`WebSocketSink`](super::WebSocketSink). Connections can share one configuration.
///
/// ```
/// use std::time::Duration;
/// use tidings::transport::websocket::WebSocketConfig;
///
/// let config = WebSocketConfig::default().ping(Duration::from_secs(20)).max_message(1 << 20);
/// assert_eq!(config.pong_timeout, Duration::from_secs(10));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebSocketConfig {
    /// Interval of pings. Default: 25 s. It is below the 30 s after which home routers may drop an idle connection, and the
    /// 55 to 60 s after which proxies close one.
    pub ping: Duration,
    /// Time for the answer to a ping. It begins one [`write_timeout`](Self::write_timeout) later for each 64 KiB written
    /// before the ping, of which at most 4 MiB count. Default: 10 s. It tolerates several retransmissions.
    pub pong_timeout: Duration,
    /// Time for the client's answer to a Close frame, and for a message handler that is running when the connection ends.
    /// Default: 5 s. It tolerates one retransmission.
    pub close_timeout: Duration,
    /// Longest time in which the client reads nothing while bytes are to be written, and time for each 64 KiB written before
    /// a ping. Default: 10 s. It is the default of the other transports.
    pub write_timeout: Duration,
    /// Maximum length of a client's message, in bytes. Default: 64 KiB. Clients send requests and acknowledgements, not
    /// uploads.
    pub max_message: usize,
    /// Maximum number of fragments after the first one of a message. Default: 65,536. The Autobahn suite sends 4 MiB in
    /// fragments of 64 bytes and an empty last one.
    pub max_fragments: u32,
    /// Time for a message from its first byte to its last. Default: 10 s. A message of 64 KiB then needs 52 kbit/s.
    pub message_timeout: Duration,
    /// Maximum number of pings and pongs from the client, per second and in one burst. Default: 10. Common clients send one
    /// in 20 s, and the Autobahn suite sends bursts of ten.
    pub control_rate: u32,
    /// Maximum number of messages from the client, per second and in one burst. Default: 100. A client that sends the
    /// position of its pointer sends 60.
    pub message_rate: u32,
    /// Maximum number of bytes of events that are queued at once. Default: 64 KiB. A larger queue saves no time, and is held
    /// for each client that stalls.
    pub max_batch_bytes: usize,
    /// Whether pings contain the client's cursor under [`Subprotocol::Raw`](super::Subprotocol::Raw), as they do under
    /// `tidings.v1`. Default: `false`, because the cursor shows how many events the hub has.
    pub raw_acknowledgements: bool,
}

impl Default for WebSocketConfig {
    fn default() -> Self {
        Self {
            ping: Duration::from_secs(25),
            pong_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(10),
            max_message: 64 * 1024,
            max_fragments: 65_536,
            message_timeout: Duration::from_secs(10),
            control_rate: 10,
            message_rate: 100,
            max_batch_bytes: BATCH,
            raw_acknowledgements: false,
        }
    }
}

impl WebSocketConfig {
    /// Sets [`ping`](Self::ping).
    #[must_use]
    pub fn ping(self, ping: Duration) -> Self {
        Self { ping, ..self }
    }

    /// Sets [`pong_timeout`](Self::pong_timeout).
    #[must_use]
    pub fn pong_timeout(self, pong_timeout: Duration) -> Self {
        Self { pong_timeout, ..self }
    }

    /// Sets [`close_timeout`](Self::close_timeout).
    #[must_use]
    pub fn close_timeout(self, close_timeout: Duration) -> Self {
        Self { close_timeout, ..self }
    }

    /// Sets [`write_timeout`](Self::write_timeout).
    #[must_use]
    pub fn write_timeout(self, write_timeout: Duration) -> Self {
        Self { write_timeout, ..self }
    }

    /// Sets [`max_message`](Self::max_message).
    #[must_use]
    pub fn max_message(self, max_message: usize) -> Self {
        Self { max_message, ..self }
    }

    /// Sets [`max_fragments`](Self::max_fragments).
    #[must_use]
    pub fn max_fragments(self, max_fragments: u32) -> Self {
        Self { max_fragments, ..self }
    }

    /// Sets [`message_timeout`](Self::message_timeout).
    #[must_use]
    pub fn message_timeout(self, message_timeout: Duration) -> Self {
        Self { message_timeout, ..self }
    }

    /// Sets [`control_rate`](Self::control_rate).
    #[must_use]
    pub fn control_rate(self, control_rate: u32) -> Self {
        Self { control_rate, ..self }
    }

    /// Sets [`message_rate`](Self::message_rate).
    #[must_use]
    pub fn message_rate(self, message_rate: u32) -> Self {
        Self { message_rate, ..self }
    }

    /// Sets [`max_batch_bytes`](Self::max_batch_bytes).
    #[must_use]
    pub fn max_batch_bytes(self, max_batch_bytes: usize) -> Self {
        Self { max_batch_bytes, ..self }
    }
    /// Sets [`raw_acknowledgements`](Self::raw_acknowledgements).
    #[must_use]
    pub fn raw_acknowledgements(self, raw_acknowledgements: bool) -> Self {
        Self { raw_acknowledgements, ..self }
    }
}
