//! The WebSocket adapter at its public API, with tungstenite as the client.

mod acknowledgements;
mod answers;
mod close;
mod close_now;
mod connection;
#[cfg(feature = "full")]
mod ends;
mod gate;
mod handshake;
mod inbound;
mod liveness;
mod memory_io;
mod outbound;
mod pressure;
mod violations;
mod wakes;

use connection::{Connection, Frame, Received, masked};
use gate::Gate;
use memory_io::{ClientEnd, ServerEnd};
