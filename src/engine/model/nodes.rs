use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::client::{Client, Numbers, number, number_of, subscribe};
use super::log::{Connection, Node, SharedLog, StoredRecord};
use super::sequences::{From, NAMES, TOPICS, topic_of};
use super::steps::{Step, step};
use crate::contract::{Delivery, EncodedDelivery, Start, Subscriber};
use crate::engine::driver::EngineDriver;
use crate::engine::engine_hub::EngineHub;
use crate::engine::engine_subscription::EngineSubscription;
use crate::engine::history::StoredEvent;
use crate::hub::LocalHub;
use crate::model::{Event, GapReason, Pattern, Retention, Topic};
use crate::time::{Clock, StdClock};

pub(super) const NODES: usize = 2;

#[derive(Clone)]
struct ManualClock(Arc<Mutex<Instant>>);

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        *self.0.lock().unwrap()
    }
}

struct World {
    log: SharedLog,
    clock: ManualClock,
    nodes: Vec<(EngineHub, EngineDriver)>,
    settings: Settings,
    /// Sequence and topic of each published event, by number.
    published: Vec<(u64, Topic)>,
    clients: Vec<Client<EngineSubscription>>,
}

#[derive(Debug, Clone, Copy)]
struct Settings {
    nodes: usize,
    page: usize,
    retained: usize,
    max_bytes: usize,
    max_pending: usize,
}

impl World {
    fn new(settings: Settings) -> Self {
        let log = SharedLog::new(settings.page, settings.nodes);
        let clock = ManualClock(Arc::new(Mutex::new(StdClock.now())));
        let nodes = (0..settings.nodes).map(|node| open(&log, &clock, node, settings)).collect();
        Self { log, clock, nodes, settings, published: Vec::new(), clients: Vec::new() }
    }

    fn step(&mut self, step: Step) {
        let nodes = self.settings.nodes;
        let node_of = |node: usize| node % nodes;
        match step {
            Step::Publish { node, topics } => topics.iter().for_each(|topic| self.publish(node_of(node), *topic)),
            Step::Push { node, places, is_doubled } => self.log.push(node_of(node), &places, is_doubled),
            Step::PushAll { node } => self.push_all(node_of(node)),
            Step::Disconnect { node } => self.log.disconnect(node_of(node)),
            // The other node would not notice it.
            Step::Withhold { place } if self.settings.nodes == 1 => self.withhold(place),
            Step::Withhold { .. } => {}
            Step::Epoch { lost, is_wiped } => self.log.begin_epoch(lost, is_wiped),
            Step::Trim { topic, events } => self.log.lock().stored.trim(TOPICS[topic], events),
            Step::Subscribe { node, names, from, is_filtered } => {
                let names = NAMES[names].iter().map(|name| Pattern::new(*name).unwrap()).collect();
                let client = self.client(node_of(node), names, from, is_filtered);
                self.clients.push(client);
            }
            Step::Poll { client, polls } => (0..polls).for_each(|_| _ = self.poll(client, None)),
            Step::PollEncoded { client, max } => _ = self.poll(client, Some(max)),
            Step::Cut { client, node } => self.cut(client, node_of(node)),
            Step::Leave { client } => {
                if !self.clients.is_empty() {
                    let client = client % self.clients.len();
                    self.clients.remove(client);
                }
            }
            Step::Restart { node } => self.restart(node_of(node)),
            Step::Slow { polls } => self.log.lock().slow = polls,
            Step::Fail { fails } => {
                let failing = &mut self.log.lock().fails;
                *failing = (fails, failing.1 || fails);
            }
            Step::Drive { node } => self.drive(node_of(node)),
            Step::Wait => *self.clock.0.lock().unwrap() += Duration::from_secs(6),
        }
    }

    fn publish(&mut self, node: usize, topic: usize) {
        let topic = topic_of(TOPICS[topic]);
        let event = Event::text(self.published.len().to_string());
        let receipt = ready(self.nodes[node].0.publish(&topic, event)).unwrap();
        self.published.push((receipt.cursor().unwrap().sequence(), topic));
    }

