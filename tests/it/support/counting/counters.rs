use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use tidings::subscriber::{EventRef, Format, Slot};
use tidings::{Cursor, EndReason, Event, Gap, LocalHub, Retention, Snapshot, Topic};

pub(crate) const TOPICS: [&str; 3] = ["a", "b", "c"];

/// The count of each topic and the hub to which each new count is published, under one lock.
#[derive(Clone)]
pub(crate) struct Counters(Arc<Mutex<State>>);

struct State {
    hub: LocalHub,
    retain: usize,
    counts: BTreeMap<String, u64>,
    as_of: Cursor,
    /// Counts and cursor before each increment in this hub.
    past: Vec<(BTreeMap<String, u64>, Cursor)>,
    /// Topics that have ended in this hub.
    ended: BTreeSet<String>,
}

impl Counters {
    /// Returns counters with a hub that keeps this number of events of each topic.
    pub(crate) fn new(retain: usize) -> Self {
        let (hub, as_of) = (open(retain), "1.0".parse().unwrap());
        Self(Arc::new(Mutex::new(State {
            hub,
            retain,
            counts: BTreeMap::new(),
            as_of,
            past: Vec::new(),
            ended: BTreeSet::new(),
        })))
    }

    pub(crate) fn hub(&self) -> LocalHub {
        self.0.lock().unwrap().hub.clone()
    }

    /// Replaces the hub, as a restart of the application does.
    pub(crate) fn restart(&self) {
        let mut state = self.0.lock().unwrap();
        state.hub = open(state.retain);
        state.past.clear();
        state.ended.clear();
    }

    /// Ends a topic. Its count stays as it is until the hub is replaced. Later snapshots have the cursor of the end.
    pub(crate) fn finish(&self, topic: &str) {
        let mut state = self.0.lock().unwrap();
        if state.ended.insert(topic.to_owned()) {
            let before = (state.counts.clone(), state.as_of);
            state.past.push(before);
            state.as_of = state.hub.finish(topic, EndReason::Done).unwrap().cursor;
        }
    }

    /// Returns the topics that have ended.
    pub(crate) fn ended(&self) -> BTreeSet<String> {
        self.0.lock().unwrap().ended.clone()
    }

    /// Increments the count of a topic, unless it has ended.
    pub(crate) fn count(&self, topic: &str) {
        let mut state = self.0.lock().unwrap();
        if state.ended.contains(topic) {
            return;
        }
        let before = (state.counts.clone(), state.as_of);
        state.past.push(before);
        let count = state.counts.entry(topic.to_owned()).or_default();
        *count += 1;
        let event = count.to_string();
        state.as_of = state.hub.publish_now(Topic::new(topic).unwrap(), event).unwrap().cursor().unwrap();
    }

    /// Returns the counts as events: `reset`, `=3` for each topic, `done`.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.snapshot_with([])
    }

    /// Returns the snapshot with additional events in the middle.
    pub(crate) fn snapshot_with(&self, middle: impl IntoIterator<Item = (Topic, Event)>) -> Snapshot {
        let state = self.0.lock().unwrap();
        state.snapshot(middle).with_cursor(state.as_of)
    }

    /// Returns the snapshot from before the last increments.
    pub(crate) fn earlier(&self, counts: usize) -> Snapshot {
        let state = self.0.lock().unwrap();
        let at = state.past.len().saturating_sub(counts);
        let (counts, as_of) =
            state.past.get(at).map_or((&state.counts, state.as_of), |(counts, as_of)| (counts, *as_of));
        State::snapshot_of(counts, []).with_cursor(as_of)
    }

    /// Returns the snapshot without a cursor.
    pub(crate) fn without_cursor(&self) -> Snapshot {
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

/// A client that computes the counts from its events.
#[derive(Debug, Default)]
pub(crate) struct CountingClient {
    pub(crate) cursor: Option<String>,
    /// Known counts by topic. A topic that is not in the map is unknown.
    pub(crate) counts: BTreeMap<String, u64>,
    base: Base,
    /// Whether a snapshot may be older than the events after it.
    may_repeat: bool,
    /// Number of complete snapshots.
    pub(crate) snapshots: usize,
}

/// Whether the client has the counts that later events add to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Base {
    #[default]
    Complete,
    /// A gap announced a snapshot.
    Announced,
    /// The snapshot has begun and not ended.
    Begun,
    /// The client was cut before the end of the snapshot.
    Cut,
}

impl CountingClient {
    pub(crate) fn new(may_repeat: bool) -> Self {
        Self { may_repeat, ..Self::default() }
    }

    pub(crate) fn has_base(&self) -> bool {
        self.base == Base::Complete
    }

    /// Records that the connection was cut.
    pub(crate) fn cut(&mut self) {
        if self.base != Base::Complete {
            self.base = Base::Cut;
        }
    }

    pub(crate) fn gap(&mut self, cursor: &str, topic: Option<&str>, snapshot: bool) {
        self.cursor = Some(cursor.to_owned());
        assert!(matches!(self.base, Base::Complete | Base::Cut), "a gap in place of the snapshot");
        match topic {
            _ if snapshot => self.base = Base::Announced,
            Some(topic) if self.base == Base::Complete => drop(self.counts.remove(topic)),
            _ => {
                self.counts.clear();
                // After a cut snapshot the client needs a gap of all topics.
                assert_eq!(topic, None, "the gap is of one topic only");
                self.base = Base::Complete;
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
                assert_eq!(self.base, Base::Begun, "the end of a snapshot that has not begun");
                self.base = Base::Complete;
                self.snapshots += 1;
            }
            (_, Some(count)) => {
                assert_eq!(self.base, Base::Begun, "part of a snapshot that has not begun");
                self.counts.insert(topic.to_owned(), count.parse().unwrap());
            }
            (text, None) if text.starts_with('p') => assert_eq!(self.base, Base::Begun),
            (count, None) => {
                assert_eq!(self.base, Base::Complete, "{topic} {count} without a complete snapshot");
                let count: u64 = count.parse().unwrap();
                match self.counts.get(topic) {
                    Some(&known) if self.may_repeat && count <= known => {}
                    Some(&known) => assert_eq!(count, known + 1, "{topic}: an event is lost or repeated"),
                    None => {}
                }
                let known = self.counts.entry(topic.to_owned()).or_default();
                *known = count.max(*known);
            }
        }
        self.cursor = cursor.map(str::to_owned).or(self.cursor.take());
    }

    /// Reads the whole lines of [`CursorLineFormat`] and discards the rest.
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        let text = std::str::from_utf8(bytes).unwrap();
        for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            let [cursor, topic, text] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
            self.event((cursor != "-").then_some(cursor), topic, text);
        }
    }

    /// Reads a gap.
    pub(crate) fn read_gap(&mut self, gap: &Gap) {
        self.gap(&gap.cursor.to_string(), gap.topic.as_ref().map(Topic::as_str), gap.snapshot);
    }
}

/// A format that writes one line for each event: cursor or `-`, topic, text.
#[derive(Debug)]
pub(crate) struct CursorLineFormat;

impl Format for CursorLineFormat {
    fn slot(&self) -> Option<Slot> {
        Some(Slot::APPLICATION[0])
    }

    fn encode(&self, event: &EventRef<'_>, out: &mut BytesMut) {
        let cursor = event.cursor.map_or("-".to_owned(), |cursor| cursor.to_string());
        out.extend_from_slice(format!("{cursor} {} {}\n", event.topic, event.event.as_str().unwrap()).as_bytes());
    }
}
