//! Runs after the end of the process.

use crate::clients::Seen;
use crate::files::Directory;
use crate::follower::{Followers, Item, Ledger, TRANSPORTS};
use crate::process::Server;
use crate::server::Options;
use crate::{rounds, row};

/// Events of a run that ends.
const SHORT: u64 = 40;
/// Events of a run that is interrupted.
const LONG: u64 = 1_000_000;
const LIVE: [&str; 3] = ["runs/a", "runs/b", "runs/c"];

#[test]
fn runs_survive() {
    row("runs_survive", async |mut rng| {
        for _ in 0..rounds(1, 10) {
            let directory = Directory::new();
            // Most events of a run are not in memory.
            let options = Options { memory: 10, ..Options::new(&directory.0) };
            let mut server = Server::start(&options).await.unwrap();
            assert!(server.start_run("runs/done", SHORT).await);
            read_done(&server).await;
            for topic in LIVE {
                let is_killed = rng.bool();
                assert!(server.start_run(topic, LONG).await);
                let mut followers = Followers::none();
                followers.add(&TRANSPORTS, &[topic], None);
                followers.connect(server.address);
                let enough = rng.usize(20..200);
                followers.until("reads the run", |ledger| ledger.items.len() >= enough).await;
                followers.disconnect();
                if is_killed {
                    server.kill().await;
                } else {
                    server.stop().await;
                }
                server = Server::start(&options).await.unwrap();
                assert!(!server.start_run(topic, LONG).await, "a repeated request joins the interrupted run");
                assert!(!server.start_run("runs/done", SHORT).await, "a repeated request joins the ended run");
                followers.add(&TRANSPORTS, &[topic], None);
                followers.connect(server.address);
                followers.until("reads the end", |ledger| end_of(ledger).is_some()).await;
                let count = followers.all[0].ledger().numbers().count() as u64;
                for follower in &followers.all {
                    let (name, ledger) = (follower.name(), follower.ledger());
                    assert_eq!(end_of(&ledger), Some("failed"), "{name}");
                    assert_eq!(ledger.numbers().collect::<Vec<_>>(), (1..=count).collect::<Vec<_>>(), "{name}");
                    assert_eq!(ledger.gaps().count(), 0, "{name}");
                }
                read_done(&server).await;
            }
            server.stop().await;
        }
    });
}

/// Checks that new clients get the whole run that ended, and its end.
async fn read_done(server: &Server) {
    let mut followers = Followers::none();
    followers.add(&TRANSPORTS, &["runs/done"], None);
    followers.connect(server.address);
    followers.until("reads the end", |ledger| end_of(ledger).is_some()).await;
    for follower in &followers.all {
        let (name, ledger) = (follower.name(), follower.ledger());
        assert_eq!(end_of(&ledger), Some("done"), "{name}");
        assert_eq!(ledger.numbers().collect::<Vec<_>>(), (1..=SHORT).collect::<Vec<_>>(), "{name}");
    }
}

/// Returns the reason of the end of the topic, if the client has it.
fn end_of(ledger: &Ledger) -> Option<&str> {
    ledger.items.iter().find_map(|item| match item {
        Item::Other(Seen::TopicEnd(end)) => Some(&*end.reason),
        _ => None,
    })
}
