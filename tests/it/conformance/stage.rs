use std::sync::{Arc, Mutex, MutexGuard};

use tidings::subscriber::{BoxSubscriber, SubscriberExt};
use tidings::{Cursor, EventKind, LocalHub, Overflow, Retention, Subscribe, SubscribeError, Topic};

use crate::clients::{Data, Event, Seen, Waiting};

/// A hub under test.
pub(crate) trait Source: Send + Sync {
    fn publish<'a>(&'a self, topic: &'a Topic, event: tidings::Event) -> Waiting<'a, Cursor>;

    fn subscribe(&self, what: Subscribe) -> Result<BoxSubscriber, SubscribeError>;

    fn close(&self);
}

/// The hub that the rows get their events from: another for each run, and another of the same kind after a restart.
pub(crate) struct Stage {
    open: fn(usize) -> Arc<dyn Source>,
    now: Mutex<Now>,
}

struct Now {
    retain: usize,
    overflow: Overflow,
    hub: Arc<dyn Source>,
}

impl Stage {
    /// `open` makes an empty hub, in an epoch of its own, which keeps so many events of each topic.
    pub(crate) fn new(open: fn(usize) -> Arc<dyn Source>) -> Self {
        Self { open, now: Mutex::new(Now { retain: 0, overflow: Overflow::Gap, hub: open(0) }) }
    }

    /// Another hub, as if there had never been one.
    pub(crate) fn begin(&self, retain: usize, overflow: Overflow) {
        let hub = (self.open)(retain);
        let before = std::mem::replace(&mut *self.now(), Now { retain, overflow, hub });
        drop(before);
    }

    /// The hub's end, and another's beginning.
    pub(crate) fn restart(&self) {
        let Now { retain, overflow, .. } = *self.now();
        self.begin(retain, overflow);
    }

    pub(crate) fn close(&self) {
        self.hub().close();
    }

    /// Publishes. Says what is seen of it where everything is told.
    pub(crate) async fn publish(&self, topic: &str, event: impl Into<tidings::Event>) -> Seen {
        let (name, topic, event) = (topic.to_owned(), Topic::new(topic).unwrap(), event.into());
        let cursor = self.hub().publish(&topic, event.clone()).await;
        Seen::Event(Event {
            cursor: Some(cursor.to_string()),
            topic: Some(name),
            name: event.name().map(str::to_owned),
            data: match event.kind() {
                EventKind::Json => Data::Json(serde_json::from_slice(event.payload()).unwrap()),
                EventKind::Binary => Data::Binary(event.payload().to_vec()),
                _ => Data::Text(event.as_str().unwrap().to_owned()),
            },
        })
    }

    /// Subscribes, with the overflow of the case.
    pub(crate) fn subscribe(&self, what: Subscribe) -> Result<BoxSubscriber, SubscribeError> {
        let (hub, overflow) = (self.hub(), self.now().overflow);
        hub.subscribe(what.overflow(overflow))
    }

    fn hub(&self) -> Arc<dyn Source> {
        self.now().hub.clone()
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap()
    }
}

/// The embedded hub, as [`Stage::new`] wants it.
pub(crate) fn open_local(retain: usize) -> Arc<dyn Source> {
    Arc::new(LocalHub::builder().retain(Retention::count(retain)).live_buffer(0).build())
}

impl Source for LocalHub {
    fn publish<'a>(&'a self, topic: &'a Topic, event: tidings::Event) -> Waiting<'a, Cursor> {
        Box::pin(async move { self.publish_now(topic, event).unwrap().cursor().unwrap() })
    }

    fn subscribe(&self, what: Subscribe) -> Result<BoxSubscriber, SubscribeError> {
        self.subscribe(what).map(SubscriberExt::boxed)
    }

    fn close(&self) {
        self.close();
    }
}

/// A cursor of the same epoch at another sequence.
pub(crate) fn moved(cursor: &str, to: impl FnOnce(u64) -> u64) -> String {
    let cursor: Cursor = cursor.parse().unwrap();
    Cursor::new(cursor.epoch(), to(cursor.sequence())).to_string()
}
