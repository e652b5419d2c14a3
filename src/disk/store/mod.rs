//! The store of a hub on disk: events, ends and states in one directory. Calls block; the hub owns the thread that
//! makes them.
//!
//! # Files
//!
//! | file | content |
//! |---|---|
//! | `lock` | id of the process that has the directory open; held by a file lock |
//! | `head` | last sequence that was acknowledged, rewritten in place after each commit, not synced |
//! | `rows` | a fjall database with one keyspace |
//! | `journals` | exists from the time at which a loss in a journal is found until it is noted in the rows |
//!
//! # Rows
//!
//! All rows are in one keyspace, so that they share a memtable: its tables contain a prefix of history, and a lost
//! keyspace cannot lose events without their head. The first byte of a key is the kind of the row. Numbers are big
//! endian.
//!
//! | key | value |
//! |---|---|
//! | `e` topic id, sequence | the event or end, with a CRC-32 over key and value |
//! | `o` sequence | topic id: the order of the hub, for patterns and the byte budget |
//! | `t` topic name | topic id |
//! | `n` topic id | name, highest trimmed sequence with its number in the topic, sequence of the end |
//! | `k` topic id, key | sequence of the newest event of the key, in topics with a state |
//! | `k` topic id | sequence of the newest removal that was forgotten |
//! | `r` topic id, sequence | empty: a removal among them |
//! | `s` sequence | topic id: an event of a state that has left history, for reads of several topics |
//! | `x` sequence | topic id, time and reason of an end that is remembered |
//! | `h` | head: epoch, last sequence, counters |
//! | `l` | list of epochs |
//!
//! Events are ordered by topic, so that a resume of one topic, the usual read, is one scan. The row of the order has 13
//! bytes before compression. A read of all topics takes a page of the order, and then one scan for each topic in it.
//!
//! An event that is trimmed loses its `o` row. Its `e` row is removed, too, unless it is the newest of its key in a
//! topic with a state. Then it gets an `s` row: reads of history begin above the trimmed sequence, and do not see it, but
//! reads of states do (`kept.rs`). Both rows are removed when the key has a newer event. A crash before that leaves them:
//! reads of states compare them with the `k` row.
//!
//! Each event has its number in the topic and the sum of the weights up to it. The events and bytes of a topic are
//! therefore differences between two rows, and a write updates no counters of the topic.
//!
//! # History
//!
//! Each open begins an epoch. A cursor is valid if its epoch is in the list and its sequence is at most the last one of
//! that epoch. At open the head of the rows is compared with the file `head`: rows that end earlier have lost
//! acknowledged events. In both this case and that of a damaged journal before the last one (`journals.rs`), where the
//! head shows nothing, all epochs leave the list, and the sequence continues above the acknowledged one.
//!
//! Errors and panics of fjall are errors of the store. Damage that would end the process inside of fjall is found before
//! fjall reads it (`journals.rs`, `manifest.rs`).

#![allow(dead_code, unused_imports, reason = "states are not loaded yet")]

mod codec;
mod epochs;
mod error;
mod files;
mod journals;
mod kept;
mod keys;
mod last;
mod manifest;
mod meta;
mod open;
mod options;
mod read;
mod record;
mod retain;
mod rows;
mod states;
#[expect(clippy::module_inception, reason = "the type gives the folder its name")]
mod store;
#[cfg(test)]
pub(crate) mod tests;
mod topics;
mod write;

pub use error::DiskError;
pub(crate) use kept::KeptPage;
pub use open::Loss;
pub(crate) use open::Opened;
pub use options::Durability;
pub(crate) use options::StoreOptions;
pub(crate) use read::{Limit, LogPage};
pub(crate) use record::Record;
pub(crate) use states::States;
pub(crate) use store::Store;
pub(crate) use topics::TopicRow;
