//! The naive reference of keyed topics: all published events, and clients that apply what they receive.

use std::collections::{BTreeMap, BTreeSet};

use tidings::{Cursor, Gap, GapReason};

/// Topics of the world: the first two are keyed.
pub(super) const TOPICS: [&str; 4] = ["k/a", "k/b", "k/o", "p"];
pub(super) const KEYED: usize = 2;
/// Names that a client may follow.
pub(super) const NAMES: [&str; 7] = ["k/a", "k/b", "k/o", "p", "k/*", "k/**", "**"];

/// Newest event of each key, by topic: its sequence.
pub(super) type State = BTreeMap<usize, BTreeMap<String, u64>>;

/// Returns the state of a topic.
fn of(state: &State, topic: usize) -> &BTreeMap<String, u64> {
    static EMPTY: BTreeMap<String, u64> = BTreeMap::new();
    state.get(&topic).unwrap_or(&EMPTY)
}

/// Returns the topics that these names follow.
pub(super) fn followed(names: &[&str]) -> BTreeSet<usize> {
    let is_for = |name: &str, topic: &str| match name.split_once('*') {
        Some((prefix, _)) => topic.starts_with(prefix),
        None => name == topic,
    };
    (0..TOPICS.len()).filter(|&topic| names.iter().any(|name| is_for(name, TOPICS[topic]))).collect()
}

#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) topic: usize,
    pub(super) key: Option<String>,
    pub(super) payload: Option<String>,
}

/// All published events, and the state of each keyed topic.
#[derive(Debug, Default)]
pub(super) struct Reference {
    pub(super) events: BTreeMap<u64, Known>,
    pub(super) last: u64,
    pub(super) state: State,
    /// Whether removals may have been forgotten.
    pub(super) may_forget: bool,
}

impl Reference {
    pub(super) fn publish(&mut self, topic: usize, key: Option<&str>, payload: Option<&str>) {
        self.last += 1;
        if let Some(key) = key.filter(|_| topic < KEYED) {
            let state = self.state.entry(topic).or_default();
            match payload {
                Some(_) => _ = state.insert(key.to_owned(), self.last),
                // A topic that only had removals of unknown keys is dropped with its history.
                None => self.may_forget |= state.remove(key).is_none() && state.is_empty(),
            }
        }
        let known = Known { topic, key: key.map(str::to_owned), payload: payload.map(str::to_owned) };
        self.events.insert(self.last, known);
    }

    /// Returns the state of a topic.
    pub(super) fn of(&self, topic: usize) -> &BTreeMap<String, u64> {
        of(&self.state, topic)
    }

    /// Returns the sum of the weights of a topic's state.
    pub(super) fn weight(&self, topic: usize) -> usize {
        let weight = |(key, sequence): (&String, &u64)| {
            key.len() + self.events[sequence].payload.as_ref().map_or(0, String::len)
        };
        self.state.get(&topic).into_iter().flatten().map(weight).sum()
    }
}

/// A client that applies everything it receives, checked.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) topics: BTreeSet<usize>,
    pub(super) state: State,
    /// Cursors that the client may resume with, each with the state that it had then.
    pub(super) moments: Vec<(Cursor, State)>,
    /// Last position in this subscription.
    last: u64,
    /// Events of this subscription.
    seen: BTreeSet<u64>,
    /// By topic that is not keyed, the sequence up to which nothing is owed.
    owed: BTreeMap<usize, u64>,
    /// Sequence after which the client resumed.
    after: Option<u64>,
    /// Whether the first delivery is to be a gap at which the client forgets its state.
    pub(super) must_forget: bool,
}

impl Client {
    /// Returns a client of these topics that owns a state. Of topics that are not keyed it gets all events after `from`.
    pub(super) fn new(topics: BTreeSet<usize>, state: State, from: u64, after: Option<u64>) -> Self {
        let owed = topics.iter().filter(|topic| **topic >= KEYED).map(|&topic| (topic, from)).collect();
        Self { topics, state, moments: vec![], last: 0, seen: BTreeSet::new(), owed, after, must_forget: false }
    }

