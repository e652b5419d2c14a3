//! The naive reference: every published event in one vector, and the events that each subscriber must get.

use std::collections::BTreeMap;

use tidings::{Gap, GapReason, Retention};

/// An event that was published.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) sequence: u64,
    pub(super) topic: usize,
    pub(super) payload: String,
    at: u64,
    ttl: Option<u64>,
}

/// All published events, the retention of each topic, and the first event of its history by count and bytes.
#[derive(Debug)]
pub(super) struct Reference {
    pub(super) events: Vec<Known>,
    retentions: Vec<Retention>,
    first: BTreeMap<usize, usize>,
}

impl Reference {
    pub(super) fn new(retentions: impl Into<Vec<Retention>>) -> Self {
        Self { events: Vec::new(), retentions: retentions.into(), first: BTreeMap::new() }
    }

    pub(super) fn publish(&mut self, topic: usize, payload: String, ttl: Option<u64>, at: u64) {
        let retention = self.retentions[topic];
        let sequence = self.events.len() as u64 + 1;
        self.events.push(Known { sequence, topic, payload, at, ttl });
        let of_topic: Vec<_> = self.of(topic).collect();
        let mut first = 0;
        let weight = |events: &[&Known]| events.iter().map(|event| event.payload.len()).sum::<usize>();
        while of_topic.len() - first > retention.count || weight(&of_topic[first..]) > retention.bytes {
            first += 1;
        }
        self.first.insert(topic, first);
    }

    pub(super) fn watermark(&self) -> u64 {
        self.events.len() as u64
    }

    fn of(&self, topic: usize) -> impl Iterator<Item = &Known> {
        self.events.iter().filter(move |event| event.topic == topic)
    }

    /// Returns the sequence of the newest event of a topic that is no longer retained.
    pub(super) fn evicted(&self, topic: usize, now: u64) -> u64 {
        let first = self.first.get(&topic).copied().unwrap_or(0);
        let age = self.retentions[topic].age.as_millis() as u64;
        let gone = self.of(topic).enumerate().filter(|(index, event)| *index < first || now - event.at >= age);
        gone.map(|(_, event)| event.sequence).max().unwrap_or(0)
    }

    /// Returns the sequence before the last `n` events of a topic that are retained and have not expired.
    pub(super) fn before_last(&self, topic: usize, n: usize, now: u64) -> u64 {
        let evicted = self.evicted(topic, now);
        let alive = self.of(topic).filter(|event| event.sequence > evicted && !expired(event, now));
        let sequences: Vec<_> = alive.map(|event| event.sequence).collect();
        match sequences.len().checked_sub(n + 1) {
            Some(before) => sequences[before],
            None => evicted,
        }
    }
}

/// Deliveries of one subscriber, each checked when it arrives.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    /// By topic, the sequence up to which every event is accounted for.
    accounted: BTreeMap<usize, u64>,
    /// By topic, the sequence up to which events may be missing after a gap without a topic.
    excused: BTreeMap<usize, u64>,
    /// Whether the subscriber got a gap in which events were missing.
    had_gap: bool,
    last: u64,
}

impl Ledger {
    pub(super) fn new(accounted: BTreeMap<usize, u64>) -> Self {
        Self { accounted, excused: BTreeMap::new(), had_gap: false, last: 0 }
    }

    /// Checks an event that the subscriber got.
    pub(super) fn event(&mut self, reference: &Reference, topic: usize, sequence: u64, payload: &str, now: u64) {
        assert!(sequence > self.last, "out of order or twice: {sequence} after {}", self.last);
        let known = &reference.events[sequence as usize - 1];
        assert_eq!((known.topic, known.payload.as_str()), (topic, payload), "another event than was published");
        assert!(!expired(known, now), "{sequence} had expired");
        self.skip(reference, topic, sequence - 1, now);
        self.accounted.insert(topic, sequence);
        self.last = sequence;
    }

    /// Checks a gap that the subscriber got, in one of these topics. With `is_counted`, an overflow gap must have the number
    /// of missed events.
    pub(super) fn gap(&mut self, reference: &Reference, topics: &[usize], gap: &Gap, now: u64, is_counted: bool) {
        let sequence = gap.cursor.sequence();
        // A gap without a topic may follow an event with a higher sequence.
        let is_in_order = sequence > self.last || !is_counted && sequence == self.last;
        assert!(is_in_order, "a gap out of order: {sequence} after {}", self.last);
        let mut all = 0;
        for &topic in topics {
            let from = self.accounted[&topic];
            let evicted = reference.evicted(topic, now);
            let lost: Vec<_> = reference.of(topic).filter(|e| e.sequence > from && e.sequence <= sequence).collect();
            let kept = lost.iter().find(|event| event.sequence > evicted && !expired(event, now));
            assert!(kept.is_none(), "in the gap, but retained: {kept:?}");
            if gap.reason == GapReason::Overflow && is_counted {
                // An event that expired before it was evicted counts, unless the subscriber had skipped it.
                let least = lost.iter().filter(|event| !expired(event, now)).count() as u64;
                let missed = gap.missed.expect("live lag is counted");
                assert!((least..=lost.len() as u64).contains(&missed), "{missed} of {least} to {}", lost.len());
            }
            if is_counted {
                assert_eq!(lost.last().map(|event| event.sequence), Some(sequence), "not at its last missing event");
            }
            all += lost.len() as u64;
            let up_to = if gap.topic.is_some() { &mut self.accounted } else { &mut self.excused };
            up_to.insert(topic, sequence);
        }
        // A pattern may get a gap in which nothing is missing: the hub cannot tell a topic that lost nothing from another one
        // that lost an event, or whose events expired.
        let up_to = || reference.events.iter().take_while(|event| event.sequence <= sequence);
        let has_expired = || up_to().any(|event| self.accounted.contains_key(&event.topic) && expired(event, now));
        assert!(all > 0 || !is_counted && (self.had_gap || has_expired()), "a gap of nothing: {gap:?}");
        self.had_gap |= all > 0;
        assert!(gap.missed.is_none_or(|missed| 0 < missed && missed <= all), "{:?} of {all}", gap.missed);
        self.last = sequence;
    }

    /// Checks that a subscriber that has nothing more to read got every event.
    pub(super) fn pending(&mut self, reference: &Reference, now: u64) {
        for topic in self.accounted.clone().into_keys() {
            self.skip(reference, topic, reference.watermark(), now);
            self.accounted.insert(topic, reference.watermark());
        }
    }

    /// Checks that the subscriber needs no event of the topic up to a sequence.
    fn skip(&self, reference: &Reference, topic: usize, to: u64, now: u64) {
        let from = self.accounted[&topic].max(self.excused.get(&topic).copied().unwrap_or(0));
        let owed = reference.of(topic).find(|e| e.sequence > from && e.sequence <= to && !expired(e, now));
        assert!(owed.is_none(), "lost without a gap: {owed:?}");
    }
}

fn expired(event: &Known, now: u64) -> bool {
    event.ttl.is_some_and(|ttl| event.at + ttl <= now)
}
