//! An application that counts, and a client that must come to the same counts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use tidings::subscriber::{EventRef, Format, Slot};
use tidings::{Cursor, Event, Gap, LocalHub, Retention, Snapshot, Topic};

pub(crate) const TOPICS: [&str; 3] = ["a", "b", "c"];

/// The count of each topic, and a hub that each new count is published to, under one lock.
#[derive(Clone)]
pub(crate) struct Board(Arc<Mutex<State>>);

struct State {
    hub: LocalHub,
    retain: usize,
    counts: BTreeMap<String, u64>,
    as_of: Cursor,
    /// Counts and cursor before each count in this hub.
    past: Vec<(BTreeMap<String, u64>, Cursor)>,
}

impl Board {
    /// Of a hub that keeps so many events of each topic.
    pub(crate) fn new(retain: usize) -> Self {
        let (hub, as_of) = (open(retain), "1.0".parse().unwrap());
        Self(Arc::new(Mutex::new(State { hub, retain, counts: BTreeMap::new(), as_of, past: Vec::new() })))
    }

    pub(crate) fn hub(&self) -> LocalHub {
        self.0.lock().unwrap().hub.clone()
    }

    /// The application goes on with another hub.
    pub(crate) fn restart(&self) {
        let mut state = self.0.lock().unwrap();
        state.hub = open(state.retain);
        state.past.clear();
    }

    /// One more of a topic.
    pub(crate) fn count(&self, topic: &str) {
        let mut state = self.0.lock().unwrap();
        let before = (state.counts.clone(), state.as_of);
        state.past.push(before);
        let count = state.counts.entry(topic.to_owned()).or_default();
        *count += 1;
        let event = count.to_string();
        state.as_of = state.hub.publish_now(Topic::new(topic).unwrap(), event).unwrap().cursor().unwrap();
    }

    /// The counts as events: `reset`, `=3` of each topic, `done`.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.snapshot_with([])
    }

    /// Returns the snapshot with meaningless events in the middle.
    pub(crate) fn snapshot_with(&self, middle: impl IntoIterator<Item = (Topic, Event)>) -> Snapshot {
        let state = self.0.lock().unwrap();
        state.snapshot(middle).with_cursor(state.as_of)
    }

    /// Returns the snapshot from before the last counts.
    pub(crate) fn earlier(&self, counts: usize) -> Snapshot {
        let state = self.0.lock().unwrap();
        let at = state.past.len().saturating_sub(counts);
        let (counts, as_of) =
            state.past.get(at).map_or((&state.counts, state.as_of), |(counts, as_of)| (counts, *as_of));
        State::snapshot_of(counts, []).with_cursor(as_of)
    }

    /// Returns the snapshot without its date.
    pub(crate) fn undated(&self) -> Snapshot {
        self.0.lock().unwrap().snapshot([])
    }

    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap().counts.clone()
    }
}

impl State {
    fn snapshot(&self, middle: impl IntoIterator<Item = (Topic, Event)>) -> Snapshot {
        Self::snapshot_of(&self.counts, middle)
    }

    fn snapshot_of(counts: &BTreeMap<String, u64>, middle: impl IntoIterator<Item = (Topic, Event)>) -> Snapshot {
        let event = |topic: &str, text: String| (Topic::new(topic).unwrap(), Event::text(text));
        let counts = counts.iter().map(|(topic, count)| event(topic, format!("={count}")));
        let (first, last) = (event(TOPICS[0], "reset".into()), event(TOPICS[2], "done".into()));
        Snapshot::new([first].into_iter().chain(counts).chain(middle).chain([last]))
    }
}

fn open(retain: usize) -> LocalHub {
    LocalHub::builder().retain(Retention::count(retain)).live_buffer(0).build()
}

