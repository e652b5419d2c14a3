use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use tidings::{Cursor, Event, LocalHub, Retention, Topic};

/// The topics the lab itself publishes to.
pub(crate) const TOPICS: [&str; 3] = ["load", "host", "board"];

/// The hub behind the endpoint, which can be exchanged for a new one, and the numbers of what is published.
///
/// Every event is a JSON object that begins with `n`, dense in its topic over the whole life of the process, and `t`,
/// when it was published: so that whoever reads can say exactly what is missing, what came twice and how late it was.
#[derive(Clone)]
pub(crate) struct Stage(Arc<Inner>);

struct Inner {
    hub: RwLock<LocalHub>,
    counts: Mutex<HashMap<Topic, u64>>,
    clock: WallClock,
}

#[derive(Serialize)]
struct Numbered<T> {
    n: u64,
    t: f64,
    #[serde(flatten)]
    data: T,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let clock = WallClock { wall: SystemTime::now(), since: Instant::now() };
        Self(Arc::new(Inner { hub: RwLock::new(new_hub()), counts: Mutex::default(), clock }))
    }

    /// Publishes `data` with the next number of its topic.
    pub(crate) fn publish(&self, topic: &Topic, data: impl Serialize) {
        // Held together, so that numbers are published in order, and none into a hub that was just closed.
        let mut counts = self.0.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let hub = self.0.hub.read().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(topic.clone()).or_default();
        let numbered = Numbered { n: *count + 1, t: self.now(), data };
        let published = Event::json(&numbered).map(|event| hub.publish_now(topic, event));
        match published {
            Ok(Ok(_)) => *count += 1,
            Ok(Err(error)) => eprintln!("not published to {topic}: {error}"),
            Err(error) => eprintln!("not published to {topic}: {error}"),
        }
    }

    /// The hub of now.
    pub(crate) fn hub(&self) -> LocalHub {
        self.0.hub.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts a new, empty hub in the place of the present one, which tells its subscribers that it is closed.
    pub(crate) fn restart(&self) -> Cursor {
        let new = new_hub();
        let cursor = new.cursor();
        let old = std::mem::replace(&mut *self.0.hub.write().unwrap_or_else(PoisonError::into_inner), new);
        old.close();
        cursor
    }

    /// How many events the topic has had.
    pub(crate) fn count(&self, topic: &str) -> u64 {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner).get(topic).copied().unwrap_or_default()
    }

    /// When numbering began, which tells this run from others.
    pub(crate) fn run(&self) -> f64 {
        self.0.clock.at(Duration::ZERO)
    }

    /// Milliseconds since 1970, to the microsecond.
    pub(crate) fn now(&self) -> f64 {
        self.0.clock.at(self.0.clock.since.elapsed())
    }
}

/// Enough history for a panel that pauses ten seconds at most rates; not for all of them, so that a gap can be seen.
fn new_hub() -> LocalHub {
    LocalHub::builder().retain(Retention::count(2_000).bytes(4 << 20)).build()
}

/// The time of day, read once and carried on by the monotonic clock: it never goes back.
struct WallClock {
    wall: SystemTime,
    since: Instant,
}

impl WallClock {
    fn at(&self, elapsed: Duration) -> f64 {
        let start = self.wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        (start + elapsed).as_micros() as f64 / 1000.0
    }
}
