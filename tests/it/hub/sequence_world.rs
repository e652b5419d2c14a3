//! A hub under random sequences of operations, and the reference that each of its answers is compared with.

use std::collections::BTreeMap;
use std::task::Poll;
use std::time::Duration;

use tidings::subscriber::{Delivery, EncodedDelivery, EndState, Slot, SubscriptionEnd};
use tidings::{
    Cursor, EndReason, Event, LocalHub, LocalHubBuilder, PublishError, Retention, Start, Subscribe, Subscriber, Topic,
    TopicEnd,
};

use super::reference::{Ledger, Reference};
use super::sequence_names::{TOPICS, can_finish, followed, named};
use super::sequences::{From, Step};
use crate::support::{LineFormat, VirtualTimer, poll, poll_encoded, topic};

pub(super) struct World {
    hub: LocalHub,
    clock: VirtualTimer,
    reference: Reference,
    topics: Vec<Topic>,
    readers: Vec<Reader>,
}

struct Reader {
    subscription: tidings::Subscription,
    names: Vec<&'static str>,
    ledger: Ledger,
}

impl Reader {
    /// Returns whether the subscriber follows a topic.
    fn is_following(&self, topic: usize) -> bool {
        followed(&self.names).any(|one| one == topic) && !self.ledger.over.contains(&topic)
    }

    /// Returns whether the subscriber got the end of each topic.
    fn is_over(&self) -> bool {
        can_finish(&self.names) && self.ledger.ends.is_empty()
    }
}

impl World {
    /// Returns a world with one retention for all topics, one for some of them, and one for one of these.
    pub(super) fn new([all, some, one]: [Retention; 3], live_buffer: usize, budget: Option<usize>) -> Self {
        let clock = VirtualTimer::new();
        let hub = LocalHub::builder().retain_for("a/x", one).retain(all).retain_for("a/**", some);
        let hub = hub.live_buffer(live_buffer).clock(clock.clone());
        let hub = hub.max_bytes(budget.unwrap_or(LocalHubBuilder::MAX_BYTES)).build();
        let topics = TOPICS.iter().map(topic).collect();
        let mut reference = Reference::new([all, all, one, some, some, all]);
        reference.is_tight = budget.is_some();
        Self { hub, clock, reference, topics, readers: Vec::new() }
    }

