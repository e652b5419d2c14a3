use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::contract::{Hub, PublishError, Receipt, Subscribe, SubscribeError};
use crate::disk::builder::DiskHubBuilder;
use crate::disk::commands::{Commands, NotQueued};
use crate::disk::reply::{Reply, reply};
use crate::disk::store::{DiskError, Loss, Store};
use crate::disk::writer::Write;
use crate::engine::history::History;
use crate::engine::start::{Continued, KnownEpochs};
use crate::engine::subscription::HistorySubscription;
use crate::hub::LocalHub;
use crate::model::{Cursor, EndReason, Event, IntoTopic, Topic, TopicEnd};

/// Hub whose history is in a directory of this machine.
///
/// A publish returns when the event is on disk; then subscribers get it. Clients resume at their cursors after the end of the
/// process, a crash of it or a power loss, without a gap while their events are retained.
#[derive(Clone)]
pub struct DiskHub {
    pub(super) handle: Arc<Handle>,
}

pub(super) struct Handle {
    pub(super) hub: LocalHub,
    pub(super) store: Arc<Store>,
    pub(super) history: Arc<dyn History>,
    pub(super) epochs: KnownEpochs,
    pub(super) epoch: u64,
    pub(super) base: u64,
    pub(super) lost: Option<Loss>,
    pub(super) writes: Commands<Write>,
    /// `None` once it was closed.
    pub(super) writer: Mutex<Option<JoinHandle<()>>>,
}

impl DiskHub {
    pub(super) fn new(handle: Handle) -> Self {
        Self { handle: Arc::new(handle) }
    }

    /// Opens a directory, or creates it. Blocks until the store is open.
    ///
    /// # Errors
    ///
    /// Returns the errors of the store.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DiskError> {
        Self::builder(path).open()
    }

    /// Returns a builder.
    pub fn builder(path: impl AsRef<Path>) -> DiskHubBuilder {
        DiskHubBuilder::new(path.as_ref())
    }

    /// Publishes an event. The future ends when the event is stored and subscribers get it. The event is also published if the
    /// future is dropped after it was polled.
    ///
    /// # Errors
    ///
    /// The errors of [`LocalHub::publish_now`], and [`PublishError::Unavailable`] if the disk refuses the event, or too many
    /// publishes wait for it.
    pub async fn publish(&self, topic: impl IntoTopic, event: impl Into<Event>) -> Result<Receipt, PublishError> {
        let (topic, event) = (std::borrow::Borrow::<Topic>::borrow(&topic.into_topic()?).clone(), event.into());
        let (replier, done) = reply();
        self.send(Write::Publish { topic, event, reply: replier }, done).await
    }

    /// Ends a topic.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`publish`](Self::publish).
    pub async fn finish(&self, topic: impl IntoTopic, reason: EndReason) -> Result<TopicEnd, PublishError> {
        let topic = std::borrow::Borrow::<Topic>::borrow(&topic.into_topic()?).clone();
        let (replier, done) = reply();
        self.send(Write::Finish { topic, reason, reply: replier }, done).await
    }

    async fn send<T>(&self, command: Write, done: Reply<Result<T, PublishError>>) -> Result<T, PublishError> {
        match self.handle.writes.send(command) {
            Ok(()) => done.await.unwrap_or(Err(PublishError::Closed)),
            Err(NotQueued::Full) => Err(PublishError::Unavailable("too many publishes wait for the disk".into())),
            Err(NotQueued::Closed) => Err(PublishError::Closed),
        }
    }

    /// Begins a subscription.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`LocalHub::subscribe`].
    pub fn subscribe(&self, what: Subscribe) -> Result<HistorySubscription, SubscribeError> {
        let Handle { hub, history, epochs, epoch, base, .. } = &*self.handle;
        Continued { hub, history, epochs, epoch: *epoch, base: *base, now: None, is_late: false }.subscribe(what)
    }

    /// Returns the cursor of the newest event.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.handle.hub.cursor()
    }

    /// Returns the loss of history that was found at the open, if there was one.
    pub fn loss(&self) -> Option<Loss> {
        self.handle.lost
    }

    /// Writes what was published, ends the subscriptions and closes the directory. Blocks until that is done.
    pub fn close(&self) {
        self.handle.close();
    }
}

impl Handle {
    fn close(&self) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(thread) = writer.take() else { return };
        // A writer that has panicked is gone.
        let _ = self.writes.send(Write::Close);
        let _ = thread.join();
        drop(writer);
        self.hub.close();
        // Events that are not in tables yet are in the journal, which the next open reads.
        let _ = self.store.close();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

impl Hub for DiskHub {
    type Subscription = HistorySubscription;

    async fn publish(&self, topic: &Topic, event: Event) -> Result<Receipt, PublishError> {
        self.publish(topic, event).await
    }

    async fn finish(&self, topic: &Topic, reason: EndReason) -> Result<TopicEnd, PublishError> {
        self.finish(topic, reason).await
    }

    fn subscribe(&self, what: Subscribe) -> Result<HistorySubscription, SubscribeError> {
        self.subscribe(what)
    }
}

impl fmt::Debug for DiskHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskHub").field("cursor", &self.cursor()).finish_non_exhaustive()
    }
}
