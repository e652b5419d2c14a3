//! `tidings::server::serve`, over loopback. Its answers to attacks are tested in `security::server`.

mod bursts;
mod coalescing_stream;
mod connections;
mod limits;
mod peers;
mod shutdown;
mod upgrades;