    pub(super) fn step(&mut self, step: Step) {
        let now = self.clock.millis();
        let readers = self.readers.len().max(1);
        match step {
            Step::Publish { topic, len, ttl } => {
                let payload = "x".repeat(len);
                let mut event = Event::text(payload.clone());
                if let Some(ttl) = ttl {
                    event = event.with_ttl(Duration::from_millis(ttl));
                }
                let before = self.hub.cursor();
                match self.hub.publish_now(&self.topics[topic], event) {
                    Ok(receipt) => {
                        assert!(!self.is_finished(topic));
                        self.reference.publish(topic, payload, ttl, now);
                        assert_eq!(receipt.cursor().unwrap().sequence(), self.reference.watermark());
                        let is_following = |reader: &&Reader| reader.is_following(topic);
                        assert_eq!(receipt.subscribers(), self.readers.iter().filter(is_following).count());
                        assert_eq!(self.hub.subscribers(&self.topics[topic]), receipt.subscribers());
                    }
                    Err(error) => self.refused(&[topic], &error, before),
                }
            }
            Step::PublishAll { topics } => {
                let events = topics.iter().map(|&topic| (self.topics[topic].clone(), Event::text("y")));
                let before = self.hub.cursor();
                match self.hub.publish_batch(events) {
                    Ok(receipts) => {
                        assert_eq!(receipts.len(), topics.len());
                        for topic in topics {
                            assert!(!self.is_finished(topic));
                            self.reference.publish(topic, "y".to_owned(), None, now);
                        }
                    }
                    Err(error) => self.refused(&topics, &error, before),
                }
            }
            Step::Finish { topic } => {
                let end = self.hub.finish(&self.topics[topic], EndReason::Done).unwrap();
                if self.is_finished(topic) {
                    assert_eq!(end.cursor.sequence(), self.reference.ends[&topic].sequence, "the first end");
                    return;
                }
                assert_eq!(end.cursor.sequence(), self.reference.finish(topic, now));
                assert_eq!(self.hub.cursor(), end.cursor);
                for reader in &mut self.readers {
                    reader.ledger.ends.entry(topic).and_modify(|known| *known = Some(end.cursor.sequence()));
                }
            }
            Step::Subscribe { names, from } => {
                let start = match from {
                    From::Now => Start::Now,
                    From::Oldest => Start::Oldest,
                    From::Last(n) => Start::Last(n),
                };
                let owed_from = |topic| match from {
                    From::Now => self.reference.watermark(),
                    From::Oldest => self.reference.evicted(topic, now),
                    From::Last(n) => self.reference.before_last(topic, n, now),
                };
                let mut ledger = Ledger::new(followed(&names).map(|topic| (topic, owed_from(topic))).collect());
                if self.reference.is_tight {
                    ledger = ledger.excuse(self.reference.watermark());
                }
                let ledger = ledger.with_ends(self.ends(&names).into_iter(), None);
                let subscription = self.subscribe(&names, start);
                self.readers.push(Reader { subscription, names, ledger });
            }
            Step::Poll { index } => {
                self.poll(index % readers);
            }
            Step::PollEncoded { index, max, slot } => {
                self.poll_encoded(index % readers, max, slot);
            }
            Step::Drain { index } => while self.poll(index % readers) {},
            Step::Resume { index, names } => self.resume(index % readers, names),
            Step::Skip { index, to } => self.skip(index % readers, to),
            Step::Release { index } => {
                if let Some(reader) = self.readers.get_mut(index % readers) {
                    reader.subscription.release();
                }
            }
            Step::Drop { index } => {
                if !self.readers.is_empty() {
                    self.readers.swap_remove(index % readers);
                }
            }
            Step::Advance { millis } => self.clock.advance(Duration::from_millis(millis)),
            Step::Sweep => self.hub.sweep(),
        }
    }

    fn subscribe(&self, names: &[&str], start: Start) -> tidings::Subscription {
        self.hub.subscribe(Subscribe::patterns(names.iter().copied()).start(start)).unwrap()
    }

    /// Drops a subscriber and resumes with its cursor, for the same names or for others.
    fn resume(&mut self, index: usize, names: Option<Vec<&'static str>>) {
        let Some(reader) = self.readers.get(index) else {
            return;
        };
        let cursor = reader.subscription.cursor().unwrap();
        for (topic, end) in reader.ledger.ends.iter().filter_map(|(topic, end)| Some((topic, (*end)?))) {
            let is_before = cursor.sequence() < end || end <= reader.ledger.skipped;
            assert!(is_before, "a client that resumes at {cursor} does not get the end {end} of {topic}");
        }
        let names = names.unwrap_or_else(|| reader.names.clone());
        self.readers.swap_remove(index);
        let reader = self.resumed(names, cursor);
        self.readers.push(reader);
    }

    /// Skips a reader to a cursor of the hub.
    fn skip(&mut self, index: usize, to: u64) {
        let (epoch, to) = (self.hub.cursor().epoch(), to % (self.reference.watermark() + 1));
        if let Some(reader) = self.readers.get_mut(index) {
            let before = reader.subscription.cursor().unwrap();
            assert!(reader.subscription.skip_to(Cursor::new(epoch, to)));
            assert_eq!(reader.subscription.cursor().unwrap().sequence(), to.max(before.sequence()));
            if to > before.sequence() {
                reader.ledger.skip_to(&self.reference, to);
            }
        }
    }

    /// Subscribes after a cursor of the hub.
    fn resumed(&mut self, names: Vec<&'static str>, cursor: Cursor) -> Reader {
        let owed_from = cursor.sequence();
        let ledger = Ledger::new(followed(&names).map(|topic| (topic, owed_from)).collect::<BTreeMap<_, _>>());
        let ledger = ledger.with_ends(self.ends(&names).into_iter(), Some(owed_from));
        let cursor: Cursor = cursor.to_string().parse().unwrap();
        let subscription = self.subscribe(&names, Start::After(cursor));
        Reader { subscription, names, ledger }
    }

