//! Presence of clients: events of keys that have sessions, and their removals.

mod changes;
mod crowd;
mod drain;
mod failures;
mod reentrancy;
mod sessions;
mod threads;

use std::collections::BTreeMap;
use std::task::Poll;

use tidings::subscriber::Delivery;
use tidings::{EndpointBuilder, LocalHub, Retention, Session, Subscribe, Subscription};

use crate::support::http::App;
use crate::support::poll;

/// Returns a hub whose topic `people` keeps the newest event of each key.
fn hub() -> LocalHub {
    LocalHub::builder().retain_for("people", Retention::latest_per_key()).build()
}

/// Returns an application, and a builder with presence: a session's `?user=ann` is the key `ann` with the event `ann is here`,
/// and `?user=ann:away` the key `ann` with the event `ann is away`.
fn app(hub: &LocalHub) -> (App, EndpointBuilder) {
    let app = App::with_hub(hub.clone());
    let builder = app.builder().presence(hub, |session: &Session| {
        let user = session.data::<String>()?;
        let (key, mood) = user.split_once(':').unwrap_or((user, "here"));
        Some(("people", key.to_owned(), format!("{key} is {mood}")))
    });
    (app, builder)
}

/// Reader of the topic `people`, and the state that follows from its events.
struct People {
    subscription: Subscription,
    state: BTreeMap<String, String>,
}

impl People {
    fn of(hub: &LocalHub) -> Self {
        let subscription = hub.subscribe(Subscribe::topics(["people"])).unwrap();
        Self { subscription, state: BTreeMap::new() }
    }

    /// Returns the changes since the last call: the text of an event, or `-` and the key of a removal.
    fn changes(&mut self) -> Vec<String> {
        let mut changes = Vec::new();
        while let Poll::Ready(Delivery::Events(batch)) = poll(&mut self.subscription) {
            for event in batch.iter() {
                let key = event.event.key().unwrap().to_owned();
                if event.event.is_removal() {
                    assert!(self.state.remove(&key).is_some(), "a removal of the absent key {key}");
                    changes.push(format!("-{key}"));
                } else {
                    let text = event.event.as_str().unwrap().to_owned();
                    assert_ne!(self.state.insert(key, text.clone()), Some(text.clone()), "the event is repeated");
                    changes.push(text);
                }
            }
        }
        changes
    }
}
