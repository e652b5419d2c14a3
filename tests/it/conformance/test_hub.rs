use std::sync::{Arc, Mutex, MutexGuard};

use tidings::subscriber::{BoxSubscriber, EventRef, SubscriberExt};
use tidings::{
    Cursor, EndReason, EventKind, LocalHub, Overflow, Retention, StateLimits, Subscribe, SubscribeError, Topic,
};

use crate::clients::{BoxFuture, Data, Event, Seen, TopicEnd};

/// A hub that the table tests.
pub(crate) trait HubUnderTest: Send + Sync {
    fn publish<'a>(&'a self, topic: &'a Topic, event: tidings::Event) -> BoxFuture<'a, Cursor>;

    /// Ends a topic. Returns the cursor of the end.
    fn finish<'a>(&'a self, topic: &'a Topic, reason: EndReason) -> BoxFuture<'a, Cursor>;

    fn subscribe(&self, options: Subscribe) -> Result<BoxSubscriber, SubscribeError>;

    fn close(&self);
}

/// Options of a case's hub and of its subscriptions.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    /// Number of events of each topic that the hub keeps.
    pub(crate) retain: usize,
    pub(crate) overflow: Overflow,
    pub(crate) filter: Option<fn(&EventRef<'_>) -> bool>,
}

/// The hub of the current case. Each case begins with a new hub, and so does a restart.
pub(crate) struct TestHub {
    open: fn(usize) -> Arc<dyn HubUnderTest>,
    current: Mutex<Current>,
}

/// The current hub and its options.
struct Current {
    options: Options,
    hub: Arc<dyn HubUnderTest>,
}

impl TestHub {
    /// Returns a test hub. `open` opens an empty hub that keeps this number of events of each topic.
    pub(crate) fn new(open: fn(usize) -> Arc<dyn HubUnderTest>) -> Self {
        let options = Options { retain: 0, overflow: Overflow::Gap, filter: None };
        Self { open, current: Mutex::new(Current { options, hub: open(0) }) }
    }

    /// Replaces the hub by an empty one.
    pub(crate) fn begin(&self, options: Options) {
        let hub = (self.open)(options.retain);
        let previous = std::mem::replace(&mut *self.current(), Current { options, hub });
        drop(previous);
    }

    /// Replaces the hub by an empty one with the same options.
    pub(crate) fn restart(&self) {
        let options = self.current().options;
        self.begin(options);
    }

    pub(crate) fn close(&self) {
        self.hub().close();
    }

    /// Publishes an event. Returns the item that a client gets of it, with everything that a wire format can express.
    pub(crate) async fn publish(&self, topic: &str, event: impl Into<tidings::Event>) -> Seen {
        let (name, topic, event) = (topic.to_owned(), Topic::new(topic).unwrap(), event.into());
        let cursor = self.hub().publish(&topic, event.clone()).await;
        Seen::Event(Event {
            cursor: Some(cursor.to_string()),
            topic: Some(name),
            key: event.key().map(str::to_owned),
            name: event.name().map(str::to_owned),
            data: match event.kind() {
                EventKind::Json => Data::Json(serde_json::from_slice(event.payload()).unwrap()),
                EventKind::Binary => Data::Binary(event.payload().to_vec()),
                EventKind::Removal => Data::Removed,
                _ => Data::Text(event.as_str().unwrap().to_owned()),
            },
        })
    }

    /// Ends a topic. Returns the item that a client gets of it.
    pub(crate) async fn finish(&self, topic: &str, reason: EndReason) -> Seen {
        let cursor = self.hub().finish(&Topic::new(topic).unwrap(), reason).await.to_string();
        Seen::TopicEnd(TopicEnd { cursor, topic: topic.to_owned(), reason: reason.as_str().to_owned() })
    }

    /// Subscribes with the overflow and the predicate of the case.
    pub(crate) fn subscribe(&self, subscribe: Subscribe) -> Result<BoxSubscriber, SubscribeError> {
        let (hub, options) = (self.hub(), self.current().options);
        let subscribe = subscribe.overflow(options.overflow);
        hub.subscribe(match options.filter {
            Some(filter) => subscribe.filter(filter),
            None => subscribe,
        })
    }

    fn hub(&self) -> Arc<dyn HubUnderTest> {
        self.current().hub.clone()
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap()
    }
}

/// Number of removals of a topic that [`open_local`] keeps.
pub(crate) const MAX_REMOVALS: usize = 8;

/// Opens a `LocalHub`, for [`TestHub::new`]. Topics below `state` keep the newest event of each key.
pub(crate) fn open_local(retain: usize) -> Arc<dyn HubUnderTest> {
    let retention = Retention::count(retain);
    let keyed = retention.state_limits(StateLimits::default().removals(MAX_REMOVALS));
    Arc::new(LocalHub::builder().retain(retention).retain_for("state/*", keyed).live_buffer(0).build())
}

impl HubUnderTest for LocalHub {
    fn publish<'a>(&'a self, topic: &'a Topic, event: tidings::Event) -> BoxFuture<'a, Cursor> {
        Box::pin(async move { self.publish_now(topic, event).unwrap().cursor().unwrap() })
    }

    fn finish<'a>(&'a self, topic: &'a Topic, reason: EndReason) -> BoxFuture<'a, Cursor> {
        Box::pin(async move { tidings::Hub::finish(self, topic, reason).await.unwrap().cursor })
    }

    fn subscribe(&self, options: Subscribe) -> Result<BoxSubscriber, SubscribeError> {
        self.subscribe(options).map(SubscriberExt::boxed)
    }

    fn close(&self) {
        self.close();
    }
}

/// Returns a cursor of the same epoch at another sequence.
pub(crate) fn moved(cursor: &str, to: impl FnOnce(u64) -> u64) -> String {
    let cursor: Cursor = cursor.parse().unwrap();
    Cursor::new(cursor.epoch(), to(cursor.sequence())).to_string()
}
