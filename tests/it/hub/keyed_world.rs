//! A hub with keyed topics under random sequences of operations.

use std::collections::BTreeSet;
use std::task::Poll;
use std::time::Duration;

use tidings::subscriber::{BoxSubscriber, Delivery, EncodedDelivery, SubscriberExt, SubscriptionEnd};
use tidings::{Cursor, Event, Gap, LocalHub, Overflow, PublishError, Retention, Start, Subscribe, Subscriber, Topic};

use super::keyed_reference::{Client, KEYED, Reference, State, TOPICS, followed};
use super::keyed_sequences::{Begin, Change, Config, Step};
use crate::support::{LineFormat, VirtualTimer, poll, poll_encoded, topic};

pub(super) struct World {
    hub: LocalHub,
    clock: VirtualTimer,
    reference: Reference,
    config: Config,
    readers: Vec<Reader>,
}

struct Reader {
    subscription: BoxSubscriber,
    names: Vec<&'static str>,
    client: Client,
}

impl Reader {
    /// Applies a gap. Returns `true`: there may be more.
    fn gap(&mut self, reference: &Reference, gap: &Gap) -> bool {
        self.client.gap(reference, gap);
        assert_eq!(self.subscription.cursor().map(untagged), Some(gap.cursor));
        true
    }
}

impl World {
    pub(super) fn new(config: Config) -> Self {
        let clock = VirtualTimer::new();
        let hub =
            LocalHub::builder().retain(config.plain).retain_for("k/a", config.keyed).retain_for("k/b", config.keyed);
        let hub = hub.max_bytes(config.budget).live_buffer(config.live_buffer).clock(clock.clone()).build();
        let reference = Reference { may_forget: config.may_forget(), ..Reference::default() };
        Self { hub, clock, reference, config, readers: Vec::new() }
    }

    pub(super) fn step(&mut self, step: Step) {
        let index = |index: usize, readers: &[Reader]| index % readers.len().max(1);
        match step {
            Step::Publish(changes) => self.publish(&changes),
            Step::Subscribe { names, begin } => self.subscribe(names, begin),
            Step::Poll { index: at, times } => {
                for _ in 0..times {
                    self.poll(index(at, &self.readers));
                }
            }
            Step::PollEncoded { index: at, max } => {
                self.poll_encoded(index(at, &self.readers), max);
            }
            Step::Drain { index: at } => self.drain(index(at, &self.readers)),
            Step::Resume { index: at, moment, added } => self.resume(index(at, &self.readers), moment, added),
            Step::Release { index: at } => {
                let at = index(at, &self.readers);
                self.readers.get_mut(at).into_iter().for_each(|reader| reader.subscription.release());
            }
            Step::Advance { millis } => self.clock.advance(Duration::from_millis(millis)),
            Step::Sweep => self.hub.sweep(),
        }
    }

    fn publish(&mut self, changes: &[Change]) {
        let event = |change: &Change| match (change.topic < KEYED, &change.payload) {
            (true, Some(payload)) => Event::text(payload.clone()).with_key(&change.key).unwrap(),
            (true, None) => Event::removal(&change.key).unwrap(),
            (false, payload) => Event::text(payload.clone().unwrap_or_default()),
        };
        let topics = TOPICS.map(topic);
        let events: Vec<(Topic, Event)> = changes.iter().map(|c| (topics[c.topic].clone(), event(c))).collect();
        let before = self.hub.cursor();
        let refused = match self.hub.publish_batch(events) {
            Ok(receipts) => {
                for change in changes {
                    let payload = change.payload.clone().or((change.topic >= KEYED).then(String::new));
                    let key = (change.topic < KEYED).then_some(change.key.as_str());
                    self.reference.publish(change.topic, key, payload.as_deref());
                }
                assert_eq!(receipts.len(), changes.len());
                None
            }
            Err(error) => {
                assert_eq!(self.hub.cursor(), before, "a refused batch changed something");
                Some(error)
            }
        };
        if let ([change], false) = (changes, self.config.is_tight()) {
            let limits = self.config.keyed.state.unwrap();
            let is_in_state = |reference: &Reference| {
                let (keys, weight) = (reference.of(change.topic).len(), reference.weight(change.topic));
                keys <= limits.keys && weight <= limits.bytes
            };
            assert!(change.topic >= KEYED || is_in_state(&self.reference), "more than the limits");
            match refused {
                Some(PublishError::StateFull { .. }) => {
                    assert!(change.topic < KEYED && change.payload.is_some());
                    let mut known = self.reference.of(change.topic).clone();
                    let old = known.get(&change.key).map(|old| self.reference.events[old].payload.clone().unwrap());
                    known.insert(change.key.clone(), 0);
                    let (new, held) = (change.payload.as_ref().unwrap().len(), self.reference.weight(change.topic));
                    let label = if old.is_none() { change.key.len() } else { 0 };
                    let weight = held + new + label - old.map_or(0, |old| old.len());
                    assert!(known.len() > limits.keys || weight > limits.bytes, "there is room");
                }
                Some(error) => panic!("{error}"),
                None => {}
            }
        }
    }

