/// How many bytes of events go out in one piece unless told otherwise: enough that a write costs more than its system
/// call, little enough that a connection holds no more than one TCP window of them.
pub(crate) const BATCH: usize = 64 * 1024;

/// Number of bytes that a client must take within each write timeout: one frame of a body, and the rate at which a
/// WebSocket's ping is expected to get through what was written before it.
pub(crate) const FRAME: usize = 64 * 1024;
