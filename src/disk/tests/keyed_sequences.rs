//! Random operations on keyed and other topics of a hub on disk, with restarts, against the list of all events.

use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;

use super::keyed_client::{Client, NewestByKey, Published, apply, is_keyed};
use super::support::{unpark, wait};
use crate::contract::{Start, Subscriber};
use crate::disk::hub::DiskHub;
use crate::disk::store::Durability;
use crate::disk::store::tests::support::{Directory, copy_killed};
use crate::hub::LocalHub;
use crate::model::{Event, Pattern, Retention, StateLimits, Topic};
use crate::time::milliseconds_since_1970;

const TOPICS: [&str; 4] = ["k/1", "k/2", "p/1", "p/2"];
const NAMES: [&[&str]; 6] = [&["k/1"], &["k/1", "p/1"], &["k/*"], &["**"], &["k/1", "k/2", "p/*"], &["p/*"]];

#[derive(Debug, Clone)]
enum Step {
    /// Topics, each with a number that is the key and the kind of the event.
    Publish(Vec<(usize, u8)>),
    Subscribe {
        names: usize,
        start: Start,
    },
    Poll {
        client: usize,
        polls: usize,
    },
    Cut {
        client: usize,
        at_id: bool,
    },
    /// Removes everything that exceeds the retentions.
    Trim,
    Restart {
        is_killed: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let start = prop_oneof![Just(Start::Now), Just(Start::Oldest), (0..4_usize).prop_map(Start::Last)];
    let event = || (0..TOPICS.len(), any::<u8>());
    prop_oneof![
        8 => prop::collection::vec(event(), 1..8).prop_map(Step::Publish),
        4 => (0..NAMES.len(), start).prop_map(|(names, start)| Step::Subscribe { names, start }),
        8 => (any::<usize>(), 1..6_usize).prop_map(|(client, polls)| Step::Poll { client, polls }),
        4 => (any::<usize>(), any::<bool>()).prop_map(|(client, at_id)| Step::Cut { client, at_id }),
        3 => Just(Step::Trim),
        2 => any::<bool>().prop_map(|is_killed| Step::Restart { is_killed }),
    ]
}

struct World {
    directory: Directory,
    hub: DiskHub,
    published: Vec<Published>,
    states: NewestByKey,
    clients: Vec<Client>,
}

fn open(directory: &Directory) -> DiskHub {
    let keyed = Retention::count(3).state_limits(StateLimits::default().removals(1));
    DiskHub::builder(&directory.0)
        .retain(Retention::count(usize::MAX).bytes(usize::MAX))
        .retain_for("k/**", keyed)
        .memory(LocalHub::builder().retain(Retention::count(2)).live_buffer(0))
        .durability(Durability::Written)
        .open()
        .unwrap()
}

impl World {
    fn new() -> Self {
        let directory = Directory::new();
        let hub = open(&directory);
        Self { directory, hub, published: Vec::new(), states: NewestByKey::new(), clients: Vec::new() }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Publish(events) => {
                for (topic, kind) in events {
                    let key = format!("key {}", kind % 4);
                    let text = format!("{} {kind}", self.published.len());
                    let is_removal = TOPICS[topic].starts_with("k/") && kind % 3 == 0;
                    let event = if is_removal { Event::removal(&key) } else { Event::text(text).with_key(&key) };
                    self.publish(TOPICS[topic], &event.unwrap());
                }
            }
            Step::Subscribe { names, start } => {
                let names = NAMES[names].iter().map(|name| Pattern::new(*name).unwrap()).collect();
                self.clients.push(Client::new(&self.hub, names, start));
            }
            Step::Poll { client, polls } => {
                let clients = self.clients.len().max(1);
                let Some(client) = self.clients.get_mut(client % clients) else { return };
                (0..polls).for_each(|_| poll(client));
            }
            Step::Cut { client, at_id } => {
                let clients = self.clients.len().max(1);
                let Some(client) = self.clients.get_mut(client % clients) else { return };
                client.cut(&self.hub, at_id);
            }
            Step::Trim => while self.hub.handle.store.trim(milliseconds_since_1970(), 100).unwrap() {},
            Step::Restart { is_killed } => {
                let killed = is_killed.then(|| copy_killed(&self.directory));
                self.hub.close();
                self.directory = killed.unwrap_or_else(|| std::mem::replace(&mut self.directory, Directory::new()));
                self.hub = open(&self.directory);
                for client in &mut self.clients {
                    client.cut(&self.hub, is_killed);
                }
            }
        }
    }

    fn publish(&mut self, topic: &str, event: &Event) {
        let topic = Topic::new(topic).unwrap();
        let receipt = wait(self.hub.publish(&topic, event.clone())).unwrap();
        if is_keyed(&topic) {
            apply(&mut self.states, &topic, event);
        }
        self.published.push(Published { sequence: receipt.cursor().unwrap().sequence(), topic });
    }

    /// Lets each client receive everything, and checks it.
    fn finish(mut self) {
        for topic in TOPICS {
            self.publish(topic, &Event::text("last").with_key("last").unwrap());
        }
        for client in &mut self.clients {
            let last = self.published.iter().rev().find(|event| client.follows(&event.topic)).unwrap().sequence;
            while client.last() < last {
                let delivery = wait(std::future::poll_fn(|cx| client.subscription.poll_next(cx)));
                client.takes(&delivery);
            }
            client.check(&self.published, &self.states);
        }
    }
}

/// Polls a client, again after a moment if it waits for the reader.
fn poll(client: &mut Client) {
    let waker = unpark();
    for _ in 0..2 {
        match client.subscription.poll_next(&mut Context::from_waker(&waker)) {
            Poll::Ready(delivery) => return client.takes(&delivery),
            Poll::Pending => thread::park_timeout(Duration::from_millis(1)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 16))]

    #[test]
    fn client_has_the_newest_event_of_each_key_and_every_event_of_other_topics(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.step(step));
        world.finish();
    }
}
