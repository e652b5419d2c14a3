use std::borrow::Borrow;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread::{self, JoinHandle, ThreadId};

use crate::contract::{Hub, PublishError, Receipt, Subscribe, SubscribeError};
use crate::disk::builder::DiskHubBuilder;
use crate::disk::commands::{Commands, NotQueued};
use crate::disk::reader::{DiskHistory, ReadCommand};
use crate::disk::reply::{Reply, reply};
use crate::disk::run_topics::{EndedRun, RunTopics};
use crate::disk::stats::{DiskStats, Failures};
use crate::disk::store::{DiskError, Loss, Store};
use crate::disk::writer::{Publish, Write};
use crate::engine::history::History;
use crate::engine::start::{Continued, KnownEpochs};
use crate::engine::subscription::HistorySubscription;
use crate::hub::{HubStats, LocalHub};
use crate::model::{Cursor, EndReason, Event, IntoTopic, Topic, TopicEnd};

/// Hub whose history is in a directory of this machine.
///
/// A handle: clones refer to the same hub. A publish returns when the event is on disk, and then subscribers get it. A client resumes
/// at its cursor after a restart, a crash or a power loss, and gets every event since, or a [gap](crate::Gap) with the reason.
///
/// [The module page](crate::disk) has an example. A directory is open once: a second open, by any process, is
/// [`DiskError::InUse`].
///
/// # In place of a `LocalHub`
///
/// The methods have the same names and arguments, with these differences:
///
/// - [`publish_batch`](Self::publish_batch) and [`finish`](Self::finish) return futures, and there is no `publish_now`: a publish
///   waits for the disk.
/// - There is no `notifier`. The hub's own thread wakes subscribers, and no publisher waits for that.
/// - [`close`](Self::close) blocks, as does the drop of the last handle.
/// - A subscription that falls behind the events in memory reads them from disk. It gets a gap, or ends by
///   [`Overflow::Disconnect`](crate::Overflow::Disconnect), only if they are not on disk any more. Events that are read from disk are
///   not conflated by [`Overflow::Latest`](crate::Overflow::Latest). A connected subscription that conflates does not read from disk.
///
/// # Keyed topics
///
/// The state of a topic with [`Retention::latest_per_key`](crate::Retention::latest_per_key) is on disk and in memory. After a restart
/// a new client gets the whole state, and a client that resumes gets the changes and removals since its cursor. It gets a gap with
/// [`snapshot`](crate::Gap::snapshot) and the whole state if it missed removals that are forgotten, or if every event from before the
/// restart has left history. A client that was cut in the middle of a state continues there.
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
    pub(super) runs: RunTopics,
    pub(super) lost: Option<Loss>,
    pub(super) failures: Arc<Failures>,
    pub(super) writes: Commands<Write>,
    pub(super) reads: Arc<DiskHistory>,
    pub(super) thread_ids: [ThreadId; 2],
    /// `None` once the hub was closed.
    pub(super) threads: Mutex<Option<Threads>>,
}

/// Threads of a hub.
pub(super) struct Threads {
    pub(super) writer: JoinHandle<()>,
    pub(super) reader: JoinHandle<()>,
}

impl DiskHub {
    pub(super) fn new(handle: Handle) -> Self {
        Self { handle: Arc::new(handle) }
    }

