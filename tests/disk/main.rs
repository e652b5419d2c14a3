//! Faults of a hub on disk, and its clients on five transports: each row of a table of faults is a test.
//!
//! The server is a process of its own. The seed of all random choices is printed; `TIDINGS_DISK_SEED` sets it.
//! `TIDINGS_DISK_DEEP` runs each row longer.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's panic is its verdict")]

#[path = "../it/clients/mod.rs"]
mod clients;
#[path = "../../src/disk/store/tests/files.rs"]
mod files;

mod audit;
mod follower;
mod load;
mod process;
mod server;

mod begins;
mod damaged;
mod full;
mod history;
mod keyed;
mod replaced;
mod restarts;
mod runs;

use std::time::Duration;

use fastrand::Rng;

/// Longest time of a test.
const LIMIT: Duration = Duration::from_secs(600);

/// Runs a test with the generator of its random choices.
fn row(name: &str, test: impl AsyncFnOnce(Rng)) {
    let seed = std::env::var("TIDINGS_DISK_SEED").ok().map_or_else(|| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("{name}: TIDINGS_DISK_SEED={seed}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let done = runtime.block_on(async { tokio::time::timeout(LIMIT, test(Rng::with_seed(seed))).await });
    assert!(done.is_ok(), "not done in {LIMIT:?}");
}

/// Returns the number of rounds of a test: the first, or the second if it runs longer.
fn rounds(short: usize, deep: usize) -> usize {
    if std::env::var_os("TIDINGS_DISK_DEEP").is_some() { deep } else { short }
}

async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}
