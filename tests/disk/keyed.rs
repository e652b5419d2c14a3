//! States of keyed topics after the end of the process.

use std::collections::BTreeMap;

use fastrand::Rng;

use crate::clients::{ClientKind, Seen, SeenData};
use crate::files::Directory;
use crate::follower::{Followers, Item, Ledger};
use crate::process::Server;
use crate::server::Options;
use crate::{rounds, row};

/// The five transports, each in a form with keys.
const KEYED: [ClientKind; 5] =
    [ClientKind::ShortPoll, ClientKind::LongPoll, ClientKind::Chunked, ClientKind::SseObjects, ClientKind::WebSocket];
const TOPICS: [&str; 2] = ["keyed/a", "keyed/b"];

/// Texts by topic and key.
type State = BTreeMap<(String, String), String>;

#[test]
fn keyed_state_survives() {
    row("keyed_state_survives", async |mut rng| {
        let directory = Directory::new();
        let options = Options { memory: 10, ..Options::new(&directory.0) };
        let mut server = Server::start(&options).await.unwrap();
        let mut state = State::new();
        change(&server, &mut state, &mut rng).await;
        // These clients stay: each connects again with its cursor.
        let mut followers = Followers::none();
        followers.add(&KEYED, &TOPICS, None);
        followers.add(&KEYED, &TOPICS[1..], None);
        followers.connect(server.address);
        for round in 0..rounds(4, 20) {
            agrees(&followers, &state, round).await;
            followers.disconnect();
            change(&server, &mut state, &mut rng).await;
            if rng.bool() {
                server.kill().await
            } else {
                server.stop().await
            }
            server = Server::start(&options).await.unwrap();
            change(&server, &mut state, &mut rng).await;
            let mut new = Followers::none();
            new.add(&KEYED, &TOPICS, None);
            new.connect(server.address);
            agrees(&new, &state, round).await;
            followers.connect(server.address);
        }
        agrees(&followers, &state, usize::MAX).await;
        followers.assert_undisturbed();
        for follower in &followers.all {
            assert_eq!(follower.ledger().gaps().count(), 0, "{}", follower.name());
        }
    });
}

/// Sets and removes keys.
async fn change(server: &Server, state: &mut State, rng: &mut Rng) {
    for _ in 0..rng.usize(20..60) {
        let (topic, key) = (rng.choice(["a", "b"]).unwrap(), format!("k{}", rng.u8(..12)));
        let place = (format!("keyed/{topic}"), key.clone());
        if rng.u8(..4) == 0 {
            server.set(topic, &key, None).await;
            state.remove(&place);
        } else {
            let text = rng.u32(..).to_string();
            server.set(topic, &key, Some(&text)).await;
            state.insert(place, text);
        }
    }
    // The last change marks the end of each topic.
    for topic in ["a", "b"] {
        let text = rng.u32(..).to_string();
        server.set(topic, "last", Some(&text)).await;
        state.insert((format!("keyed/{topic}"), "last".to_owned()), text);
    }
}

/// Waits until each client has the state, which it keeps from then on.
async fn agrees(followers: &Followers, state: &State, round: usize) {
    for follower in &followers.all {
        let expected: State =
            state.clone().into_iter().filter(|((topic, _), _)| follower.topics.contains(&&**topic)).collect();
        let is_last = |ledger: &Ledger| {
            let seen = seen(ledger);
            let of_last = |state: &State| -> Vec<_> {
                state.iter().filter(|((_, key), _)| key == "last").map(|(_, text)| text.clone()).collect()
            };
            of_last(&seen) == of_last(&expected)
        };
        follower.until("has the last change", is_last).await;
        assert_eq!(seen(&follower.ledger()), expected, "{}, round {round}", follower.name());
    }
}

/// Returns the state that a client has after its items.
fn seen(ledger: &Ledger) -> State {
    let mut state = State::new();
    for item in &ledger.items {
        match item {
            Item::Other(Seen::Event(event)) => {
                let place = (event.topic.clone().unwrap(), event.key.clone().unwrap());
                match &event.data {
                    SeenData::Text(text) => drop(state.insert(place, text.clone())),
                    SeenData::Removed => drop(state.remove(&place)),
                    other => panic!("{other:?}"),
                }
            }
            // A gap with a state: it follows.
            Item::Gap { topic: None, .. } => state.clear(),
            Item::Gap { topic: Some(topic), .. } => state.retain(|(other, _), _| other != topic),
            other => panic!("{other:?}"),
        }
    }
    state
}