    /// Opens a directory with the default settings, or creates it. Blocks until that is done.
    ///
    /// # Errors
    ///
    /// See [`DiskHubBuilder::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DiskError> {
        Self::builder(path).open()
    }

    /// Returns a builder, which sets the retention, the durability and the limits.
    pub fn builder(path: impl AsRef<Path>) -> DiskHubBuilder {
        DiskHubBuilder::new(path.as_ref())
    }

    /// Publishes an event when the future is polled. The future is ready when the event is stored as
    /// [`durability`](DiskHubBuilder::durability) requires, and subscribers get it. Publishes that wait at one time are stored together.
    ///
    /// # Errors
    ///
    /// - The errors of [`LocalHub::publish_now`].
    /// - [`PublishError::Unavailable`] if the disk does not accept the event, because it is full, for example, or if 65,536
    ///   publishes or 64 MiB of events wait for it. Nothing was published. Publish again later:
    ///   [`disk_stats`](Self::disk_stats) has the last error.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped before its first poll publishes nothing. After that the event is published, unless it is refused.
    pub async fn publish(&self, topic: impl IntoTopic, event: impl Into<Event>) -> Result<Receipt, PublishError> {
        let event = (Borrow::<Topic>::borrow(&topic.into_topic()?).clone(), event.into());
        let (reply, done) = reply();
        self.send(Write::Publish(Publish::One { event, reply }), done).await
    }

    /// Publishes events in this order when the future is polled, all or none, with one write and one wake of each subscriber.
    ///
    /// Other publishes wait for the whole batch, so split a batch of thousands.
    ///
    /// # Errors
    ///
    /// See [`publish`](Self::publish). On an error none of the events was published.
    pub fn publish_batch<T, E>(
        &self,
        events: impl IntoIterator<Item = (T, E)>,
    ) -> impl Future<Output = Result<Vec<Receipt>, PublishError>> + Send
    where
        T: IntoTopic,
        E: Into<Event>,
    {
        let events = events.into_iter().map(|(topic, event)| {
            let topic = Borrow::<Topic>::borrow(&topic.into_topic()?).clone();
            Ok((topic, event.into()))
        });
        let events: Result<Vec<_>, PublishError> = events.collect();
        async move {
            let events = events?;
            let (reply, done) = reply();
            self.send(Write::Publish(Publish::Batch { events, reply }), done).await
        }
    }

    /// Ends a topic when the future is polled, as [`LocalHub::finish`] does. The end is stored, and outlives the process.
    ///
    /// # Errors
    ///
    /// See [`publish`](Self::publish).
    pub async fn finish(&self, topic: impl IntoTopic, reason: EndReason) -> Result<TopicEnd, PublishError> {
        let topic = Borrow::<Topic>::borrow(&topic.into_topic()?).clone();
        let (reply, done) = reply();
        self.send(Write::Finish { topic, reason, reply }, done).await
    }

    async fn send<T>(&self, command: Write, done: Reply<Result<T, PublishError>>) -> Result<T, PublishError> {
        match self.handle.writes.send(command) {
            Ok(()) => done.await.unwrap_or(Err(PublishError::Closed)),
            Err(NotQueued::Full) => Err(PublishError::Unavailable("too many publishes wait for the disk".into())),
            Err(NotQueued::Closed) => Err(PublishError::Closed),
        }
    }

    /// Subscribes from the given start on. The subscription gets every event that is published after this returns, and reads
    /// earlier ones from disk when it is polled.
    ///
    /// Events that the disk cannot return are a gap. If the hub is closed, the subscription ends.
    ///
    /// # Errors
    ///
    /// See [`LocalHub::subscribe`].
    pub fn subscribe(&self, what: Subscribe) -> Result<HistorySubscription, SubscribeError> {
        let Handle { hub, history, epochs, epoch, base, .. } = &*self.handle;
        Continued { hub, history, epochs, epoch: *epoch, base: *base, now: None, is_late: false }.subscribe(what)
    }

    /// Returns the cursor after the newest event.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.handle.hub.cursor()
    }

    /// Returns the number of subscriptions that follow this topic, see [`LocalHub::subscribers`].
    #[must_use]
    pub fn subscribers(&self, topic: &Topic) -> usize {
        self.handle.hub.subscribers(topic)
    }

    /// Removes events from memory that exceed their retention, see [`LocalHub::sweep`]. The hub does so itself, once a minute if
    /// nothing is published.
    pub fn sweep(&self) {
        self.handle.hub.sweep();
    }

    /// Returns the statistics of the hub in memory: events that were published since it was opened, subscriptions, and bytes.
    #[must_use]
    pub fn stats(&self) -> HubStats {
        self.handle.hub.stats()
    }

    /// Returns the statistics of the directory, and the last error of the disk.
    ///
    /// # Errors
    ///
    /// [`DiskError::Closed`] after [`close`](Self::close), or if the files could not be opened again after an error.
    pub fn disk_stats(&self) -> Result<DiskStats, DiskError> {
        let Handle { store, base, failures, writes, reads, .. } = &*self.handle;
        let (failed_writes, last_error) = failures.get();
        Ok(DiskStats {
            table_bytes: store.disk_space()?,
            bytes: store.bytes(),
            stored: self.cursor().sequence().saturating_sub(*base),
            queued_publishes: writes.len(),
            queued_reads: reads.0.len(),
            failed_writes,
            last_error,
        })
    }

    /// Returns the loss of stored events that was found at the open, if there was one. Every client gets a gap for it.
    #[must_use]
    pub fn loss(&self) -> Option<Loss> {
        self.handle.lost
    }

    /// Closes the hub permanently: stores what was published, ends the subscriptions and closes the directory, which may then be
    /// opened again. Later publishes are refused with [`PublishError::Closed`].
    ///
    /// Blocks until that is done, for as long as the waiting publishes take to be stored. An async application calls it after its
    /// server has ended, or by `tokio::task::spawn_blocking`. The drop of the last handle does the same. A call on a thread of the
    /// hub, as by a waker, does not block.
    pub fn close(&self) {
        self.handle.close();
    }
}

