//! A disk without space: a small tmpfs, and a limit of the size of files.

use std::fs;
use std::io::ErrorKind;
use std::process::Command;
use std::time::Duration;

use hyper::StatusCode;

use crate::audit::{check, finish};
use crate::files::Directory;
use crate::follower::{Followers, TRANSPORTS};
use crate::load::{Load, TOPICS};
use crate::process::{Server, connection};
use crate::server::Options;
use crate::{pause, row};

/// Mounted tmpfs, which is unmounted when the test ends.
struct Tmpfs(Directory);

impl Tmpfs {
    /// Mounts one. `None` where that is not allowed.
    fn mount() -> Option<Self> {
        let directory = Directory::new();
        fs::create_dir_all(&directory.0).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=160m", "tmpfs"]).arg(&directory.0).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(directory))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0.0).output();
    }
}

#[test]
fn disk_full() {
    row("disk_full", async |_| {
        let Some(disk) = Tmpfs::mount() else {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "needs a tmpfs, and may not mount one");
            println!("disk_full: skipped, because a tmpfs cannot be mounted here");
            return;
        };
        let ballast = disk.0.0.join("ballast");
        let fill = async |_: &Server| {
            let error = fs::write(&ballast, vec![1; 200 << 20]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StorageFull);
        };
        let free = async |_: &Server| fs::remove_file(&ballast).unwrap();
        fails_and_continues(&Options::new(disk.0.0.join("hub")), fill, free, "disk is full").await;
    });
}

#[test]
fn file_size_limit_reached() {
    row("file_size_limit_reached", async |_| {
        let directory = Directory::new();
        let fill = async |server: &Server| server.limit_files(Some(4_096)).await;
        let free = async |server: &Server| server.limit_files(None).await;
        fails_and_continues(&Options::new(&directory.0), fill, free, "too large").await;
    });
}

/// Publishes before there is no space, then, and after there is space again.
async fn fails_and_continues(
    options: &Options,
    fill: impl AsyncFn(&Server),
    free: impl AsyncFn(&Server),
    reason: &str,
) {
    // Few events in memory, so that clients read from disk.
    let options = Options { memory: 10, ..options.clone() };
    let (mut server, load) = (Server::start(&options).await.unwrap(), Load::default());
    let mut followers = Followers::begin(server.address, &[&TOPICS, &["b"]]).await;
    let start = server.cursor().await;
    busy(&load, &server).await;

    fill(&server).await;
    let mut publisher = connection(server.address).await.unwrap();
    while load.outcomes().refused.len() < 300 {
        load.publish(&mut publisher, 64).await.unwrap();
        assert!(load.outcomes().sent < 50_000, "the disk is full at last");
    }
    // Small events may still have room.
    let large = "x".repeat(100_000);
    for _ in 0..5 {
        let error = server.publish("a", &large).await.unwrap_err();
        assert_eq!(error.status, StatusCode::SERVICE_UNAVAILABLE, "{error:?}");
        assert!(error.text.contains(reason), "{error:?}");
    }
    // Clients that read from disk get everything meanwhile.
    followers.add(&TRANSPORTS, &TOPICS, Some(&start));
    for follower in &followers.all {
        let last = load.outcomes().last_of(&follower.topics).unwrap();
        follower.until("reads while the disk is full", |ledger| ledger.ends_with(last)).await;
    }

    free(&server).await;
    server.publish("z", "accepted").await.unwrap();
    busy(&load, &server).await;
    finish(&load, &server, &followers).await;
    check(&load, &followers);
    for follower in &followers.all {
        assert_eq!(follower.ledger().connections, 1, "{}", follower.name());
    }

    // The next process has the same history.
    followers.disconnect();
    server.stop().await;
    server = Server::start(&options).await.unwrap();
    assert_eq!(server.loss, None);
    followers.add(&TRANSPORTS, &TOPICS, Some(&start));
    followers.connect(server.address);
    finish(&load, &server, &followers).await;
    check(&load, &followers);
    let outcomes = load.outcomes();
    println!("{} events acknowledged, {} refused", outcomes.acknowledged.len(), outcomes.refused.len());
}

/// Publishes for some time.
async fn busy(load: &Load, server: &Server) {
    let tasks = load.start(server.address);
    pause(Duration::from_millis(200)).await;
    load.stop();
    tasks.join_all().await;
}