    fn withhold(&mut self, place: usize) {
        (0..4).for_each(|_| self.drive(0));
        let mut log = self.log.lock();
        let wire = &mut log.connections[0].wire;
        if wire.is_empty() {
            return;
        }
        let (record, _) = wire.remove(place % wire.len());
        drop(log);
        self.push_all(0);
        (0..4).for_each(|_| self.drive(0));
        // The next record of the topic names it.
        let StoredRecord::Event(StoredEvent { topic, .. }) = record else { return };
        self.publish(0, TOPICS.iter().position(|name| *name == topic.as_str()).unwrap());
        // A process that ends before its clients have the gap does not remember the loss.
        self.settle();
    }

    /// Lets every client get everything.
    fn settle(&mut self) {
        for _ in 0..3 {
            for node in 0..self.settings.nodes {
                (0..6).for_each(|_| {
                    self.push_all(node);
                    self.drive(node);
                });
            }
            for client in 0..self.clients.len() {
                let mut pending = 0;
                while pending < 6 {
                    pending = if self.poll(client, None) { 0 } else { pending + 1 };
                    self.drive(self.clients[client].node);
                    self.push_all(self.clients[client].node);
                }
            }
        }
    }

    fn push_all(&self, node: usize) {
        let wire = self.log.lock().connections[node].wire.len();
        self.log.push(node, &vec![0; wire], false);
    }

    fn drive(&mut self, node: usize) {
        let driver = pin!(&mut self.nodes[node].1);
        assert!(driver.poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }

    fn restart(&mut self, node: usize) {
        let fresh = open(&self.log, &self.clock, node, self.settings);
        self.nodes[node] = fresh;
        for client in 0..self.clients.len() {
            if self.clients[client].node == node {
                self.cut(client, node);
            }
        }
    }

    fn client(&self, node: usize, names: Vec<Pattern>, from: From, is_filtered: bool) -> Client<EngineSubscription> {
        let (n, start) = match from {
            From::Now => (0, Start::Now),
            From::Oldest => (usize::MAX, Start::Oldest),
            From::Last(n) => (n, Start::Last(n)),
        };
        let log = self.log.lock();
        let of = |topic: &'static str| {
            log.stored.events.iter().rev().filter(move |event| event.topic.as_str() == topic).take(n)
        };
        let past = TOPICS.into_iter().flat_map(of).map(|event| number_of(&event.event)).collect();
        drop(log);
        let subscription = self.nodes[node].0.subscribe(subscribe(&names, is_filtered, start)).unwrap();
        Client { node, ..Client::new(names, from, is_filtered, subscription, past, self.published.len() as u32) }
    }

    /// Polls a client once. Returns whether it was ready.
    fn poll(&mut self, client: usize, max: Option<usize>) -> bool {
        let clients = self.clients.len().max(1);
        let Some(client) = self.clients.get_mut(client % clients) else { return false };
        let mut cx = Context::from_waker(Waker::noop());
        let polled = match max {
            None => client.subscription.poll_next(&mut cx).map(|delivery| match delivery {
                Delivery::Events(batch) => Ok(batch.iter().map(|event| number(&event)).collect::<Vec<_>>()),
                Delivery::Gap(gap) => Err(Box::new(gap)),
                other => panic!("{other:?}"),
            }),
            Some(max) => client.subscription.poll_encoded(&mut cx, &Numbers, max).map(|delivery| match delivery {
                EncodedDelivery::Events(events) => {
                    assert!(events.bytes.len() <= max.max(4) && events.bytes.len() == 4 * events.events as usize);
                    Ok(events.bytes.chunks(4).map(|bytes| u32::from_be_bytes(bytes.try_into().unwrap())).collect())
                }
                EncodedDelivery::Gap(gap) => Err(Box::new(gap)),
                other => panic!("{other:?}"),
            }),
        };
        client.cursor = client.subscription.cursor().or(client.cursor);
        match polled {
            Poll::Pending => return false,
            Poll::Ready(Ok(numbers)) => numbers.into_iter().for_each(|number| client.gets(number, &self.published)),
            Poll::Ready(Err(gap)) if gap.reason == GapReason::Evicted && gap.after.is_none() => {
                // Of records that the log withheld.
                assert_eq!(self.settings.nodes, 1);
                let sequence = gap.cursor.sequence();
                let numbers = (0..).zip(&self.published).filter(|(_, (at, _))| *at <= sequence);
                client.excused.extend(numbers.map(|(number, _)| number));
            }
            Poll::Ready(Err(gap)) => {
                let log = self.log.lock();
                let unreadable = log.stored.events.iter().filter(|_| log.fails.1);
                let gone =
                    log.stored.trimmed.iter().chain(&log.gone).chain(unreadable).map(|event| number_of(&event.event));
                client.gap(&gap, &self.published, gone.collect(), log.fails.1);
            }
        }
        true
    }