/// For runs.
impl DiskHub {
    /// Returns the hub in memory, for checks.
    pub(crate) fn memory(&self) -> &LocalHub {
        &self.handle.hub
    }

    /// Returns whether [`DiskHubBuilder::runs`] has a topic.
    pub(crate) fn is_run_topic(&self, topic: &Topic) -> bool {
        self.handle.runs.contains(topic)
    }

    /// Returns the runs that ended before the hub was opened, the one that ended first before the others. Later calls return
    /// none.
    pub(crate) fn take_ended_runs(&self) -> Vec<EndedRun> {
        self.handle.runs.take_ended()
    }

    /// Queues events although the queue is full, and returns the reply. They are published all or none.
    ///
    /// `queue` calls its argument to queue them, or does not call it. It may hold a lock: events that are not queued are dropped
    /// after it. Then the reply is [`PublishError::Closed`].
    pub(crate) fn queue_batch(
        &self,
        events: Vec<(Topic, Event)>,
        queue: &dyn Fn(&mut dyn FnMut()),
    ) -> impl Future<Output = Result<(), PublishError>> + Send + use<> {
        let (reply, done) = reply();
        let mut command = Some(Write::Publish(Publish::Batch { events, reply }));
        queue(&mut || command = command.take().and_then(|command| self.handle.writes.send_always(command)));
        drop(command);
        async move { done.await.unwrap_or(Err(PublishError::Closed)).map(drop) }
    }

    /// Drops the history of a topic on disk, before the publishes that follow.
    pub(crate) fn drop_stored(&self, topic: &Topic) {
        self.handle.writes.send_always(Write::Drop(topic.clone()));
    }
}

impl Handle {
    fn close(&self) {
        let mut threads = match self.threads.try_lock() {
            Ok(threads) => threads,
            // The thread that closes the hub waits for the threads of the hub.
            Err(TryLockError::WouldBlock) if self.thread_ids.contains(&thread::current().id()) => return,
            Err(_) => self.threads.lock().unwrap_or_else(PoisonError::into_inner),
        };
        let Some(Threads { writer, reader }) = threads.take() else { return };
        self.writes.send_always(Write::Close);
        join(writer);
        self.hub.close();
        self.reads.0.send_always(ReadCommand::Close);
        join(reader);
        // Events that are not in tables yet are in the journal, which the next open reads.
        let _ = self.store.close();
        drop(threads);
    }
}

/// Waits for the end of a thread. A waker that is called on the thread may drop the last handle of the hub.
fn join(thread: JoinHandle<()>) {
    if thread.thread().id() != thread::current().id() {
        // A thread that has panicked has ended.
        let _ = thread.join();
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