/// State that a client makes from its events.
#[derive(Debug, Default)]
pub(crate) struct Client {
    pub(crate) cursor: Option<String>,
    /// Known counts of topics; of a topic that is not there it knows nothing.
    pub(crate) counts: BTreeMap<String, u64>,
    base: Base,
    /// Whether the state that it gets may be older than what follows it.
    may_repeat: bool,
    /// How many states it had to the end.
    pub(crate) states: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Base {
    #[default]
    There,
    /// A gap was told, and that state follows.
    Promised,
    /// The state has begun, and has not ended.
    Begun,
    /// It was cut off before the state's end.
    Lacking,
}

impl Client {
    pub(crate) fn new(may_repeat: bool) -> Self {
        Self { may_repeat, ..Self::default() }
    }

    pub(crate) fn has_base(&self) -> bool {
        self.base == Base::There
    }

    /// It was cut off, and comes back.
    pub(crate) fn cut(&mut self) {
        if self.base != Base::There {
            self.base = Base::Lacking;
        }
    }

    pub(crate) fn gap(&mut self, cursor: &str, topic: Option<&str>, snapshot: bool) {
        self.cursor = Some(cursor.to_owned());
        assert!(matches!(self.base, Base::There | Base::Lacking), "a gap in the place of the state");
        match topic {
            _ if snapshot => self.base = Base::Promised,
            Some(topic) if self.base == Base::There => drop(self.counts.remove(topic)),
            _ => {
                self.counts.clear();
                // It has nothing, and knows that: but only if it is told so of all topics.
                assert_eq!(topic, None, "too little is told");
                self.base = Base::There;
            }
        }
    }

    pub(crate) fn event(&mut self, cursor: Option<&str>, topic: &str, text: &str) {
        match (text, text.strip_prefix('=')) {
            ("reset", _) => {
                self.base = Base::Begun;
                self.counts = TOPICS.iter().map(|topic| ((*topic).to_owned(), 0)).collect();
            }
            ("done", _) => {
                assert_eq!(self.base, Base::Begun, "the end of a state that has not begun");
                self.base = Base::There;
                self.states += 1;
            }
            (_, Some(count)) => {
                assert_eq!(self.base, Base::Begun, "part of a state that has not begun");
                self.counts.insert(topic.to_owned(), count.parse().unwrap());
            }
            (text, None) if text.starts_with('p') => assert_eq!(self.base, Base::Begun),
            (count, None) => {
                assert_eq!(self.base, Base::There, "{topic} {count} without its base");
                let count: u64 = count.parse().unwrap();
                match self.counts.get(topic) {
                    Some(&known) if self.may_repeat && count <= known => {}
                    Some(&known) => assert_eq!(count, known + 1, "of {topic}: lost, or twice"),
                    None => {}
                }
                let known = self.counts.entry(topic.to_owned()).or_default();
                *known = count.max(*known);
            }
        }
        self.cursor = cursor.map(str::to_owned).or(self.cursor.take());
    }

    /// Reads whole lines of [`Wire`]; what is after the last is lost.
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        let text = std::str::from_utf8(bytes).unwrap();
        for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            let [cursor, topic, text] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
            self.event((cursor != "-").then_some(cursor), topic, text);
        }
    }

    /// A gap as it is on the wire.
    pub(crate) fn read_gap(&mut self, gap: &Gap) {
        self.gap(&gap.cursor.to_string(), gap.topic.as_ref().map(Topic::as_str), gap.snapshot);
    }
}

/// One line an event: cursor or `-`, topic, text.
#[derive(Debug)]
pub(crate) struct Wire;

impl Format for Wire {
    fn slot(&self) -> Option<Slot> {
        Some(Slot::APPLICATION[0])
    }

    fn encode(&self, event: &EventRef<'_>, out: &mut BytesMut) {
        let cursor = event.cursor.map_or("-".to_owned(), |cursor| cursor.to_string());
        out.extend_from_slice(format!("{cursor} {} {}\n", event.topic, event.event.as_str().unwrap()).as_bytes());
    }
}