    /// Returns the topics whose ends a subscriber of these names gets, each with the sequence of its end.
    fn ends(&mut self, names: &[&str]) -> Vec<(usize, Option<u64>)> {
        named(names)
            .map(|topic| (topic, self.is_finished(topic).then(|| self.reference.ends[&topic].sequence)))
            .collect()
    }

    /// Returns whether a topic has ended. Its end is forgotten after a time, but not while a subscriber is to get it.
    fn is_finished(&mut self, topic: usize) -> bool {
        let Some(end) = self.reference.ends.get(&topic).copied() else {
            return false;
        };
        let is_waiting = |reader: &Reader| reader.ledger.ends.get(&topic) == Some(&Some(end.sequence));
        let is_finished = self.clock.millis() < end.due || self.readers.iter().any(is_waiting);
        if !is_finished {
            self.reference.ends.remove(&topic);
        }
        is_finished
    }

    /// Checks that a publish to these topics was refused for a reason, and changed nothing.
    fn refused(&mut self, topics: &[usize], error: &PublishError, before: Cursor) {
        match error {
            PublishError::Finished(name) => {
                let topic = topics.iter().copied().find(|&topic| self.topics[topic] == *name).unwrap();
                assert!(self.is_finished(topic), "{name} has not ended");
            }
            PublishError::Full { .. } => assert!(self.reference.is_tight, "{error}"),
            _ => panic!("{error}"),
        }
        assert_eq!(self.hub.cursor(), before);
    }

    /// Polls a reader for a batch and checks it. Returns `false` if there was none.
    fn poll(&mut self, index: usize) -> bool {
        let now = self.clock.millis();
        let Some(reader) = self.readers.get_mut(index) else {
            return false;
        };
        match poll(&mut reader.subscription) {
            Poll::Ready(Delivery::Events(batch)) => {
                assert!(!batch.is_empty());
                for event in batch.iter() {
                    let topic = self.topics.iter().position(|name| name == event.topic).unwrap();
                    let sequence = event.cursor.unwrap().sequence();
                    reader.ledger.event(&self.reference, topic, sequence, event.event.as_str().unwrap(), now);
                    assert_eq!(batch.topic(), event.topic);
                }
                let last = batch.iter().next_back().unwrap().cursor;
                assert_eq!(reader.subscription.cursor(), last, "the cursor of the last event");
                true
            }
            Poll::Ready(Delivery::Gap(gap)) => self.gap(index, &gap),
            Poll::Ready(Delivery::TopicEnd(end)) => self.topic_end(index, &end),
            Poll::Ready(Delivery::End(SubscriptionEnd::Finished)) => self.finished(index),
            Poll::Pending => self.pending(index),
            other => panic!("{other:?}"),
        }
    }

    /// Polls a reader for encoded events and checks them.
    fn poll_encoded(&mut self, index: usize, max: usize, slot: Option<Slot>) -> bool {
        let now = self.clock.millis();
        let Some(reader) = self.readers.get_mut(index) else {
            return false;
        };
        match poll_encoded(&mut reader.subscription, &LineFormat(slot), max) {
            Poll::Ready(EncodedDelivery::Events(events)) => {
                let bytes = events.bytes;
                let text = std::str::from_utf8(&bytes).unwrap();
                assert!(text.ends_with('\n'), "an event is cut");
                assert_eq!(text.lines().count(), events.events as usize);
                assert!(bytes.len() <= max || text.lines().count() == 1, "more than the maximum");
                let mut last = 0;
                for line in text.lines() {
                    let (sequence, rest) = line.split_once(' ').unwrap();
                    let (topic, payload) = rest.split_once(' ').unwrap();
                    let topic = self.topics.iter().position(|name| name.as_str() == topic).unwrap();
                    last = sequence.parse().unwrap();
                    reader.ledger.event(&self.reference, topic, last, payload, now);
                }
                assert_eq!(reader.subscription.cursor().unwrap().sequence(), last);
                true
            }
            Poll::Ready(EncodedDelivery::Gap(gap)) => self.gap(index, &gap),
            Poll::Ready(EncodedDelivery::TopicEnd(end)) => self.topic_end(index, &end),
            Poll::Ready(EncodedDelivery::End(SubscriptionEnd::Finished)) => self.finished(index),
            Poll::Pending => self.pending(index),
            other => panic!("{other:?}"),
        }
    }

