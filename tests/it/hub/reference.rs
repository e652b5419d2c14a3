//! The naive reference: every published event in one vector, the ends of topics, and the deliveries that each subscriber
//! must get.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tidings::{Gap, GapReason, Retention, TopicEnd};

/// An event that was published.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) sequence: u64,
    pub(super) topic: usize,
    pub(super) payload: String,
    at: u64,
    ttl: Option<u64>,
}

/// End of a topic.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownEnd {
    pub(super) sequence: u64,
    /// Time at which it is forgotten.
    pub(super) due: u64,
}

/// All published events, the ends of topics, the retention of each topic, and the first event of its history by count and
/// bytes.
#[derive(Debug)]
pub(super) struct Reference {
    pub(super) events: Vec<Known>,
    /// Ends that are not forgotten, by topic.
    pub(super) ends: BTreeMap<usize, KnownEnd>,
    /// Last sequence of an event or an end.
    last: u64,
    retentions: Vec<Retention>,
    /// Whether the hub may also evict events to stay within its budget.
    pub(super) is_tight: bool,
    first: BTreeMap<usize, usize>,
}

impl Reference {
    pub(super) fn new(retentions: impl Into<Vec<Retention>>) -> Self {
        let retentions = retentions.into();
        Self { events: Vec::new(), ends: BTreeMap::new(), last: 0, retentions, is_tight: false, first: BTreeMap::new() }
    }

    pub(super) fn publish(&mut self, topic: usize, payload: String, ttl: Option<u64>, at: u64) {
        let retention = self.retentions[topic];
        self.last += 1;
        let sequence = self.last;
        self.events.push(Known { sequence, topic, payload, at, ttl });
        let of_topic: Vec<_> = self.of(topic).collect();
        let mut first = 0;
        let weight = |events: &[&Known]| events.iter().map(|event| event.payload.len()).sum::<usize>();
        while of_topic.len() - first > retention.count || weight(&of_topic[first..]) > retention.bytes {
            first += 1;
        }
        self.first.insert(topic, first);
    }

    /// Ends a topic that has not ended.
    pub(super) fn finish(&mut self, topic: usize, at: u64) -> u64 {
        self.last += 1;
        let age = self.retentions[topic].age.min(Duration::from_secs(24 * 3_600)).as_millis() as u64;
        self.ends.insert(topic, KnownEnd { sequence: self.last, due: at + age });
        self.last
    }

    pub(super) fn watermark(&self) -> u64 {
        self.last
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
    /// By topic whose end the subscriber is to get, the sequence of the end, if the topic has ended.
    pub(super) ends: BTreeMap<usize, Option<u64>>,
    /// Topics whose end the subscriber got, or which ended before its start.
    pub(super) over: BTreeSet<usize>,
    /// Sequence to which the subscriber skipped. It also gets ends up to it.
    pub(super) skipped: u64,
    /// Whether the subscriber skipped events, or got a gap in which events were missing.
    has_missed: bool,
    last: u64,
}

impl Ledger {
    pub(super) fn new(accounted: BTreeMap<usize, u64>) -> Self {
        let (ends, over) = (BTreeMap::new(), BTreeSet::new());
        Self { accounted, excused: BTreeMap::new(), ends, over, skipped: 0, has_missed: false, last: 0 }
    }

    /// Sets the topics whose ends the subscriber is to get, each with the sequence of the end, if the topic has ended: all of
    /// them, or those after a cursor.
    pub(super) fn with_ends(mut self, ends: impl Iterator<Item = (usize, Option<u64>)>, after: Option<u64>) -> Self {
        for (topic, end) in ends {
            match end.is_some() && end <= after {
                true => self.leave(topic),
                false => _ = self.ends.insert(topic, end),
            }
        }
        self
    }

    /// Expects no more events up to a sequence.
    pub(super) fn skip_to(&mut self, reference: &Reference, sequence: u64) {
        let is_skipped = |event: &Known| {
            self.accounted.get(&event.topic).is_some_and(|from| (from + 1..=sequence).contains(&event.sequence))
        };
        self.has_missed |= reference.events.iter().any(is_skipped);
        self.accounted.values_mut().for_each(|accounted| *accounted = sequence.max(*accounted));
        (self.skipped, self.last) = (sequence, sequence.max(self.last));
    }