    fn request(&self, names: &[&str], start: Start) -> Subscribe {
        Subscribe::patterns(names.iter().copied()).start(start).overflow(self.config.overflow)
    }

    /// Subscribes as an endpoint does: a client has a cursor before its gap, too.
    fn recovering(&self, request: Subscribe, start: Start) -> BoxSubscriber {
        let subscription = self.hub.subscribe(request).unwrap();
        subscription.recover_with(|_: &Gap| async { None }).with_start(start).boxed()
    }

    fn subscribe(&mut self, names: Vec<&'static str>, begin: Begin) {
        let (epoch, last) = (self.hub.cursor().epoch(), self.reference.last);
        let start = match begin {
            Begin::Now => Start::Now,
            Begin::Oldest => Start::Oldest,
            Begin::Last(n) => Start::Last(n),
            Begin::Nowhere => Start::After(Cursor::new(0, 0)),
            Begin::OtherEpoch => Start::After(Cursor::new(7, 3)),
            Begin::Ahead => Start::After(Cursor::new(epoch, last + 5)),
            Begin::Unreadable => Start::Unreadable,
        };
        let topics = followed(&names);
        let has_keyed = topics.iter().any(|&topic| topic < KEYED);
        // A client of another epoch has a state that is wrong.
        let wrong = State::from([(0, [("wrong".to_owned(), 1)].into()), (1, [("wrong".to_owned(), 1)].into())]);
        let must_forget = has_keyed && matches!(begin, Begin::OtherEpoch | Begin::Ahead | Begin::Unreadable);
        let subscription = self.recovering(self.request(&names, start), start);
        let mut client = Client::new(topics, if must_forget { wrong } else { State::new() }, last, None);
        client.must_forget = must_forget;
        // A cursor ahead of the hub is one of its own later.
        if let Some(hello) = subscription.cursor().filter(|_| !matches!(begin, Begin::Ahead)) {
            client.moments.push((hello, client.state.clone()));
        }
        self.readers.push(Reader { subscription, names, client });
    }

    /// Cuts a client and resumes at one of its cursors, or at that of the subscription. It may add topics.
    fn resume(&mut self, index: usize, moment: Option<usize>, added: Option<usize>) {
        if self.readers.is_empty() {
            return;
        }
        let Reader { subscription, mut names, client } = self.readers.swap_remove(index);
        let known = moment.and_then(|moment| client.moments.get(moment % client.moments.len().max(1)).cloned());
        let here = || subscription.cursor().map(|cursor| (cursor, client.state.clone()));
        let Some((cursor, state)) = known.or_else(here).or_else(|| client.moments.last().cloned()) else {
            self.readers.push(Reader { subscription, names, client });
            return;
        };
        let is_known = cursor.epoch() == self.hub.cursor().epoch();
        if is_known && (client.must_forget || cursor.sequence() > self.reference.last) {
            // A cursor ahead of the hub becomes one of its own later.
            self.readers.push(Reader { subscription, names, client });
            return;
        }
        drop(subscription);
        let before = followed(&names);
        let added = added.map(|added| TOPICS[added]).filter(|name| !followed(&names).contains(&index_of(name)));
        names.extend(added);
        let cursor: Cursor = cursor.to_string().parse().unwrap();
        let request = self.request(&names, Start::After(cursor)).added(added.map(topic));
        let subscription = self.recovering(request, Start::After(cursor));
        let topics = followed(&names);
        let has_keyed = topics.iter().any(|&topic| topic < KEYED);
        let is_new = cursor == Cursor::new(0, 0) && has_keyed;
        let from = if is_known { cursor.sequence() } else { self.reference.last };
        assert!(!is_new || state.values().all(|keys| keys.is_empty()), "a client with a state starts without a gap");
        let mut state = state;
        state.retain(|topic, _| before.contains(topic));
        let mut resumed = Client::new(topics, state, from, is_known.then_some(cursor.sequence()));
        resumed.must_forget = !is_new && !is_known && has_keyed;
        if let Some(hello) = subscription.cursor() {
            resumed.moments.push((hello, resumed.state.clone()));
        }
        self.readers.push(Reader { subscription, names, client: resumed });
    }

