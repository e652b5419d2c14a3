//! The naive reference: every event ever published in one vector, and what each subscriber is owed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tidings::{Clock, Format, Gap, GapReason, Published, Retention};

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
pub(crate) struct Lines(pub(crate) Option<u8>);

impl Format for Lines {
    fn slot(&self) -> Option<u8> {
        self.0
    }

    fn encode(&self, event: &Published<'_>, out: &mut bytes::BytesMut) {
        let sequence = event.cursor.unwrap().position().sequence;
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

/// Everything that was published, and where each topic's history begins by count and bytes.
#[derive(Debug, Default)]
pub(crate) struct Reference {
    pub(crate) events: Vec<Known>,
    first: BTreeMap<usize, usize>,
}

impl Reference {
    pub(crate) fn publish(&mut self, topic: usize, payload: String, ttl: Option<u64>, at: u64, retention: &Retention) {
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
    pub(crate) fn evicted(&self, topic: usize, now: u64, retention: &Retention) -> u64 {
        let first = self.first.get(&topic).copied().unwrap_or(0);
        let age = retention.age.as_millis() as u64;
        let gone = self.of(topic).enumerate().filter(|(index, event)| *index < first || now - event.at >= age);
        gone.map(|(_, event)| event.sequence).max().unwrap_or(0)
    }

    /// The sequence before the last `n` events of a topic that are retained and have not expired.
    pub(crate) fn before_last(&self, topic: usize, n: usize, now: u64, retention: &Retention) -> u64 {
        let evicted = self.evicted(topic, now, retention);
        let alive = self.of(topic).filter(|event| event.sequence > evicted && !expired(event, now));
        let sequences: Vec<_> = alive.map(|event| event.sequence).collect();
        match sequences.len().checked_sub(n + 1) {
            Some(before) => sequences[before],
            None => evicted,
        }
    }
}

/// What one subscriber was given, checked as it comes.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    /// Per topic, the sequence up to which every event is accounted for.
    accounted: BTreeMap<usize, u64>,
    last: u64,
}

impl Ledger {
    pub(crate) fn new(accounted: BTreeMap<usize, u64>) -> Self {
        Self { accounted, last: 0 }
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

    /// The subscriber was told of this gap.
    pub(crate) fn gap(&mut self, reference: &Reference, topic: usize, gap: &Gap, now: u64, retention: &Retention) {
        let sequence = gap.cursor.position().sequence;
        assert!(sequence > self.last, "a gap out of order: {sequence} after {}", self.last);
        let from = self.accounted[&topic];
        let lost: Vec<_> = reference.of(topic).filter(|e| e.sequence > from && e.sequence <= sequence).collect();
        assert!(!lost.is_empty(), "a gap of nothing");
        assert_eq!(lost.last().map(|event| event.sequence), Some(sequence), "not at its last missing event");
        if gap.reason == GapReason::Overflow {
            // An event that had expired before it was evicted counts, unless the subscriber had stepped over it.
            let least = lost.iter().filter(|event| !expired(event, now)).count() as u64;
            let missed = gap.missed.expect("live lag is counted");
            assert!((least..=lost.len() as u64).contains(&missed), "{missed} of {least} to {}", lost.len());
        }
        let evicted = reference.evicted(topic, now, retention);
        assert!(sequence <= evicted, "{sequence} is told lost, but kept: evicted is {evicted}");
        self.accounted.insert(topic, sequence);
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
        let from = self.accounted[&topic];
        let owed = reference.of(topic).find(|e| e.sequence > from && e.sequence <= to && !expired(e, now));
        assert!(owed.is_none(), "lost in silence: {owed:?}");
    }
}

fn expired(event: &Known, now: u64) -> bool {
    event.ttl.is_some_and(|ttl| event.at + ttl <= now)
}
