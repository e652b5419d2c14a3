use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use futures_core::Stream;

use super::builder::RunsBuilder;
use super::catch::catch_panic;
use super::failure::FailureCause;
use super::info::RunInfo;
use super::item::RunItem;
use super::lock::lock;
use super::run::Run;
use super::run_hub::RunHub;
use super::shared::Shared;
use super::source::BoxSource;
use super::spawner::Spawner;
use super::subscription::RunSubscription;
use super::task::RunTask;
use crate::contract::{RunError, Start};
#[cfg(feature = "http")]
use crate::endpoint::request::SubscribeRequest;
use crate::model::{EndReason, IntoTopic, Topic};

/// Runs of one hub: finite streams of events that are produced by tasks of their own, each with a topic of its own.
///
/// The [module page](crate::runs) has an example, and describes the end of a run, its limits and a restart. Clones refer to
/// the same runs. Runs continue after the last handle is dropped, and keep the hub open.
#[derive(Clone)]
pub struct Runs(Arc<Shared>);

impl Runs {
    /// Returns runs of a `&LocalHub` or a `&DiskHub` with the default settings.
    ///
    /// Create one `Runs` for a hub, and clone it. Two `Runs` of one hub do not know each other: both start a run of the same
    /// topic. Of a `DiskHub` only the first one has the runs of earlier processes.
    ///
    /// # Panics
    ///
    /// Panics without the feature `tokio`, because there is no timer, see [`RunsBuilder::build`].
    #[must_use]
    pub fn new(hub: impl Into<RunHub>) -> Self {
        Self::builder(hub).build()
    }

    /// Returns a builder, which sets the limits, the hook for failures, the timer and the spawner.
    pub fn builder(hub: impl Into<RunHub>) -> RunsBuilder {
        RunsBuilder::new(hub.into())
    }

    pub(crate) fn of(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    /// Starts a run: calls `stream`, and spawns a task that publishes its items to `topic`. If the topic has a run already,
    /// live or ended, the call joins it, and does not call `stream`. A request that a client repeats therefore does the work
    /// once.
    ///
    /// The task is spawned on the current tokio runtime, or by [`RunsBuilder::spawn`]. It belongs to no request: the run goes
    /// on if all its readers leave. Publish nothing else to the topic.
    ///
    /// The items are [`Event`](crate::Event)s, texts, or a `Result` of them, see [`RunItem`]. If the stream is made by a
    /// future, as clients of models do, flatten it: `|| client.answer(question).try_flatten_stream()` of the crate
    /// `futures-util`.
    ///
    /// ```
    /// use futures_core::Stream;
    /// use tidings::runs::{RunError, Runs};
    ///
    /// # #[cfg(feature = "tokio")]
    /// fn export(
    ///     runs: &Runs,
    ///     user: &str,
    ///     rows: impl Stream<Item = Result<String, std::io::Error>> + Send + 'static,
    /// ) -> Result<(), RunError> {
    ///     let run = runs.start(format!("exports/{user}"), || rows)?;
    ///     println!("{} is {}", run.topic(), if run.is_new() { "started" } else { "under way" });
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`RunError::Topic`] if the name is not a topic.
    /// - [`RunError::Busy`] if the number of live runs is at its [limit](RunsBuilder::max_live).
    /// - [`RunError::Draining`] after a [drain](Self::drain) has begun.
    /// - [`RunError::NotForRuns`] if the hub is a `DiskHub`, and none of the patterns of `DiskHubBuilder::runs` matches the topic.
    /// - [`RunError::NoSpawner`] outside a tokio runtime, or without the feature `tokio`, if there is no
    ///   [`spawn`](RunsBuilder::spawn) function.
    ///
    /// A panic of `stream` is no error of the call: the run has ended as failed.
    pub fn start<S>(&self, topic: impl IntoTopic, stream: impl FnOnce() -> S) -> Result<Run, RunError>
    where
        S: Stream<Item: RunItem> + Send + 'static,
    {
        let spawner = Spawner::of(&self.0).ok_or(RunError::NoSpawner)?;
        let (run, task) = self.start_unspawned(topic, stream)?;
        if run.is_new() {
            spawner.spawn(task);
        }
        Ok(run)
    }

