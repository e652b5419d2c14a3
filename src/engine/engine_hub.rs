use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::contract::{Hub, PublishError, Receipt, Subscribe, SubscribeError};
use crate::engine::driver::EngineDriver;
use crate::engine::engine::{Append, AppendBody, Appended, Engine};
use crate::engine::engine_subscription::EngineSubscription;
use crate::engine::history::HistoryError;
use crate::engine::shared::EngineShared;
use crate::hub::{LocalHub, LocalHubBuilder};
use crate::model::{Cursor, EndReason, Event, IntoTopic, Topic, TopicEnd};
use crate::time::{Clock, StdClock};

/// Hub whose events are in the log of an [`Engine`], which hubs of several processes share.
///
/// The hub follows the topics and patterns of its subscriptions, holds their newest events in a [`LocalHub`], and reads older ones
/// from the log. A client resumes with its cursor at the hub of any process.
///
/// A handle: clones refer to the same hub. The hub is closed when the last handle is dropped.
#[derive(Clone)]
pub struct EngineHub {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<EngineShared>,
}

/// State of the connection between a hub and its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EngineHealth {
    /// The log pushes events.
    Live,
    /// The log may not push events, for example because its server cannot be reached. Subscribers wait.
    Degraded,
    /// The hub is closed, or its [driver](EngineDriver) does not run.
    Down,
}

/// Builder of an [`EngineHub`].
#[must_use = "a builder does nothing until `open` is called"]
pub struct EngineHubBuilder {
    engine: Arc<dyn Engine>,
    memory: Box<dyn Fn() -> LocalHubBuilder + Send + Sync>,
    clock: Box<dyn Clock>,
    max_pending: usize,
}

impl EngineHub {
    /// Returns a builder.
    pub fn builder(engine: impl Engine) -> EngineHubBuilder {
        EngineHubBuilder {
            engine: Arc::new(engine),
            memory: Box::new(LocalHub::builder),
            clock: Box::new(StdClock),
            max_pending: EngineHubBuilder::MAX_PENDING,
        }
    }

    /// Publishes an event. The future is ready when the log has it. Subscribers of this process get it when the log pushes it, so
    /// the receipt counts none.
    ///
    /// # Errors
    ///
    /// - [`PublishError::Topic`] if the name is not a topic, and [`PublishError::Closed`] after [`close`](Self::close).
    /// - [`PublishError::TooLarge`] if the event is larger than [`max_event`](crate::LocalHubBuilder::max_event) of the hub in
    ///   memory, and [`PublishError::NotKeyed`] if it is a removal.
    /// - The errors of [`Engine::append`].
    pub async fn publish(&self, topic: impl IntoTopic, event: impl Into<Event>) -> Result<Receipt, PublishError> {
        let (topic, event) = (Borrow::<Topic>::borrow(&topic.into_topic()?).clone(), event.into());
        self.shared().check(&topic, &event)?;
        let cursor = match self.append(topic, AppendBody::Event(event)).await? {
            Appended::At { epoch, sequence } | Appended::Ended { epoch, sequence, .. } => {
                Some(Cursor::new(epoch, sequence))
            }
            Appended::Queued => None,
        };
        Ok(Receipt::new(cursor, 0))
    }

    /// Ends a topic, see [`Hub::finish`].
    ///
    /// # Errors
    ///
    /// Those of [`publish`](Self::publish). [`PublishError::OutcomeUnknown`] if the log gives the end a place later.
    pub async fn finish(&self, topic: impl IntoTopic, reason: EndReason) -> Result<TopicEnd, PublishError> {
        let topic = Borrow::<Topic>::borrow(&topic.into_topic()?).clone();
        let (epoch, sequence, reason) = match self.append(topic.clone(), AppendBody::End(reason)).await? {
            Appended::At { epoch, sequence } => (epoch, sequence, reason),
            Appended::Ended { epoch, sequence, reason } => (epoch, sequence, reason),
            Appended::Queued => return Err(PublishError::OutcomeUnknown("the end of the topic is queued".into())),
        };
        Ok(TopicEnd::new(topic, Cursor::new(epoch, sequence), reason))
    }

