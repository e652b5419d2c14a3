//! The WebSocket adapter, at its public API, against tungstenite as the client.

mod answers;
mod closing;
mod closing_now;
mod handshake;
mod inbound;
mod liveness;
mod outbound;
mod pressure;
mod violations;
mod visit;
mod wakes;
mod wire;

use visit::{Frame, Received, Visit, masked};
use wire::{Client, Wire};