    /// Applies an event.
    pub(super) fn event(&mut self, reference: &Reference, topic: &str, sequence: u64, payload: &str, cursor: Cursor) {
        assert!(!self.must_forget, "the gap is missing");
        assert!(sequence > self.last, "out of order or twice: {sequence} after {}", self.last);
        assert!(self.seen.insert(sequence), "twice: {sequence}");
        let known = &reference.events[&sequence];
        assert_eq!((TOPICS[known.topic], known.payload.as_deref().unwrap_or("")), (topic, payload));
        assert!(self.topics.contains(&known.topic));
        self.last = sequence;
        if let Some(key) = known.key.as_ref().filter(|_| known.topic < KEYED) {
            let state = self.state.entry(known.topic).or_default();
            match known.payload {
                Some(_) => _ = state.insert(key.clone(), sequence),
                None => _ = state.remove(key),
            }
        }
        // Fewer in a large state, which is cloned.
        if self.seen.len() < 40 || sequence % 64 == 0 {
            self.moments.push((Cursor::new(cursor.epoch(), sequence), self.state.clone()));
        }
    }

    /// Applies a gap.
    pub(super) fn gap(&mut self, reference: &Reference, gap: &Gap) {
        let topics = match &gap.topic {
            Some(topic) => BTreeSet::from([TOPICS.iter().position(|name| *name == topic.as_str()).unwrap()]),
            None => self.topics.clone(),
        };
        let keyed: BTreeSet<_> = topics.iter().copied().filter(|&topic| topic < KEYED).collect();
        let sequence = gap.cursor.sequence();
        if gap.snapshot {
            assert!(!keyed.is_empty(), "a state of nothing: {gap:?}");
            assert_eq!(sequence, 0, "a client that is cut at {gap:?} does not get the state");
            self.state.retain(|topic, _| !keyed.contains(topic));
            self.seen.retain(|sequence| !keyed.contains(&reference.events[sequence].topic));
            self.last = 0;
            if !self.must_forget {
                assert!(reference.may_forget, "nothing is forgotten: {gap:?}");
                assert!(self.after.is_some() || gap.reason == GapReason::Overflow, "{gap:?}");
                let gone = gap.gone.unwrap().sequence();
                assert!(gap.reason != GapReason::Evicted || Some(gone) > self.after, "{gap:?} after {:?}", self.after);
            }
        } else {
            assert!(gap.topic.is_none() || keyed.is_empty(), "a keyed topic has a gap: {gap:?}");
            assert!(topics.iter().any(|topic| *topic >= KEYED), "keyed topics have a gap: {gap:?}");
            assert!(sequence >= self.last, "a gap out of order: {gap:?} after {}", self.last);
            self.last = sequence;
        }
        self.must_forget = false;
        for topic in topics.iter().filter(|topic| **topic >= KEYED) {
            let gone = if gap.topic.is_none() { gap.gone.map_or(0, Cursor::sequence) } else { 0 };
            self.owed.entry(*topic).and_modify(|owed| *owed = (*owed).max(sequence).max(gone));
        }
        self.moments.push((gap.cursor, self.state.clone()));
    }

    /// Checks a client that has read everything.
    pub(super) fn pending(&mut self, reference: &Reference) {
        assert!(!self.must_forget, "the gap is missing");
        for &topic in &self.topics {
            match self.owed.get_mut(&topic) {
                None => assert_eq!(of(&self.state, topic), reference.of(topic), "state of {}", TOPICS[topic]),
                Some(owed) => {
                    let mut all = reference.events.range(*owed + 1..).filter(|(_, known)| known.topic == topic);
                    let lost = all.find(|(sequence, _)| !self.seen.contains(sequence));
                    assert!(lost.is_none(), "lost without a gap: {lost:?}");
                    *owed = reference.last;
                }
            }
        }
    }
}
