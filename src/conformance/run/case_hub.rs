use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::conformance::clients::{BoxFuture, Seen, SeenData, SeenEvent, SeenTopicEnd};
use crate::conformance::run::{Capabilities, HubOptions, HubUnderTest, Problem, VirtualTimer};
use crate::contract::{EventRef, Hub, Start, Subscribe, SubscribeError};
use crate::model::{Cursor, EndReason, Event, EventKind, Overflow, Topic};
use crate::subscriber::{BoxSubscriber, SubscriberExt};

/// Hub of the case that runs. Each case begins with an empty hub. Clones share it.
#[derive(Clone)]
pub struct CaseHub(Arc<Inner>);

struct Inner {
    opener: Box<dyn OpensHub>,
    timer: VirtualTimer,
    current: Mutex<Current>,
}

/// Options of a case's hub and of its subscriptions.
#[derive(Debug, Clone, Copy)]
pub(in crate::conformance) struct CaseOptions {
    /// Number of events of each topic that the hub keeps.
    pub(in crate::conformance) retain: usize,
    pub(in crate::conformance) overflow: Overflow,
    pub(in crate::conformance) filter: Option<fn(&EventRef<'_>) -> bool>,
}

/// The current hub.
struct Current {
    case: CaseOptions,
    hub: Option<(HubOptions, Arc<dyn OpenHub>)>,
    /// Whether the hub was closed and opened again, so that it may write its old events with another epoch.
    was_reopened: bool,
}

/// Number of hubs that were opened in this process.
static OPENED: AtomicU64 = AtomicU64::new(0);

impl CaseHub {
    /// Returns the hub of cases that open these hubs.
    pub fn new(hub: impl HubUnderTest) -> Self {
        let case = CaseOptions { retain: 0, overflow: Overflow::Gap, filter: None };
        Self(Arc::new(Inner {
            opener: Box::new(Opener(Arc::new(hub))),
            timer: VirtualTimer::new(),
            current: Mutex::new(Current { case, hub: None, was_reopened: false }),
        }))
    }

    /// Returns the timer of the adapters. Its time passes when the case waits.
    #[must_use]
    pub fn timer(&self) -> &VirtualTimer {
        &self.0.timer
    }

    /// Subscribes with the overflow and the predicate of the case.
    ///
    /// # Errors
    ///
    /// Returns the error of the hub, and [`SubscribeError::Closed`] outside of a case.
    pub fn subscribe(&self, subscribe: Subscribe) -> Result<BoxSubscriber, SubscribeError> {
        let (hub, case) = {
            let current = self.current();
            (current.hub.as_ref().map(|(_, hub)| Arc::clone(hub)), current.case)
        };
        let subscribe = subscribe.overflow(case.overflow);
        hub.ok_or(SubscribeError::Closed)?.subscribe(match case.filter {
            Some(filter) => subscribe.filter(filter),
            None => subscribe,
        })
    }

    /// Subscribes to topics after the cursor of a client. Without a cursor it starts now. If the cursor is not readable, it starts
    /// with a gap.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`subscribe`](Self::subscribe).
    pub fn subscribe_after(&self, topics: &[&str], cursor: Option<&str>) -> Result<BoxSubscriber, SubscribeError> {
        let start = match cursor.map(str::parse::<Cursor>) {
            None => Start::Now,
            Some(Ok(cursor)) => Start::After(cursor),
            Some(Err(_)) => Start::Unreadable,
        };
        self.subscribe(Subscribe::topics(topics.iter().copied()).start(start))
    }

    pub(in crate::conformance) fn capabilities(&self) -> Capabilities {
        self.0.opener.capabilities()
    }

    /// Replaces the hub by an empty one.
    pub(in crate::conformance) async fn begin(&self, case: CaseOptions) -> Result<(), Problem> {
        self.close().await?;
        let name = format!("case-{}", OPENED.fetch_add(1, Ordering::Relaxed));
        let options = HubOptions { name, retain: case.retain };
        let hub = self.0.opener.open(&options).await?;
        *self.current() = Current { case, hub: Some((options, hub)), was_reopened: false };
        Ok(())
    }

    /// Replaces the hub by an empty one with the same options: the history is lost.
    pub(in crate::conformance) async fn replace(&self) -> Result<(), Problem> {
        let case = self.current().case;
        self.begin(case).await
    }

    /// Closes the hub, and opens it again with its history.
    pub(in crate::conformance) async fn reopen(&self) -> Result<(), Problem> {
        let options = self.current().hub.as_ref().map(|(options, _)| options.clone()).ok_or("no hub is open")?;
        self.close().await?;
        // Subscriptions that the case holds keep no hub open.
        self.current().hub = None;
        let hub = self.0.opener.open(&options).await?;
        let mut current = self.current();
        (current.hub, current.was_reopened) = (Some((options, hub)), true);
        Ok(())
    }

    pub(in crate::conformance) fn was_reopened(&self) -> bool {
        self.current().was_reopened
    }

