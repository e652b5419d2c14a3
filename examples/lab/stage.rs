use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};
use tidings::subscriber::Delivery;
use tidings::{EndReason, Event, PublishError, Start, Subscribe, Subscriber, Topic};
use tokio::sync::Mutex;

use crate::hub::LabHub;

/// Topics to which the lab itself publishes.
pub(crate) const TOPICS: [&str; 4] = ["load", "host", "board", CELLS];
/// Topic that keeps the newest event of each key.
pub(crate) const CELLS: &str = "cells";

/// The hub of the endpoint, which can be replaced by a new one if it is in memory, and the numbers of the events.
///
/// Every event is a JSON object, which begins, except in the topic `cells`, with `n`, a dense number in its topic, and `t`, the time
/// of its publication. So a reader can tell exactly which events are missing, came twice, and how late they were. The numbers
/// begin with the process, or with the history on disk.
#[derive(Clone)]
pub(crate) struct Stage(Arc<Inner>);

struct Inner {
    hub: RwLock<LabHub>,
    /// Locked during each publish, so that numbers are published in order, and none to a hub that was just closed.
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

/// Number of an event.
#[derive(Deserialize)]
struct Number {
    n: u64,
}

impl Stage {
    pub(crate) fn new(hub: LabHub) -> Self {
        let clock = WallClock { wall: SystemTime::now(), since: Instant::now() };
        Self(Arc::new(Inner { hub: RwLock::new(hub), counts: Mutex::default(), clock }))
    }

    /// Continues the numbers of a topic after its last event.
    pub(crate) async fn resume(&self, topic: Topic) {
        let last = Subscribe::topics([topic.clone()]).start(Start::Last(1));
        let Ok(mut last) = self.hub().subscribe(last) else { return };
        let read = poll_fn(|cx| match last.poll_next(cx) {
            Poll::Ready(Delivery::Events(batch)) => {
                let number = batch.iter().next_back().map(|event| serde_json::from_slice(event.event.payload()));
                Poll::Ready(number.and_then(Result::ok).map_or(0, |Number { n }| n))
            }
            Poll::Pending if last.info().is_loading() => Poll::Pending,
            Poll::Ready(_) | Poll::Pending => Poll::Ready(0),
        });
        let number = read.await;
        self.0.counts.lock().await.insert(topic, number);
    }

    /// Publishes `data` with the next number of its topic. Does nothing if the topic has ended.
    pub(crate) async fn publish(&self, topic: &Topic, data: impl Serialize) {
        let mut counts = self.0.counts.lock().await;
        let count = counts.entry(topic.clone()).or_default();
        let event = match Event::json(&Numbered { n: *count + 1, t: self.now(), data }) {
            Ok(event) => event,
            Err(error) => return eprintln!("not published to {topic}: {error}"),
        };
        // Before the publish, which continues if this future is dropped.
        *count += 1;
        if let Err(error) = self.hub().publish(topic, event).await {
            *count -= 1;
            report(topic, &error);
        }
    }

    /// Sets a cell, or removes it without data. Does nothing if the topic has ended.
    pub(crate) async fn set_cell(&self, cell: u8, data: Option<impl Serialize>) {
        let key = cell.to_string();
        let event = match data {
            Some(data) => Event::json(&data).and_then(|event| event.with_key(&key)),
            None => Event::removal(&key),
        };
        let (Ok(event), Ok(topic)) = (event, Topic::new(CELLS)) else { return };
        let _counts = self.0.counts.lock().await;
        if let Err(error) = self.hub().publish(&topic, event).await {
            report(&topic, &error);
        }
    }

    /// Returns the current hub.
    pub(crate) fn hub(&self) -> LabHub {
        self.0.hub.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces a hub in memory by a new, empty one, and closes it.
    pub(crate) async fn restart(&self) {
        let _counts = self.0.counts.lock().await;
        let mut hub = self.0.hub.write().unwrap_or_else(PoisonError::into_inner);
        if !hub.is_on_disk() {
            std::mem::replace(&mut *hub, LabHub::in_memory()).close();
        }
    }

    /// Ends topics of the current hub. A restart of a hub in memory begins them again.
    pub(crate) async fn finish<'a>(&self, topics: impl Iterator<Item = &'a str>) -> Result<(), PublishError> {
        let hub = self.hub();
        for topic in topics {
            hub.finish(topic, EndReason::Done).await?;
        }
        Ok(())
    }

    /// Returns the number of events that were published to a topic.
    pub(crate) async fn count(&self, topic: &str) -> u64 {
        self.0.counts.lock().await.get(topic).copied().unwrap_or_default()
    }

    /// Returns the time at which numbering began, which identifies it. That of a history on disk has the time 0.
    pub(crate) fn run(&self) -> f64 {
        if self.hub().is_on_disk() { 0.0 } else { self.0.clock.at(Duration::ZERO) }
    }

    /// Returns the milliseconds since 1970, to the microsecond.
    pub(crate) fn now(&self) -> f64 {
        self.0.clock.at(self.0.clock.since.elapsed())
    }
}

/// Prints an error, other than those of a topic that has ended and of a process that ends.
fn report(topic: &Topic, error: &PublishError) {
    if !matches!(error, PublishError::Finished(_) | PublishError::Closed) {
        eprintln!("not published to {topic}: {error}");
    }
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
