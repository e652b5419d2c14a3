//! Tokio for the floors above and for applications: its timer, TCP options, and a stream that gathers small writes.

#[cfg(feature = "http")]
mod request_timer;
mod socket;
mod timer;
mod tune;

pub use socket::Socket;
pub use timer::TokioTimer;
pub use tune::tune;
