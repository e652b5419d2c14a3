//! `tidings::server::serve`, over loopback. Its answers to attacks are tested in `security::server`.

mod bursts;
mod kept;
mod limits;
mod peers;
mod shutdown;
mod upgrades;
