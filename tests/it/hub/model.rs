//! The naive reference: every event ever published in one vector, and what each subscriber is owed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tidings::subscriber::{EventRef, Format, Slot};
use tidings::time::Clock;
use tidings::{Gap, GapReason, Retention};

/// A clock that stands still until it is told to go on.
#[derive(Debug, Clone)]
pub(crate) struct ManualClock {
    began: Instant,
    passed: Arc<AtomicU64>,
}

impl ManualClock {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), passed: Arc::default() }
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.passed.fetch_add(by.as_millis() as u64, Ordering::Relaxed);
    }

    pub(crate) fn millis(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.began + Duration::from_millis(self.millis())
    }
}

/// One line an event: sequence, topic, payload.
#[derive(Debug)]
pub(crate) struct Lines(pub(crate) Option<Slot>);

impl Lines {
    /// The format that a hub encodes once.
    pub(crate) const CACHED: Self = Self(Some(Slot::APPLICATION[0]));
}

impl Format for Lines {
    fn slot(&self) -> Option<Slot> {
        self.0
    }

    fn encode(&self, event: &EventRef<'_>, out: &mut bytes::BytesMut) {
        let sequence = event.cursor.unwrap().sequence();
        let line = format!("{sequence} {} {}\n", event.topic, event.event.as_str().unwrap());
        out.extend_from_slice(line.as_bytes());
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) sequence: u64,
    pub(crate) topic: usize,
    pub(crate) payload: String,
    at: u64,
    ttl: Option<u64>,
}

/// Everything that was published, what each topic keeps, and where its history begins by count and bytes.
#[derive(Debug)]
pub(crate) struct Reference {
    pub(crate) events: Vec<Known>,
    retentions: Vec<Retention>,
    first: BTreeMap<usize, usize>,
}

impl Reference {
    pub(crate) fn new(retentions: impl Into<Vec<Retention>>) -> Self {
        Self { events: Vec::new(), retentions: retentions.into(), first: BTreeMap::new() }
    }

    pub(crate) fn publish(&mut self, topic: usize, payload: String, ttl: Option<u64>, at: u64) {
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

    pub(crate) fn watermark(&self) -> u64 {
        self.events.len() as u64
    }

    fn of(&self, topic: usize) -> impl Iterator<Item = &Known> {
        self.events.iter().filter(move |event| event.topic == topic)
    }

    /// The sequence of the newest event of a topic that need not be kept any more.
    pub(crate) fn evicted(&self, topic: usize, now: u64) -> u64 {
        let first = self.first.get(&topic).copied().unwrap_or(0);
        let age = self.retentions[topic].age.as_millis() as u64;
        let gone = self.of(topic).enumerate().filter(|(index, event)| *index < first || now - event.at >= age);
        gone.map(|(_, event)| event.sequence).max().unwrap_or(0)
    }

    /// The sequence before the last `n` events of a topic that are retained and have not expired.
    pub(crate) fn before_last(&self, topic: usize, n: usize, now: u64) -> u64 {
        let evicted = self.evicted(topic, now);
        let alive = self.of(topic).filter(|event| event.sequence > evicted && !expired(event, now));
        let sequences: Vec<_> = alive.map(|event| event.sequence).collect();
        match sequences.len().checked_sub(n + 1) {
            Some(before) => sequences[before],
            None => evicted,
        }
    }
}

/// Deliveries of one subscriber, checked as they come.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    /// Per topic, the sequence up to which every event is accounted for.
    accounted: BTreeMap<usize, u64>,
    /// Up to where something of any of these may be missing, as it was told.
    excused: BTreeMap<usize, u64>,
    /// Whether it was told of a gap in which there was something.
    is_told: bool,
    last: u64,
}

impl Ledger {
    pub(crate) fn new(accounted: BTreeMap<usize, u64>) -> Self {
        Self { accounted, excused: BTreeMap::new(), is_told: false, last: 0 }
    }

    /// The subscriber got this event.
    pub(crate) fn event(&mut self, reference: &Reference, topic: usize, sequence: u64, payload: &str, now: u64) {
        assert!(sequence > self.last, "out of order or twice: {sequence} after {}", self.last);
        let known = &reference.events[sequence as usize - 1];
        assert_eq!((known.topic, known.payload.as_str()), (topic, payload), "another event than was published");
        assert!(!expired(known, now), "{sequence} had expired");
        self.skip(reference, topic, sequence - 1, now);
        self.accounted.insert(topic, sequence);
        self.last = sequence;
    }

    /// The subscriber was told of this gap in some of these topics. `is_counted`: it must say how much is missed if the
    /// subscriber was there.
    pub(crate) fn gap(&mut self, reference: &Reference, topics: &[usize], gap: &Gap, now: u64, is_counted: bool) {
        let sequence = gap.cursor.sequence();
        // What is missing somewhere up to an event may be told after the event.
        let is_in_order = sequence > self.last || !is_counted && sequence == self.last;
        assert!(is_in_order, "a gap out of order: {sequence} after {}", self.last);
        let mut all = 0;
        for &topic in topics {
            let from = self.accounted[&topic];
            let evicted = reference.evicted(topic, now);
            let lost: Vec<_> = reference.of(topic).filter(|e| e.sequence > from && e.sequence <= sequence).collect();
            let kept = lost.iter().find(|event| event.sequence > evicted && !expired(event, now));
            assert!(kept.is_none(), "told lost, but kept: {kept:?}");
            if gap.reason == GapReason::Overflow && is_counted {
                // An event that had expired before it was evicted counts, unless the subscriber had stepped over it.
                let least = lost.iter().filter(|event| !expired(event, now)).count() as u64;
                let missed = gap.missed.expect("live lag is counted");
                assert!((least..=lost.len() as u64).contains(&missed), "{missed} of {least} to {}", lost.len());
            }
            if is_counted {
                assert_eq!(lost.last().map(|event| event.sequence), Some(sequence), "not at its last missing event");
            }
            all += lost.len() as u64;
            let told = if gap.topic.is_some() { &mut self.accounted } else { &mut self.excused };
            told.insert(topic, sequence);
        }
        // By a pattern it may be told of more than there is: where one topic's loss, or what expired up to there in one that
        // it follows, may hide that another lost nothing.
        let up_to = || reference.events.iter().take_while(|event| event.sequence <= sequence);
        let has_expired = || up_to().any(|event| self.accounted.contains_key(&event.topic) && expired(event, now));
        assert!(all > 0 || !is_counted && (self.is_told || has_expired()), "a gap of nothing: {gap:?}");
        self.is_told |= all > 0;
        assert!(gap.missed.is_none_or(|missed| 0 < missed && missed <= all), "{:?} of {all}", gap.missed);
        self.last = sequence;
    }

    /// The subscriber has nothing more to read: so it was given everything that it is owed.
    pub(crate) fn pending(&mut self, reference: &Reference, now: u64) {
        for topic in self.accounted.clone().into_keys() {
            self.skip(reference, topic, reference.watermark(), now);
            self.accounted.insert(topic, reference.watermark());
        }
    }

    /// Nothing of the topic up to a sequence is owed any more.
    fn skip(&self, reference: &Reference, topic: usize, to: u64, now: u64) {
        let from = self.accounted[&topic].max(self.excused.get(&topic).copied().unwrap_or(0));
        let owed = reference.of(topic).find(|e| e.sequence > from && e.sequence <= to && !expired(e, now));
        assert!(owed.is_none(), "lost in silence: {owed:?}");
    }
}

fn expired(event: &Known, now: u64) -> bool {
    event.ttl.is_some_and(|ttl| event.at + ttl <= now)
}
