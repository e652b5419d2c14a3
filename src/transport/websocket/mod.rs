//! Carries one subscriber over one WebSocket (RFC 6455), given a connection whose handshake is done.
//!
//! [`sink`] owns the connection and both directions of it, [`receive`] and [`send`] are its two halves. All that is
//! protocol takes and gives bytes: [`reader`] what comes in, [`outbox`] what goes out, [`deadlines`] what is due. An
//! event wakes the task without the [flag](crate::transport::wake_flag) that everything else raises, and such a wake polls
//! nothing but the subscriber.

mod assembly;
mod close;
mod config;
mod deadlines;
mod format;
mod frame;
mod handshake;
mod mailbox;
mod mask;
mod outbox;
mod rate;
mod reader;
mod receive;
mod scratch;
mod send;
mod sink;
mod violation;

pub use close::{CloseCause, CloseCode, Closed};
pub use config::WebSocketConfig;
#[cfg(feature = "http")]
pub(crate) use format::{MessageAnswer, encode_answer};
pub use handshake::{Subprotocol, websocket_accept};
pub use sink::WebSocketSink;
