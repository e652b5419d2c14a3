//! Client of keyed and other topics, beside the list of everything that was published.

use std::collections::{BTreeMap, BTreeSet};

use crate::contract::{Delivery, Start, Subscribe};
use crate::disk::hub::DiskHub;
use crate::engine::subscription::HistorySubscription;
use crate::model::{Cursor, Event, Gap, GapReason, Pattern, Topic};

/// Published event.
#[derive(Debug, Clone)]
pub(super) struct Published {
    pub(super) sequence: u64,
    pub(super) topic: Topic,
}

pub(super) type NewestByKey = BTreeMap<(Topic, String), String>;

pub(super) fn is_keyed(topic: &Topic) -> bool {
    topic.as_str().starts_with("k/")
}

/// Applies an event of a keyed topic to the newest events of its keys.
pub(super) fn apply(states: &mut NewestByKey, topic: &Topic, event: &Event) {
    let key = (topic.clone(), event.key().unwrap().to_owned());
    match event.is_removal() {
        true => drop(states.remove(&key)),
        false => drop(states.insert(key, event.as_str().unwrap().to_owned())),
    }
}

pub(super) struct Client {
    pub(super) names: Vec<Pattern>,
    start: Start,
    pub(super) subscription: HistorySubscription,
    /// Newest event of each key, as the client has it.
    pub(super) states: NewestByKey,
    /// Sequences of the events of other topics that it has.
    got: BTreeSet<u64>,
    /// Sequence after which it gets every event of other topics.
    since: u64,
    /// Sequence of the last delivery, as long as the order is that of the hub.
    last: u64,
    /// Cursor of the last event or gap.
    id: Option<Cursor>,
}

impl Client {
    pub(super) fn new(hub: &DiskHub, names: Vec<Pattern>, start: Start) -> Self {
        let since = hub.cursor().sequence();
        let subscription = subscribe(hub, &names, start);
        let (states, got) = (NewestByKey::new(), BTreeSet::new());
        Self { names, start, subscription, states, got, since, last: 0, id: None }
    }

    pub(super) fn follows(&self, topic: &Topic) -> bool {
        self.names.iter().any(|name| name.matches(topic))
    }

    /// Returns the sequence of the last delivery.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn takes(&mut self, delivery: &Delivery) {
        match delivery {
            Delivery::Events(batch) => {
                for event in batch.iter() {
                    let cursor = event.cursor.unwrap();
                    assert!(self.follows(event.topic), "{} is not for {:?}", event.topic, self.names);
                    assert!(cursor.sequence() > self.last, "{cursor} after {}", self.last);
                    self.last = cursor.sequence();
                    self.id = Some(cursor);
                    match is_keyed(event.topic) {
                        true => apply(&mut self.states, event.topic, event.event),
                        false => drop(self.got.insert(cursor.sequence())),
                    }
                }
            }
            Delivery::Gap(gap) => self.gap(gap),
            other => panic!("{other:?}"),
        }
    }

    fn gap(&mut self, gap: &Gap) {
        let of = |topic: &Topic| gap.topic.as_ref().is_none_or(|other| other == topic);
        // Nothing but removals is ever lost, and epochs of which no event is in history any more.
        assert!(
            gap.snapshot && matches!(gap.reason, GapReason::Evicted | GapReason::Overflow | GapReason::Epoch),
            "{gap:?}"
        );
        assert!(gap.topic.as_ref().is_none_or(is_keyed), "{gap:?}");
        self.states.retain(|(topic, _), _| !of(topic));
        (self.last, self.id) = (gap.cursor.sequence(), Some(gap.cursor));
    }

    /// Resumes at the cursor of the subscription, or at that of the last event. A client without a cursor begins again.
    pub(super) fn cut(&mut self, hub: &DiskHub, at_id: bool) {
        use crate::contract::Subscriber as _;
        let cursor = if at_id { self.id } else { self.subscription.cursor() };
        match cursor {
            None => *self = Self::new(hub, self.names.clone(), self.start),
            Some(cursor) => {
                if cursor == Cursor::new(0, 0) {
                    assert!(self.states.is_empty());
                }
                self.subscription = subscribe(hub, &self.names, Start::After(cursor));
                (self.last, self.id) = (cursor.sequence(), Some(cursor));
            }
        }
    }

    /// Checks the client after it has received everything.
    pub(super) fn check(&self, published: &[Published], states: &NewestByKey) {
        let expected: NewestByKey = states
            .iter()
            .filter(|((topic, _), _)| self.follows(topic))
            .map(|(key, text)| (key.clone(), text.clone()))
            .collect();
        assert_eq!(self.states, expected, "{:?}", self.names);
        let is_due =
            |event: &&Published| event.sequence > self.since && self.follows(&event.topic) && !is_keyed(&event.topic);
        for event in published.iter().filter(is_due) {
            assert!(self.got.contains(&event.sequence), "{:?} lacks {event:?}", self.names);
        }
    }
}

fn subscribe(hub: &DiskHub, names: &[Pattern], start: Start) -> HistorySubscription {
    hub.subscribe(Subscribe::patterns(names.iter().cloned()).start(start)).unwrap()
}