    /// Excuses all events up to a sequence, of which the reference does not know whether they are retained.
    pub(super) fn excuse(mut self, sequence: u64) -> Self {
        self.excused = self.accounted.keys().map(|&topic| (topic, sequence)).collect();
        self
    }

    /// Expects nothing more of a topic.
    fn leave(&mut self, topic: usize) {
        self.ends.remove(&topic);
        self.accounted.remove(&topic);
        self.over.insert(topic);
    }

    /// Checks the end of a topic that the subscriber got.
    pub(super) fn topic_end(
        &mut self,
        reference: &Reference,
        topic: usize,
        end: &TopicEnd,
        can_finish: bool,
        now: u64,
    ) {
        let sequence = self.ends[&topic].expect("the topic has ended");
        let cursor = end.cursor.sequence();
        assert!(sequence <= cursor && cursor <= reference.watermark(), "{end:?} of {sequence}");
        let is_later = cursor > self.last || sequence == cursor || (cursor == self.last && sequence <= self.skipped);
        assert!(is_later, "the cursor goes back: {end:?} after {}", self.last);
        let others = self.ends.iter().filter(|(other, _)| **other != topic);
        let is_left_out = |end| end < sequence || (end < cursor && end > self.skipped);
        let earlier = others.clone().find(|(_, end)| end.is_some_and(is_left_out));
        assert!(earlier.is_none(), "an earlier end was left out: {earlier:?}");
        self.skip(reference, topic, sequence, now);
        assert_eq!(end.is_last, can_finish && others.count() == 0, "{end:?}");
        self.leave(topic);
        self.last = cursor;
    }

    /// Checks an event that the subscriber got.
    pub(super) fn event(&mut self, reference: &Reference, topic: usize, sequence: u64, payload: &str, now: u64) {
        assert!(sequence > self.last, "out of order or twice: {sequence} after {}", self.last);
        let known = reference.events.binary_search_by_key(&sequence, |known| known.sequence);
        let known = &reference.events[known.expect("an event that was published")];
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
            let excused = self.excused.get(&topic).copied().filter(|_| reference.is_tight).unwrap_or(0);
            let from = self.accounted[&topic];
            let evicted = reference.evicted(topic, now);
            let lost: Vec<_> = reference.of(topic).filter(|e| e.sequence > from && e.sequence <= sequence).collect();
            let mut alive = lost.iter().filter(|event| event.sequence > evicted && !expired(event, now));
            let kept = if reference.is_tight { None } else { alive.next() };
            assert!(kept.is_none(), "in the gap, but retained: {kept:?}");
            if gap.reason == GapReason::Overflow && is_counted {
                // An event that expired before it was evicted counts, unless the subscriber had skipped it.
                let is_owed = |event: &&&Known| event.sequence > excused && !expired(event, now);
                let least = lost.iter().filter(is_owed).count() as u64;
                let missed = gap.missed.or((self.skipped > 0).then_some(least)).expect("live lag is counted");
                assert!((least..=lost.len() as u64).contains(&missed), "{missed} of {least} to {}", lost.len());
            }
            if is_counted {
                assert_eq!(lost.last().map(|event| event.sequence), Some(sequence), "not at its last missing event");
            }
            all += lost.len() as u64;
            let up_to = if gap.topic.is_some() { &mut self.accounted } else { &mut self.excused };
            let up_to = up_to.entry(topic).or_default();
            *up_to = sequence.max(*up_to);
        }
        // A pattern may get a gap in which nothing is missing: the hub cannot tell a topic that lost nothing from another one
        // that lost an event, whose events expired, or whose events the subscriber skipped.
        let up_to = || reference.events.iter().take_while(|event| event.sequence <= sequence);
        let has_expired = || up_to().any(|event| self.accounted.contains_key(&event.topic) && expired(event, now));
        assert!(all > 0 || !is_counted && (self.has_missed || has_expired()), "a gap of nothing: {gap:?}");
        self.has_missed |= all > 0;
        assert!(gap.missed.is_none_or(|missed| 0 < missed && missed <= all), "{:?} of {all}", gap.missed);
        self.last = sequence;
    }

    /// Checks that a subscriber that has nothing more to read got every event.
    pub(super) fn pending(&mut self, reference: &Reference, now: u64) {
        let owed = self.ends.iter().find(|(_, end)| end.is_some());
        assert!(owed.is_none(), "an end is missing: {owed:?}");
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