    async fn append(&self, topic: Topic, body: AppendBody) -> Result<Appended, PublishError> {
        let shared = self.shared();
        if shared.lock().is_closed {
            return Err(PublishError::Closed);
        }
        let appended = shared.engine.append(Append::new(topic, body, fastrand::u128(..))).await?;
        if let Appended::At { epoch, sequence } | Appended::Ended { epoch, sequence, .. } = appended {
            shared.note_head(epoch, sequence);
        }
        Ok(appended)
    }

    /// Begins a subscription.
    ///
    /// # Errors
    ///
    /// Returns [`SubscribeError`] if a name or a combination of settings is not valid. Later failures are the
    /// [end](crate::subscriber::SubscriptionEnd) of the subscription.
    pub fn subscribe(&self, what: Subscribe) -> Result<EngineSubscription, SubscribeError> {
        EngineSubscription::new(self.shared(), what)
    }

    /// Returns the cursor of the newest event that the hub has.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.shared().lock().memory.hub.cursor()
    }

    /// Returns the state of the connection to the log.
    #[must_use]
    pub fn health(&self) -> EngineHealth {
        let state = self.shared().lock();
        match state.has_driver && !state.is_closed {
            false => EngineHealth::Down,
            true if state.merge.is_live() => EngineHealth::Live,
            true => EngineHealth::Degraded,
        }
    }

    /// Closes the hub: publishes are refused, and the driver ends. Subscriptions end after the events that memory has, and those that
    /// have not begun end at once: their clients resume at another hub.
    pub fn close(&self) {
        self.shared().close();
    }

    fn shared(&self) -> &Arc<EngineShared> {
        &self.handle.shared
    }
}

impl EngineHubBuilder {
    /// Default of [`max_pending`](Self::max_pending): 4 MiB.
    pub const MAX_PENDING: usize = 4 << 20;

    /// Sets the hub in memory: its limits, and the events that it holds. It may be built again. Default: that of
    /// [`LocalHub::builder`].
    pub fn memory(self, memory: impl Fn() -> LocalHubBuilder + Send + Sync + 'static) -> Self {
        Self { memory: Box::new(memory), ..self }
    }

    /// Sets the maximum size of records that were pushed and cannot be published yet, in bytes. If there are more, they are read from
    /// the log later. Default: 4 MiB.
    pub fn max_pending(self, bytes: usize) -> Self {
        Self { max_pending: bytes, ..self }
    }

    /// Sets the clock by which names without subscriptions are unfollowed. Default: the monotonic clock of the operating system.
    pub fn clock(self, clock: impl Clock) -> Self {
        Self { clock: Box::new(clock), ..self }
    }

    /// Reads the state of the log. Returns the hub, and the future that drives it, which a task must poll.
    ///
    /// # Errors
    ///
    /// Returns the error of [`Engine::state`].
    ///
    /// # Panics
    ///
    /// If the hub in memory [keeps the newest event of each key](crate::Retention::latest_per_key) of a topic: hubs on an engine
    /// have no such topics yet.
    pub async fn open(self) -> Result<(EngineHub, EngineDriver), HistoryError> {
        let Self { engine, memory, clock, max_pending } = self;
        assert!(
            !memory().has_keyed(),
            "a hub on an engine cannot keep the newest event of each key: remove that retention"
        );
        let state = engine.state().await?;
        let shared = Arc::new(EngineShared::new(engine, &state, memory, clock, max_pending));
        let driver = EngineDriver::new(&shared);
        Ok((EngineHub { handle: Arc::new(Handle { shared }) }, driver))
    }
}

impl Hub for EngineHub {
    type Subscription = EngineSubscription;

    async fn publish(&self, topic: &Topic, event: Event) -> Result<Receipt, PublishError> {
        self.publish(topic, event).await
    }

    async fn finish(&self, topic: &Topic, reason: EndReason) -> Result<TopicEnd, PublishError> {
        self.finish(topic, reason).await
    }

    fn subscribe(&self, what: Subscribe) -> Result<EngineSubscription, SubscribeError> {
        self.subscribe(what)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl fmt::Debug for EngineHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineHub")
            .field("cursor", &self.cursor())
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for EngineHubBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineHubBuilder").field("max_pending", &self.max_pending).finish_non_exhaustive()
    }
}
