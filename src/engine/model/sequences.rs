use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::client::{Client, Numbers, number, number_of, subscribe};
use super::history::{MemoryHistory, Stored};
use crate::contract::{Delivery, EncodedDelivery, Start, Subscribe, Subscriber};
use crate::engine::history::{History, StoredEvent};
use crate::engine::start::{Continued, KnownEpochs};
use crate::engine::subscription::HistorySubscription;
use crate::hub::LocalHub;
use crate::model::{Cursor, Event, Pattern, Retention, Topic};

pub(super) const TOPICS: [&str; 3] = ["a/1", "a/2", "b"];
pub(super) const NAMES: [&[&str]; 5] = [&["a/1"], &["a/1", "b"], &["a/*"], &["a/*", "b"], &["**"]];

#[derive(Debug, Clone)]
enum Step {
    Publish {
        topics: Vec<usize>,
    },
    Trim {
        topic: usize,
        events: usize,
    },
    Subscribe {
        names: usize,
        from: From,
        is_filtered: bool,
    },
    Poll {
        client: usize,
        polls: usize,
    },
    PollEncoded {
        client: usize,
        max: usize,
    },
    Cut {
        client: usize,
    },
    /// The process starts again, after the loss of the last events.
    Restart {
        lost: usize,
    },
    /// The history is replaced by a copy of it, made at an earlier restart.
    Restore {
        copy: usize,
    },
    Slow {
        polls: u32,
    },
    Fail {
        fails: bool,
    },
}

#[derive(Debug, Clone, Copy)]
pub(super) enum From {
    Now,
    Oldest,
    Last(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let from = prop_oneof![Just(From::Now), Just(From::Oldest), (0..4_usize).prop_map(From::Last)];
    prop_oneof![
        10 => prop::collection::vec(0..TOPICS.len(), 1..6).prop_map(|topics| Step::Publish { topics }),
        3 => (0..TOPICS.len(), 1..6_usize).prop_map(|(topic, events)| Step::Trim { topic, events }),
        4 => (0..NAMES.len(), from, any::<bool>())
            .prop_map(|(names, from, is_filtered)| Step::Subscribe { names, from, is_filtered }),
        8 => (any::<usize>(), 1..6_usize).prop_map(|(client, polls)| Step::Poll { client, polls }),
        4 => (any::<usize>(), 0..12_usize).prop_map(|(client, max)| Step::PollEncoded { client, max }),
        5 => any::<usize>().prop_map(|client| Step::Cut { client }),
        2 => prop_oneof![3 => Just(0_usize), 1 => 1..5_usize].prop_map(|lost| Step::Restart { lost }),
        1 => any::<usize>().prop_map(|copy| Step::Restore { copy }),
        2 => (0..3_u32).prop_map(|polls| Step::Slow { polls }),
        1 => prop::bool::weighted(0.3).prop_map(|fails| Step::Fail { fails }),
    ]
}

struct World {
    hub: LocalHub,
    history: Arc<MemoryHistory>,
    shared_history: Arc<dyn History>,
    epochs: KnownEpochs,
    epoch: u64,
    base: u64,
    /// Sequence and topic of each published event, by number.
    published: Vec<(u64, Topic)>,
    /// Numbers of the events of which the history knows, including those that are trimmed.
    known: BTreeSet<u32>,
    copies: Vec<(Stored, KnownEpochs)>,
    clients: Vec<Client<HistorySubscription>>,
    retained: usize,
}

impl World {
    fn new(page: usize, retained: usize) -> Self {
        let history =
            Arc::new(MemoryHistory { stored: Mutex::default(), page, slow: Mutex::new(0), fails: Mutex::default() });
        Self {
            hub: hub(1, 0, retained),
            shared_history: Arc::clone(&history) as _,
            history,
            epochs: KnownEpochs::default(),
            epoch: 1,
            base: 0,
            published: Vec::new(),
            known: BTreeSet::new(),
            copies: Vec::new(),
            clients: Vec::new(),
            retained,
        }
    }

    fn begin(&self, what: Subscribe) -> HistorySubscription {
        let Self { hub, shared_history: history, epochs, epoch, base, .. } = self;
        Continued { hub, history, epochs, epoch: *epoch, base: *base, now: None, is_late: false }
            .subscribe(what)
            .unwrap()
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Publish { topics } => self.publish(&topics),
            Step::Trim { topic, events } => self.trim(TOPICS[topic], events),
            Step::Subscribe { names, from, is_filtered } => {
                let names: Vec<_> = NAMES[names].iter().map(|name| Pattern::new(*name).unwrap()).collect();
                let client = self.client(names, from, is_filtered);
                self.clients.push(client);
            }
            Step::Poll { client, polls } => (0..polls).for_each(|_| _ = self.poll(client, None)),
            Step::PollEncoded { client, max } => _ = self.poll(client, Some(max)),
            Step::Cut { client } => self.cut(client),
            Step::Restart { lost } => self.restart(lost),
            Step::Restore { copy } => self.restore(copy),
            Step::Slow { polls } => *self.history.slow.lock().unwrap() = polls,
            Step::Fail { fails } => {
                let mut failing = self.history.fails.lock().unwrap();
                *failing = (fails, failing.1 || fails);
            }
        }
    }

    fn publish(&mut self, topics: &[usize]) {
        let first = self.published.len();
        let event = |(at, topic): (usize, &usize)| (topic_of(TOPICS[*topic]), Event::text((first + at).to_string()));
        let events: Vec<_> = topics.iter().enumerate().map(event).collect();
        let prepared = self.hub.prepare(events.clone()).unwrap();
        let head = self.hub.cursor().sequence();
        let mut stored = self.history.stored.lock().unwrap();
        for (sequence, (topic, event)) in (head + 1..).zip(events) {
            self.known.insert(self.published.len() as u32);
            self.published.push((sequence, topic.clone()));
            stored.events.push(StoredEvent { sequence, topic, event });
        }
        drop(stored);
        let last = prepared.publish().unwrap().last().unwrap().cursor();
        assert_eq!(last, Some(Cursor::new(self.epoch, head + topics.len() as u64)));
    }

