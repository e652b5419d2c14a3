/// Default number of bytes of events in one piece. In writes of this size the cost of the system call is small, and a
/// connection holds at most one TCP window of them.
pub(crate) const BATCH: usize = 64 * 1024;

/// Number of bytes that a client must read within each write timeout. It is the size of a frame of a body, and the unit by
/// which the deadline of a WebSocket's ping grows with the bytes written before it.
pub(crate) const FRAME: usize = 64 * 1024;

/// Pause before the end of the answer to a client that came after the end. A client that returns without a pause makes one
/// request in this time.
#[allow(dead_code, reason = "used by the endpoint, NDJSON and the WebSocket")]
pub(crate) const REPEATED_END: std::time::Duration = std::time::Duration::from_secs(1);

/// Time after which a client may return when all its topics have ended: a day. Clients that honour it make no further request
/// in practice.
pub(crate) const AFTER_END: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);
