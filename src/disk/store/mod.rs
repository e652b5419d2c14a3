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
//! | `e` topic id, sequence of the last record | successive events of one topic and one write, or an end |
//! | `o` sequence of the last record | topic ids of successive records: the hub's order, for patterns and the byte budget |
//! | `t` topic name | topic id |
//! | `n` topic id | name, highest trimmed sequence with its number and weight in the topic, sequence of the end, dropped sequence |
//! | `k` topic id, key | sequence of the newest event of the key, in topics with a state |
//! | `k` topic id | sequence of the newest removal that was forgotten |
//! | `r` topic id, sequence | empty: a removal among them |
//! | `s` sequence | topic id: an event of a state that has left history, for reads of several topics |
//! | `x` sequence | topic id, time and reason of an end that is remembered |
//! | `h` | head: epoch, last sequence, counters |
//! | `l` | list of epochs |
//!
//! Values have a CRC-32 over key and value, but those of `s` and `r`.
//!
//! Events are ordered by topic, so that a resume of one topic, the usual read, is one scan. A write puts its events of one
//! topic into rows of about 8 KiB (`packed.rs`), and its order into one row (`order.rs`): the cost of fjall is that of rows,
//! not of bytes. A read of all topics takes a page of the order, and then one scan for each topic in it.
//!
//! A row of events is removed when its last event is trimmed: reads begin above the trimmed sequence of the topic. An
//! event with a key in a topic with a state has a row of its own. If it is the newest of its key it stays after it was
//! trimmed, and gets an `s` row: reads of history do not see it, but reads of states do (`kept.rs`). Both rows are removed
//! when the key has a newer event. A crash before that leaves them: reads of states compare them with the `k` row.
//!
//! Rows of the order are removed when they are below the oldest retained record. If fewer than half of all records in them
//! are retained they are written again without the others (`trim_order.rs`).
//!
//! Each event has its number in the topic and the sum of the weights up to it. The events and bytes of a topic are
//! therefore differences between two rows, and a write updates no counters of the topic.
//!
//! # Dropped topics
//!
//! A dropped topic keeps its row, with the sequence up to which it was dropped, and is as new after it (`drop_topic.rs`). The
//! dropped sequence is at most the trimmed one, so readers find the loss as for every trim.
//!
//! # History
//!
//! Each open begins an epoch. A cursor is valid if its epoch is in the list and its sequence is at most the last one of
//! that epoch. At open the head of the rows is compared with the file `head`: rows that end earlier have lost
//! acknowledged events. In both this case and that of a damaged journal before the last one (`journals.rs`), where the
//! head shows nothing, all epochs leave the list, and the sequence continues above the acknowledged one.
//!
//! # Failures
//!
//! A write that fails may have left a complete batch in the journal. The next write, or the close, opens the database again
//! and removes it (`roll_back.rs`). Only a process that ends before may leave it: the outcome of such a publish is unknown,
//! and its events are in the history at the next open.
//!
//! A row that cannot be read is an error for its readers. It keeps no other row from being trimmed, and is removed itself
//! when the events after it show that its time has come (`damage.rs`). Its readers have a gap then.
//!
//! Errors and panics of fjall are errors of the store. Damage that would end the process inside of fjall is found before
//! fjall reads it (`journals.rs`, `manifest.rs`). A panic is caught, but the panic hook of the process prints it first: the
//! hook belongs to the application. fjall's threads that end on an error or a panic poison the database: the next commit
//! returns an error, and the one after it opens the database again.
//!
//! The journal that is read after a crash is bounded: memtables have 16 MiB, and fjall begins a journal at 64 MB, so at most
//! two journals are read, and the older one only until its memtables are written.

mod codec;
mod damage;
mod directory;
mod drop_topic;
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
mod order;
mod packed;
mod read;
mod record;
mod retain;
mod roll_back;
mod rows;
mod states;
#[expect(clippy::module_inception, reason = "the type gives the folder its name")]
mod store;
#[cfg(test)]
pub(crate) mod tests;
mod topics;
mod trim_order;
mod trim_round;
mod write;

pub use error::DiskError;
pub use open::Loss;
pub use options::Durability;
pub(crate) use options::StoreOptions;
pub(crate) use read::{Limit, LogPage};
pub(crate) use record::Record;
pub(crate) use store::Store;
pub(crate) use topics::TopicRow;