    fn trim(&self, topic: &str, events: usize) {
        self.history.stored.lock().unwrap().trim(topic, events);
    }

    fn client(&self, names: Vec<Pattern>, from: From, is_filtered: bool) -> Client<HistorySubscription> {
        let (n, start) = match from {
            From::Now => (0, Start::Now),
            From::Oldest => (usize::MAX, Start::Oldest),
            From::Last(n) => (n, Start::Last(n)),
        };
        let stored = self.history.stored.lock().unwrap();
        let of =
            |topic: &'static str| stored.events.iter().rev().filter(move |event| event.topic.as_str() == topic).take(n);
        let past = TOPICS.into_iter().flat_map(of).map(|event| number_of(&event.event)).collect();
        drop(stored);
        let subscription = self.begin(subscribe(&names, is_filtered, start));
        Client::new(names, from, is_filtered, subscription, past, self.published.len() as u32)
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
            Poll::Ready(Err(gap)) => {
                let stored = self.history.stored.lock().unwrap();
                let has_failed = self.history.fails.lock().unwrap().1;
                let unreadable = stored.events.iter().filter(|_| has_failed);
                let gone = stored.trimmed.iter().chain(unreadable).map(|event| number_of(&event.event));
                client.gap(&gap, &self.published, gone.collect(), has_failed);
            }
        }
        true
    }

    /// Resumes a client at its cursor. One without a cursor starts again.
    fn cut(&mut self, client: usize) {
        let clients = self.clients.len().max(1);
        let Some(Client { names, from, is_filtered, cursor, .. }) = self.clients.get(client % clients) else { return };
        let fresh = match cursor {
            Some(cursor) => Ok(self.begin(subscribe(names, *is_filtered, Start::After(*cursor)))),
            None => Err(self.client(names.clone(), *from, *is_filtered)),
        };
        let client = &mut self.clients[client % clients];
        match fresh {
            Ok(subscription) => client.subscription = subscription,
            Err(again) => *client = again,
        }
    }

    fn restart(&mut self, lost: usize) {
        let mut stored = self.history.stored.lock().unwrap();
        let head = self.hub.cursor().sequence();
        let base = head - (lost as u64).min(head);
        stored.events.retain(|event| event.sequence <= base);
        stored.trimmed.retain(|event| event.sequence <= base);
        self.copies.push((stored.clone(), with_epoch(&self.epochs, self.epoch, base)));
        drop(stored);
        // The history has noticed the loss: no earlier cursor is one of it.
        self.epochs = if base < head { KnownEpochs::default() } else { with_epoch(&self.epochs, self.epoch, base) };
        self.open(base);
    }

    fn restore(&mut self, copy: usize) {
        let copies = self.copies.len().max(1);
        let Some((stored, epochs)) = self.copies.get(copy % copies).cloned() else { return };
        let base = epochs.earlier.last().unwrap().1;
        (*self.history.stored.lock().unwrap(), self.epochs) = (stored, epochs);
        self.open(base);
    }

    /// Starts the process: its clients resume.
    fn open(&mut self, base: u64) {
        let stored = self.history.stored.lock().unwrap();
        self.known = stored.events.iter().chain(&stored.trimmed).map(|event| number_of(&event.event)).collect();
        drop(stored);
        self.epoch += 1;
        self.base = base;
        self.hub = hub(self.epoch, base, self.retained);
        (0..self.clients.len()).for_each(|client| self.cut(client));
    }

    /// Lets every client get everything, and checks it.
    fn finish(mut self) {
        *self.history.slow.lock().unwrap() = 0;
        self.history.fails.lock().unwrap().0 = false;
        for client in 0..self.clients.len() {
            let mut pending = 0;
            while pending < 4 {
                pending = if self.poll(client, None) { 0 } else { pending + 1 };
            }
            let (client, stored) = (&self.clients[client], self.history.stored.lock().unwrap());
            let trimmed: BTreeSet<_> = stored.trimmed.iter().map(|event| number_of(&event.event)).collect();
            for (number, published) in (0_u32..).zip(&self.published) {
                let is_past = client.past.contains(&number) && !trimmed.contains(&number);
                let is_due = (number >= client.since || is_past) && client.gets_of(number, published);
                let has = client.got.contains(&number) || client.excused.contains(&number);
                assert!(
                    !is_due || has || !self.known.contains(&number),
                    "{:?} lacks {number} without a gap",
                    client.names
                );
            }
        }
    }
}

fn hub(epoch: u64, base: u64, retained: usize) -> LocalHub {
    LocalHub::builder().retain(Retention::count(retained)).live_buffer(0).build_at(epoch, base)
}

pub(super) fn topic_of(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

/// Returns epochs with a further one. If the history has lost events of earlier ones, their last sequences are lower.
fn with_epoch(epochs: &KnownEpochs, epoch: u64, last: u64) -> KnownEpochs {
    let earlier = epochs.earlier.iter().map(|&(epoch, end)| (epoch, end.min(last)));
    KnownEpochs { earlier: earlier.chain([(epoch, last)]).collect() }
}

proptest! {
    #[test]
    fn subscription_delivers_every_event_once_in_order_or_yields_gap(
        page in 1..8_usize,
        retained in 1..6_usize,
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut world = World::new(page, retained);
        steps.into_iter().for_each(|step| world.step(step));
        world.finish();
    }
}