    /// Starts or joins a run as [`start`](Self::start) does, and returns its task in place of spawning it. For other runtimes
    /// than tokio, and for tests.
    ///
    /// # Errors
    ///
    /// See [`start`](Self::start), except that no spawner is needed.
    pub fn start_unspawned<S>(
        &self,
        topic: impl IntoTopic,
        stream: impl FnOnce() -> S,
    ) -> Result<(Run, RunTask), RunError>
    where
        S: Stream<Item: RunItem> + Send + 'static,
    {
        let (entry, is_new) = self.0.begin(topic.into_topic()?.borrow())?;
        let run = Run::new(&self.0, Arc::clone(&entry), is_new);
        if !is_new {
            return Ok((run, RunTask::joined()));
        }
        let source = catch_panic(|| Box::pin(stream()) as BoxSource);
        if let Err(text) = &source {
            self.0.end(&entry, EndReason::Failed, Some((FailureCause::Panic, text)));
        }
        Ok((run, RunTask::new(Arc::clone(&self.0), entry, source.ok())))
    }

    /// Stops the run of a topic: its readers get an end with the reason [`Stopped`](EndReason::Stopped) at once, and its task
    /// drops the stream. Returns `false` if the topic has no live run.
    ///
    /// The caller decides who may stop a run: check the user against the topic first.
    pub fn stop(&self, topic: impl IntoTopic) -> bool {
        let Ok(topic) = topic.into_topic() else { return false };
        self.find(topic.borrow()).is_ok_and(|run| run.stop())
    }

    /// Subscribes a client to the run of a topic. A client without a cursor gets the run from its first event, a client with
    /// one the events after it. Then it gets live events, and the end. If the cursor is of another epoch or not
    /// valid, a [`Gap`](crate::Gap) with the reason `epoch` precedes the whole run: the client discards the part that it has.
    ///
    /// The caller decides who may read a run: check the user against the topic first.
    ///
    /// # Errors
    ///
    /// - [`RunError::Gone`] if the topic has no run: none was started, or its history was dropped after the
    ///   [linger](RunsBuilder::linger) time or, on a [`LocalHub`](crate::LocalHub), by a restart. As a [`Rejection`](crate::Rejection) it is 410, so that the client does not
    ///   wait for ever.
    /// - [`RunError::Topic`] if the name is not a topic.
    /// - [`RunError::Subscribe`] if the hub does not accept the subscription.
    #[cfg(feature = "http")]
    #[cfg_attr(docsrs, doc(cfg(feature = "http")))]
    pub fn subscribe(&self, topic: impl IntoTopic, request: &SubscribeRequest) -> Result<RunSubscription, RunError> {
        self.find(topic.into_topic()?.borrow())?.subscribe(request)
    }

    /// Subscribes to the run of a topic from this start, without a request.
    ///
    /// # Errors
    ///
    /// See [`subscribe`](Self::subscribe).
    pub fn subscribe_from(&self, topic: impl IntoTopic, start: Start) -> Result<RunSubscription, RunError> {
        self.find(topic.into_topic()?.borrow())?.subscribe_from(start)
    }

    /// Returns the live runs, the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<RunInfo> {
        let now = self.0.timer.now();
        let entries: Vec<_> = lock(&self.0.table).by_topic.values().cloned().collect();
        let mut list: Vec<_> = entries.iter().filter_map(|entry| entry.info(now)).collect();
        list.sort_by(|a, b| b.age.cmp(&a.age).then_with(|| a.topic.cmp(&b.topic)));
        list
    }

    /// Returns the run of a topic.
    fn find(&self, topic: &Topic) -> Result<Run, RunError> {
        let entry = self.0.find(topic).ok_or_else(|| RunError::Gone(topic.clone()))?;
        Ok(Run::new(&self.0, entry, false))
    }
}

impl fmt::Debug for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = lock(&self.0.table);
        let (live, ended) = (table.live, table.ended());
        drop(table);
        f.debug_struct("Runs").field("live", &live).field("ended", &ended).finish_non_exhaustive()
    }
}
