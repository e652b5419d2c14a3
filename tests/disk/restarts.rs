//! Ends of the process while it serves.

use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

use crate::audit::{check, finish};
use crate::files::Directory;
use crate::follower::Followers;
use crate::load::{Load, TOPICS};
use crate::process::Server;
use crate::server::Options;
use crate::{pause, rounds, row};

#[test]
fn killed_under_load() {
    row("killed_under_load", async |mut rng| under_load(&mut rng, async |server| server.kill().await).await);
}

#[test]
fn restarted_cleanly_under_load() {
    row("restarted_cleanly_under_load", async |mut rng| under_load(&mut rng, async |server| server.stop().await).await);
}

/// Ends the process at random times while events are published and clients follow them.
async fn under_load(rng: &mut Rng, end: impl AsyncFn(Server)) {
    let directory = Directory::new();
    // Few events in memory, so that a client that is a little late reads from disk.
    let options = Options { memory: 100, ..Options::new(&directory.0) };
    let mut server = Server::start(&options).await.unwrap();
    let followers = Followers::begin(server.address, &[&TOPICS, &["b"]]).await;
    let load = Load::default();
    let [mut busy, mut ending, mut joining, mut opening] = [Duration::ZERO; 4];
    for _ in 0..rounds(5, 50) {
        let time = Duration::from_millis(rng.u64(100..600));
        busy += time;
        let publishing = load.start(server.address);
        pause(time).await;
        followers.disconnect();
        let began = Instant::now();
        end(server).await;
        ending += began.elapsed();
        let began = Instant::now();
        publishing.join_all().await;
        joining += began.elapsed();
        let began = Instant::now();
        server = Server::start(&options).await.unwrap();
        opening += began.elapsed();
        assert_eq!(server.loss, None);
        followers.connect(server.address);
    }
    let began = Instant::now();
    finish(&load, &server, &followers).await;
    let finishing = began.elapsed();
    let began = Instant::now();
    let unknown = check(&load, &followers);
    let checking = began.elapsed();
    server.stop().await;
    let acknowledged = load.outcomes().acknowledged.len();
    println!(
        "{} ends: {acknowledged} events acknowledged in {busy:.1?}, {:.0} a second, and {unknown} that were not are delivered; \
         {ending:.1?} to end, {joining:.1?} until the publishers see it, {opening:.1?} to open, {finishing:.1?} until the clients \
         have read all, {checking:.1?} to check",
        rounds(5, 50),
        acknowledged as f64 / busy.as_secs_f64(),
    );
}