    /// Polls a reader. Returns whether there may be more.
    fn poll(&mut self, index: usize) -> bool {
        let Some(reader) = self.readers.get_mut(index) else {
            return false;
        };
        match poll(&mut reader.subscription) {
            Poll::Ready(Delivery::Events(batch)) => {
                for event in batch.iter() {
                    let (cursor, payload) = (event.cursor.unwrap(), event.event.as_str().unwrap_or(""));
                    let sequence = cursor.sequence();
                    reader.client.event(&self.reference, event.topic.as_str(), sequence, payload, cursor);
                }
                self.delivered(index, batch.iter().next_back().unwrap().cursor.unwrap().sequence());
                true
            }
            Poll::Ready(Delivery::Gap(gap)) => reader.gap(&self.reference, &gap),
            Poll::Ready(Delivery::End(SubscriptionEnd::TooSlow)) => self.too_slow(index),
            Poll::Pending => self.pending(index),
            other => panic!("{other:?}"),
        }
    }

    fn poll_encoded(&mut self, index: usize, max: usize) -> bool {
        let Some(reader) = self.readers.get_mut(index) else {
            return false;
        };
        match poll_encoded(&mut reader.subscription, &LineFormat::CACHED, max) {
            Poll::Ready(EncodedDelivery::Events(events)) => {
                let text = std::str::from_utf8(&events.bytes).unwrap();
                assert_eq!(text.lines().count(), events.events as usize);
                let mut last = 0;
                for line in text.lines() {
                    let parts: Vec<_> = line.splitn(3, ' ').collect();
                    last = parts[0].parse().unwrap();
                    let payload = parts.get(2).copied().unwrap_or("");
                    reader.client.event(&self.reference, parts[1], last, payload, self.hub.cursor());
                }
                self.delivered(index, last);
                true
            }
            Poll::Ready(EncodedDelivery::Gap(gap)) => reader.gap(&self.reference, &gap),
            Poll::Ready(EncodedDelivery::End(SubscriptionEnd::TooSlow)) => self.too_slow(index),
            Poll::Pending => self.pending(index),
            other => panic!("{other:?}"),
        }
    }

    /// Checks the cursor after events. The client may resume there, too.
    fn delivered(&mut self, index: usize, last: u64) {
        let reader = &mut self.readers[index];
        let cursor = reader.subscription.cursor().unwrap();
        assert_eq!(cursor.sequence(), last);
        let state = reader.client.state.clone();
        reader.client.moments.push((cursor, state));
    }

    fn too_slow(&mut self, index: usize) -> bool {
        let names = &self.readers[index].names;
        assert!(self.config.overflow == Overflow::Disconnect);
        assert!(followed(names).iter().any(|&topic| topic >= KEYED), "a keyed topic never ends a subscription");
        self.resume(index, None, None);
        false
    }

    fn pending(&mut self, index: usize) -> bool {
        let reader = &mut self.readers[index];
        reader.client.pending(&self.reference);
        assert_eq!(reader.subscription.cursor(), Some(self.hub.cursor()), "everything is read");
        reader.client.moments.push((self.hub.cursor(), reader.client.state.clone()));
        false
    }

    fn drain(&mut self, index: usize) {
        let mut polls = 0;
        while self.poll(index) {
            polls += 1;
            assert!(polls < 10_000, "it has no end");
        }
    }

    /// Lets all readers read everything and resume, and checks that nothing is left.
    pub(super) fn finish(mut self) {
        (0..self.readers.len()).for_each(|index| self.drain(index));
        for moment in 0..3 * self.readers.len() {
            self.resume(0, Some(moment * 7), None);
            self.drain(self.readers.len() - 1);
        }
        let stats = self.hub.stats();
        let keys: usize = (0..KEYED).map(|topic| self.reference.of(topic).len()).sum();
        assert_eq!(stats.keys, keys);
        self.readers.clear();
        self.hub.close();
        let topics: BTreeSet<_> = self.reference.events.values().map(|known| known.topic).collect();
        assert!(stats.topics <= topics.len() + TOPICS.len());
    }
}

/// Returns a cursor without the position up to which a client in the middle of a state needs no removal.
fn untagged(cursor: Cursor) -> Cursor {
    Cursor::new(cursor.epoch(), cursor.sequence())
}

fn index_of(name: &str) -> usize {
    TOPICS.iter().position(|topic| *topic == name).unwrap()
}

impl Config {
    fn is_tight(&self) -> bool {
        self.budget < 1 << 20
    }

    fn may_forget(&self) -> bool {
        let limits = self.keyed.state.unwrap();
        limits.removals < 1_000 || limits.removal_age < Duration::from_secs(86_400)
    }
}

impl Default for Config {
    fn default() -> Self {
        let (plain, keyed) = (Retention::default(), Retention::latest_per_key());
        Self { plain, keyed, live_buffer: 0, budget: 1 << 26, overflow: Overflow::Gap }
    }
}