    /// Closes the hub, if it is open. It keeps its subscriptions, which have their end.
    pub(in crate::conformance) async fn close(&self) -> Result<(), Problem> {
        let hub = self.current().hub.as_ref().map(|(_, hub)| Arc::clone(hub));
        match hub {
            Some(hub) => hub.close().await,
            None => Ok(()),
        }
    }

    /// Publishes an event. Returns the item that a client gets of it, with everything that a wire format can express.
    pub(in crate::conformance) async fn publish(&self, topic: &str, event: impl Into<Event>) -> Result<Seen, Problem> {
        let (name, topic, event) = (topic.to_owned(), Topic::new(topic)?, event.into());
        let cursor = self.hub()?.publish(topic, event.clone()).await?;
        Ok(Seen::Event(SeenEvent {
            cursor: Some(cursor.to_string()),
            topic: Some(name),
            key: event.key().map(str::to_owned),
            name: event.name().map(str::to_owned),
            data: match event.kind() {
                EventKind::Json => SeenData::Json(serde_json::from_slice(event.payload())?),
                EventKind::Binary => SeenData::Binary(event.payload().to_vec()),
                EventKind::Removal => SeenData::Removed,
                EventKind::Text => SeenData::Text(event.as_str().unwrap_or_default().to_owned()),
            },
        }))
    }

    /// Ends a topic. Returns the item that a client gets of it.
    pub(in crate::conformance) async fn finish(&self, topic: &str, reason: EndReason) -> Result<Seen, Problem> {
        let cursor = self.hub()?.finish(Topic::new(topic)?, reason).await?.to_string();
        Ok(Seen::TopicEnd(SeenTopicEnd { cursor, topic: topic.to_owned(), reason: reason.as_str().to_owned() }))
    }

    fn hub(&self) -> Result<Arc<dyn OpenHub>, Problem> {
        let hub = self.current().hub.as_ref().map(|(_, hub)| Arc::clone(hub));
        hub.ok_or_else(|| "no hub is open".into())
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CaseHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaseHub").field("capabilities", &self.capabilities()).finish_non_exhaustive()
    }
}

/// A [`HubUnderTest`] as an object.
trait OpensHub: Send + Sync {
    fn open<'a>(&'a self, options: &'a HubOptions) -> BoxFuture<'a, Result<Arc<dyn OpenHub>, Problem>>;

    fn capabilities(&self) -> Capabilities;
}

/// An open hub as an object.
trait OpenHub: Send + Sync {
    fn publish(&self, topic: Topic, event: Event) -> BoxFuture<'_, Result<Cursor, Problem>>;

    /// Ends a topic. Returns the cursor of the end.
    fn finish(&self, topic: Topic, reason: EndReason) -> BoxFuture<'_, Result<Cursor, Problem>>;

    fn subscribe(&self, options: Subscribe) -> Result<BoxSubscriber, SubscribeError>;

    /// Closes the hub, unless it is closed.
    fn close(&self) -> BoxFuture<'_, Result<(), Problem>>;
}

struct Opener<K>(Arc<K>);

impl<K: HubUnderTest> OpensHub for Opener<K> {
    fn open<'a>(&'a self, options: &'a HubOptions) -> BoxFuture<'a, Result<Arc<dyn OpenHub>, Problem>> {
        Box::pin(async move {
            let hub = self.0.open(options).await.map_err(|error| format!("did not open: {error}"))?;
            let opened = Opened { kit: Arc::clone(&self.0), hub: Mutex::new(Some(hub)) };
            Ok(Arc::new(opened) as Arc<dyn OpenHub>)
        })
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
}

struct Opened<K: HubUnderTest> {
    kit: Arc<K>,
    /// `None` once it was closed.
    hub: Mutex<Option<K::Hub>>,
}

impl<K: HubUnderTest> Opened<K> {
    fn hub(&self) -> Option<K::Hub> {
        self.slot().clone()
    }

    fn slot(&self) -> MutexGuard<'_, Option<K::Hub>> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: HubUnderTest> OpenHub for Opened<K> {
    fn publish(&self, topic: Topic, event: Event) -> BoxFuture<'_, Result<Cursor, Problem>> {
        let hub = self.hub();
        Box::pin(async move {
            let receipt = hub.ok_or("the hub is closed")?.publish(&topic, event).await?;
            receipt.cursor().ok_or_else(|| "the receipt of a publish has no cursor".into())
        })
    }

    fn finish(&self, topic: Topic, reason: EndReason) -> BoxFuture<'_, Result<Cursor, Problem>> {
        let hub = self.hub();
        Box::pin(async move { Ok(hub.ok_or("the hub is closed")?.finish(&topic, reason).await?.cursor) })
    }

    fn subscribe(&self, options: Subscribe) -> Result<BoxSubscriber, SubscribeError> {
        self.hub().ok_or(SubscribeError::Closed)?.subscribe(options).map(SubscriberExt::boxed)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Problem>> {
        let hub = self.slot().take();
        Box::pin(async move {
            if let Some(hub) = hub {
                self.kit.close(hub).await;
            }
            Ok(())
        })
    }
}