    /// Resumes a client at its cursor. One without a cursor starts again.
    fn cut(&mut self, client: usize, node: usize) {
        let clients = self.clients.len().max(1);
        let Some(Client { names, from, is_filtered, cursor, .. }) = self.clients.get(client % clients) else { return };
        let fresh = match cursor {
            Some(cursor) => {
                let what = subscribe(names, *is_filtered, Start::After(*cursor));
                Ok(self.nodes[node].0.subscribe(what).unwrap())
            }
            None => Err(self.client(node, names.clone(), *from, *is_filtered)),
        };
        let client = &mut self.clients[client % clients];
        match fresh {
            Ok(subscription) => (client.subscription, client.node) = (subscription, node),
            Err(again) => *client = again,
        }
    }

    /// Lets every client get everything, and checks it.
    fn finish(mut self) {
        let mut log = self.log.lock();
        (log.slow, log.fails.0) = (0, false);
        drop(log);
        self.settle();
        let log = self.log.lock();
        let trimmed: BTreeSet<_> = log.stored.trimmed.iter().map(|event| number_of(&event.event)).collect();
        let known: BTreeSet<_> = log.stored.events.iter().map(|event| number_of(&event.event)).collect();
        for client in &self.clients {
            for (number, published) in (0_u32..).zip(&self.published) {
                let is_past = client.past.contains(&number) && !trimmed.contains(&number);
                let is_due = (number >= client.since || is_past) && client.gets_of(number, published);
                let has = client.got.contains(&number) || client.excused.contains(&number);
                let is_known = known.contains(&number) || trimmed.contains(&number);
                assert!(!is_due || has || !is_known, "{:?} lacks {number} without a gap", client.names);
                assert!(
                    is_known || !client.lately.contains(&number),
                    "{:?} has {number}, which the log has lost, and no gap",
                    client.names
                );
            }
        }
    }
}

fn open(log: &SharedLog, clock: &ManualClock, number: usize, settings: Settings) -> (EngineHub, EngineDriver) {
    let slow = std::mem::take(&mut log.lock().slow);
    log.lock().connections[number] = Connection::default();
    let Settings { retained, max_bytes, max_pending, .. } = settings;
    let memory = move || {
        LocalHub::builder().retain(Retention::count(retained)).live_buffer(0).max_bytes(max_bytes).max_event(1 << 10)
    };
    let builder = EngineHub::builder(Node { log: log.clone(), number }).memory(memory);
    let opened = ready(builder.clock(clock.clone()).max_pending(max_pending).open()).unwrap();
    log.lock().slow = slow;
    opened
}

/// Returns the result of a future that is ready.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("not ready"),
    }
}

fn settings() -> impl Strategy<Value = Settings> {
    let max_bytes = prop_oneof![3 => Just(1 << 20), 1 => Just(4 << 10)];
    let max_pending = prop_oneof![3 => Just(1 << 20), 1 => 300..2_000_usize];
    (1..=NODES, 1..8_usize, 1..6_usize, max_bytes, max_pending).prop_map(
        |(nodes, page, retained, max_bytes, max_pending)| Settings { nodes, page, retained, max_bytes, max_pending },
    )
}

proptest! {
    #[test]
    fn subscriptions_of_several_nodes_deliver_every_event_once_in_order_or_yield_gap(
        settings in settings(),
        steps in prop::collection::vec(step(), 1..100),
    ) {
        let mut world = World::new(settings);
        steps.into_iter().for_each(|step| world.step(step));
        world.finish();
    }
}
