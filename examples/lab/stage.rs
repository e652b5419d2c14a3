use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use tidings::{EndReason, Event, LocalHub, PublishError, Retention, Topic};

/// Topics to which the lab itself publishes.
pub(crate) const TOPICS: [&str; 4] = ["load", "host", "board", CELLS];
/// Topic that keeps the newest event of each key.
const CELLS: &str = "cells";

/// The hub of the endpoint, which can be replaced by a new one, and the numbers of the events.
///
/// Every event is a JSON object, which begins, except in the topic `cells`, with `n`, a dense number in its topic since the start of the process, and `t`,
/// the time of its publication. So a reader can tell exactly which events are missing, came twice, and how late they were.
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

    /// Publishes `data` with the next number of its topic. Does nothing if the topic has ended.
    pub(crate) fn publish(&self, topic: &Topic, data: impl Serialize) {
        // Both locks are held, so that numbers are published in order, and none to a hub that was just closed.
        let mut counts = self.0.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let hub = self.0.hub.read().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(topic.clone()).or_default();
        let numbered = Numbered { n: *count + 1, t: self.now(), data };
        let published = Event::json(&numbered).map(|event| hub.publish_now(topic, event));
        match published {
            Ok(Ok(_)) => *count += 1,
            Ok(Err(PublishError::Finished(_))) => {}
            Ok(Err(error)) => eprintln!("not published to {topic}: {error}"),
            Err(error) => eprintln!("not published to {topic}: {error}"),
        }
    }

    /// Sets a cell, or removes it without data. Does nothing if the topic has ended.
    pub(crate) fn set_cell(&self, cell: u8, data: Option<impl Serialize>) {
        let (hub, key) = (self.0.hub.read().unwrap_or_else(PoisonError::into_inner), cell.to_string());
        let event = match data {
            Some(data) => Event::json(&data).and_then(|event| event.with_key(&key)),
            None => Event::removal(&key),
        };
        match event.map(|event| hub.publish_now(CELLS, event)) {
            Ok(Ok(_) | Err(PublishError::Finished(_))) => {}
            Ok(Err(error)) => eprintln!("not published to {CELLS}: {error}"),
            Err(error) => eprintln!("not published to {CELLS}: {error}"),
        }
    }

    /// Returns the current hub.
    pub(crate) fn hub(&self) -> LocalHub {
        self.0.hub.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the hub by a new, empty one, and closes it.
    pub(crate) fn restart(&self) {
        let new = new_hub();
        let old = std::mem::replace(&mut *self.0.hub.write().unwrap_or_else(PoisonError::into_inner), new);
        old.close();
    }

    /// Ends topics of the current hub. A restart begins them again.
    pub(crate) fn finish<'a>(&self, topics: impl Iterator<Item = &'a str>) -> Result<(), PublishError> {
        let hub = self.hub();
        topics.map(|topic| hub.finish(topic, EndReason::Done)).try_for_each(|end| end.map(drop))
    }

    /// Returns the number of events that were published to a topic.
    pub(crate) fn count(&self, topic: &str) -> u64 {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner).get(topic).copied().unwrap_or_default()
    }

    /// Returns the time at which numbering began. It identifies this run.
    pub(crate) fn run(&self) -> f64 {
        self.0.clock.at(Duration::ZERO)
    }

    /// Returns the milliseconds since 1970, to the microsecond.
    pub(crate) fn now(&self) -> f64 {
        self.0.clock.at(self.0.clock.since.elapsed())
    }
}

/// Returns a hub with enough history for a pause of ten seconds at most rates, and not at all of them, to show a gap.
fn new_hub() -> LocalHub {
    LocalHub::builder()
        .retain(Retention::count(2_000).bytes(4 << 20))
        .retain_for(CELLS, Retention::latest_per_key())
        .build()
}

/// The time of day, read once and advanced by the monotonic clock, so that it never goes back.
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
