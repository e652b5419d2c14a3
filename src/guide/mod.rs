//! The guide: pages that are not the reference of a type.
//!
//! | page | content |
//! |---|---|
//! | [`tutorial`] | an application with history, users, presence and messages, step by step |
//! | [`broadcast`] | a hub in place of a broadcast channel for each endpoint |
//! | [`migration`] | from Socket.IO, SignalR, Mercure, Nchan and Centrifugo: their terms and the ones of this crate |
//! | [`disk`] | the hub on disk: retention, durability, faults, backups, figures |
//!
//! The [README](https://docs.rs/crate/tidings/latest) has the features, the examples and the choice of a transport. The repository has
//! `docs/wire.md`, the bytes of all transports, and `docs/clients.md`, how clients of other projects resume, reconnect and stop.

pub mod broadcast;
pub mod disk;
pub mod migration;
pub mod tutorial;
