//! `docs/wire.md`: each example is produced by the crate, and each table is compared with the code.

mod abnf;
mod cursors;
mod examples;

mod page;
mod state;
mod tables;
