use std::time::Duration;

use crate::transport::limit::BATCH;

/// The limits and times of a [`WebSocketSink`](super::WebSocketSink). One can be shared by all of an application's.
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
    /// How long after one ping the next is sent. 25 s: below the 30 s after which a home router may forget a
    /// connection, and the 55 to 60 s after which proxies end a silent one.
    pub ping: Duration,
    /// How long a ping may stay unanswered once the client can have read it, which is one
    /// [`write_timeout`](Self::write_timeout) later for each 64 KiB ahead of it, 4 MiB at most. Default: 10 s. It tolerates
    /// several retransmissions on a bad line.
    pub pong_timeout: Duration,
    /// How long the client has to answer a Close, and a message in the handler's hands to be finished after the end.
    /// 5 s: a round trip and a retransmission; nothing of value is waited for.
    pub close_timeout: Duration,
    /// How long the client may take none of what is to be written, and how long it may take for each 64 KiB ahead of a
    /// ping. Default: 10 s, as on the other transports.
    pub write_timeout: Duration,
    /// The longest message taken from the client, in bytes. 64 KiB: clients ask and acknowledge, they don't upload.
    pub max_message: usize,
    /// The most fragments after a message's first. 65,536: the Autobahn suite sends 4 MiB in fragments of 64 bytes, and
    /// an empty one to end it.
    pub max_fragments: u32,
    /// How long a message may take from its first byte to its last. 10 s: a 64 KiB message at 52 kbit/s.
    pub message_timeout: Duration,
    /// How many pings and pongs a client may send a second, and at once. 10: real clients send one in 20 s, the
    /// Autobahn suite ten at once.
    pub control_rate: u32,
    /// How many messages a client may send a second, and at once. 100: a pointer that is followed sends 60.
    pub message_rate: u32,
    /// How many bytes of events go out in one piece. 64 KiB: more saves nothing, and is kept for a client that stalls.
    pub max_batch_bytes: usize,
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
}
