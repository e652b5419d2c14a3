//! The hub on disk: [`DiskHub`].
//!
//! An application on one machine keeps the history of its topics in a directory, and loses nothing at a deploy or a
//! crash. There is no server to install. The feature `disk` needs Rust 1.90.
//!
//! ```
//! use std::future::poll_fn;
//! use tidings::disk::DiskHub;
//! use tidings::subscriber::Delivery;
//! use tidings::{Start, Subscribe, Subscriber};
//!
//! # #[cfg(feature = "tokio")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let path = std::env::temp_dir().join(format!("tidings-doc-{}", std::process::id()));
//! let hub = DiskHub::open(&path)?;
//! let seen = hub.publish("news", "first").await?.cursor().expect("a hub on disk has cursors");
//! hub.publish("news", "second").await?; // on disk when this returns
//! hub.close(); // the process ends
//!
//! let hub = DiskHub::open(&path)?;
//! hub.publish("news", "third").await?;
//! let mut client = hub.subscribe(Subscribe::topics(["news"]).start(Start::After(seen)))?;
//! let mut news = Vec::new();
//! while news.len() < 2 {
//!     let Delivery::Events(batch) = poll_fn(|cx| client.poll_next(cx)).await else { panic!("nothing was lost") };
//!     news.extend(batch.iter().filter_map(|event| event.event.as_str().map(str::to_owned)));
//! }
//! assert_eq!(news, ["second", "third"]);
//! # hub.close();
//! # std::fs::remove_dir_all(&path)?;
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "tokio"))]
//! # fn main() {}
//! ```
//!
//! Open the directory before the server begins to accept requests: an open blocks. A hub is in one
//! process at a time. For several processes or machines use a hub with a server.
//!
//! The page `docs/disk.md` of the repository describes the durability settings, the sizes on disk and in memory, faults and
//! their errors, backups, and moves between machines and versions.

mod builder;
mod commands;
mod hub;
mod reader;
mod reply;
mod run_topics;
mod stats;
mod store;
mod writer;

#[cfg(test)]
mod tests;

pub use builder::DiskHubBuilder;
pub use hub::DiskHub;
pub(crate) use run_topics::EndedRun;
pub use stats::DiskStats;
pub use store::{DiskError, Durability, Loss};
