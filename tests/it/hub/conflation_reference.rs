//! The naive reference of conflation and of time to live: every published event, the history of each topic, and the events
//! and gaps that a subscriber with a cursor must get.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tidings::{Event, LocalHub, Overflow, Retention};

use crate::support::{VirtualTimer, subtopic};

pub(super) const TOPICS: usize = 3;

/// A published event. Its payload is its sequence, padded with `x`.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) sequence: u64,
    pub(super) topic: usize,
    key: Option<usize>,
    len: usize,
    expires: Option<u64>,
}

impl Known {
    pub(super) fn is_expired(&self, now: u64) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    /// Returns whether the other event is a newer one of its topic and key.
    fn is_replaced_by(&self, other: &Self) -> bool {
        self.key.is_some() && (other.topic, other.key) == (self.topic, self.key) && other.sequence > self.sequence
    }
}

/// An item of a subscription: a gap that ends at a sequence, or the event there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Item {
    Gap(u64),
    Event(u64),
}

/// A hub and its reference. No event reaches the age of the retention, so counts, bytes and times to live decide.
pub(super) struct World {
    pub(super) hub: LocalHub,
    pub(super) clock: VirtualTimer,
    retention: Retention,
    pub(super) all: Vec<Known>,
    history: BTreeMap<usize, VecDeque<Known>>,
    /// By topic, the newest event that left history before it expired.
    lost: BTreeMap<usize, u64>,
    /// By topic, the newest such event that no newer event of its key had replaced.
    unreplaced: BTreeMap<usize, u64>,
}

impl World {
    pub(super) fn new(count: usize, bytes: usize) -> Self {
        let clock = VirtualTimer::new();
        let retention = Retention::count(count).bytes(bytes);
        let hub = LocalHub::builder().retain(retention).clock(clock.clone()).build();
        let (lost, unreplaced) = (BTreeMap::new(), BTreeMap::new());
        Self { hub, clock, retention, all: Vec::new(), history: BTreeMap::new(), lost, unreplaced }
    }

    pub(super) fn publish(&mut self, topic: usize, key: Option<usize>, len: usize, ttl: Option<u64>) {
        let (sequence, now) = (self.all.len() as u64 + 1, self.clock.millis());
        let mut event = Event::text(format!("{sequence}{}", "x".repeat(len)));
        if let Some(key) = key {
            event = event.with_key(&key.to_string()).unwrap();
        }
        if let Some(ttl) = ttl {
            event = event.with_ttl(Duration::from_millis(ttl));
        }
        let known = Known { sequence, topic, key, len: event.weight(), expires: ttl.map(|ttl| now + ttl) };
        assert_eq!(
            self.hub.publish_now(subtopic(topic), event).unwrap().cursor().unwrap().sequence(),
            sequence,
            "every event gets a sequence, whatever its time to live"
        );
        self.all.push(known.clone());
        self.history.entry(topic).or_default().push_back(known);
        self.evict(topic);
    }

    /// Removes events over the limits, and expired events that are the oldest.
    fn evict(&mut self, topic: usize) {
        let now = self.clock.millis();
        let mut history = self.history.remove(&topic).unwrap_or_default();
        while let Some(oldest) = history.front() {
            let too_much = history.len() > self.retention.count
                || history.iter().map(|event| event.len).sum::<usize>() > self.retention.bytes;
            if oldest.is_expired(now) {
                history.pop_front();
            } else if too_much {
                self.lost.insert(topic, oldest.sequence);
                if !self.is_replaced(oldest) {
                    self.unreplaced.insert(topic, oldest.sequence);
                }
                history.pop_front();
            } else {
                break;
            }
        }
        self.history.insert(topic, history);
    }

    pub(super) fn watermark(&self) -> u64 {
        self.all.len() as u64
    }

    pub(super) fn is_retained(&self, topic: usize, sequence: u64) -> bool {
        self.history[&topic].iter().any(|event| event.sequence == sequence)
    }

    /// Returns whether a newer event of its topic and key was published.
    pub(super) fn is_replaced(&self, event: &Known) -> bool {
        self.all[event.sequence as usize..].iter().any(|newer| event.is_replaced_by(newer))
    }

    /// Returns the items that a subscriber of these topics with a cursor at this sequence reads now, in order. With
    /// `Overflow::Latest` a hub has marks of all replaced events only if the topics had such a subscription from the start.
    pub(super) fn expected(&mut self, topics: &[usize], after: u64, overflow: Overflow) -> Vec<Item> {
        let (now, mut items) = (self.clock.millis(), Vec::new());
        for &topic in topics {
            self.evict(topic);
            let lost = if overflow == Overflow::Latest { &self.unreplaced } else { &self.lost };
            items.extend(lost.get(&topic).filter(|&&lost| lost > after).map(|&lost| Item::Gap(lost)));
            let unread = self.history[&topic].iter().filter(|event| event.sequence > after && !event.is_expired(now));
            let wanted = unread.filter(|event| overflow != Overflow::Latest || !self.is_replaced(event));
            items.extend(wanted.map(|event| Item::Event(event.sequence)));
        }
        items.sort_by_key(|item| match item {
            Item::Gap(sequence) | Item::Event(sequence) => *sequence,
        });
        items
    }
}