    fn gap(&mut self, index: usize, gap: &tidings::Gap) -> bool {
        let reader = &mut self.readers[index];
        let (named, wild): (Vec<&str>, Vec<&str>) = reader.names.iter().partition(|name| !name.ends_with('*'));
        let by_pattern: Vec<_> = followed(&wild).collect();
        match &gap.topic {
            Some(topic) => {
                let topic = TOPICS.iter().position(|name| *name == topic.as_str()).unwrap();
                let is_counted = named.contains(&TOPICS[topic]) && !by_pattern.contains(&topic);
                reader.ledger.gap(&self.reference, &[topic], gap, self.clock.millis(), is_counted);
            }
            None => reader.ledger.gap(&self.reference, &by_pattern, gap, self.clock.millis(), false),
        }
        assert_eq!(reader.subscription.cursor(), Some(gap.cursor));
        true
    }

    fn topic_end(&mut self, index: usize, end: &TopicEnd) -> bool {
        let (now, reader) = (self.clock.millis(), &mut self.readers[index]);
        let topic = self.topics.iter().position(|name| *name == end.topic).unwrap();
        reader.ledger.topic_end(&self.reference, topic, end, can_finish(&reader.names), now);
        assert_eq!(reader.subscription.cursor(), Some(end.cursor));
        true
    }

    /// Checks that a subscriber that has finished got the end of each topic.
    fn finished(&self, index: usize) -> bool {
        let reader = &self.readers[index];
        assert!(reader.is_over(), "topics are left: {:?}", reader.ledger.ends);
        assert_eq!(reader.subscription.info().end_state(), EndState::Finished);
        false
    }

    fn pending(&mut self, index: usize) -> bool {
        let reader = &mut self.readers[index];
        assert!(!reader.is_over(), "it is to finish");
        reader.ledger.pending(&self.reference, self.clock.millis());
        let at = reader.subscription.cursor().unwrap();
        assert_eq!(at.sequence(), self.reference.watermark(), "a subscription that has everything is at the watermark");
        false
    }

    /// Resumes at every cursor, or at some of them if they are many, and reads everything.
    fn resume_everywhere(&mut self) {
        let epoch = self.hub.cursor().epoch();
        for sequence in (0..=self.reference.watermark()).step_by(1 + self.reference.watermark() as usize / 30) {
            for names in [TOPICS.to_vec(), vec!["a"], vec!["b", "a/**"]] {
                let reader = self.resumed(names, Cursor::new(epoch, sequence));
                self.readers.push(reader);
                while self.poll(self.readers.len() - 1) {}
                self.readers.pop();
            }
        }
    }

    /// Lets all readers read everything, drops them, and checks that no topic is left.
    pub(super) fn finish(mut self) {
        for index in 0..self.readers.len() {
            while self.poll(index) {}
        }
        self.resume_everywhere();
        self.hub.close();
        for reader in &mut self.readers {
            let end = if reader.is_over() { SubscriptionEnd::Finished } else { SubscriptionEnd::Closed };
            let last = poll(&mut reader.subscription);
            assert!(matches!(last, Poll::Ready(Delivery::End(last)) if last == end), "{last:?}");
        }
        self.readers.clear();
        self.clock.advance(Duration::from_secs(3_600));
        self.hub.sweep();
        let stats = self.hub.stats();
        assert_eq!((stats.subscriptions, stats.topics, stats.patterns, stats.finished_topics), (0, 0, 0, 0));
        assert_eq!((stats.retained, stats.retained_bytes), (0, 0));
        assert_eq!(stats.published, self.reference.events.len() as u64);
    }
}
