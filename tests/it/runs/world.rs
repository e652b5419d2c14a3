use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use tidings::runs::{FailureCause, Run, RunError, RunHub, RunSubscription, Runs, RunsBuilder};
use tidings::subscriber::{Delivery, SubscriptionEnd};
use tidings::{EndReason, LocalHub, Retention, Start, Subscriber};

use super::executor::Executor;
use super::script::Script;
use crate::support::{VirtualTimer, poll, texts};

/// Hub of a world.
pub(super) trait WorldHub {
    /// Number of ended runs that a model keeps.
    const MAX_ENDED: usize;
    /// Whether readers may read from a disk.
    const READS_DISK: bool;

    /// Waits until the hub has carried out all commands.
    fn settle(&self) {}

    /// Checks that nothing is in memory.
    fn check_empty(&self);
}

impl WorldHub for LocalHub {
    const MAX_ENDED: usize = 2;
    const READS_DISK: bool = false;

    fn check_empty(&self) {
        let stats = self.stats();
        assert_eq!((stats.topics, stats.bytes), (0, 0), "the hub keeps nothing");
    }
}

/// Runs of a hub with a history of one event a topic, in virtual time.
pub(super) struct World<H = LocalHub> {
    pub(super) hub: H,
    pub(super) timer: VirtualTimer,
    pub(super) tasks: Executor,
    pub(super) runs: Runs,
    failures: Arc<Mutex<Vec<(FailureCause, String)>>>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(|builder| builder)
    }

    /// Returns a world whose runs have these settings.
    pub(super) fn with(set: impl FnOnce(RunsBuilder) -> RunsBuilder) -> Self {
        let timer = VirtualTimer::new();
        let hub = LocalHub::builder().retain(Retention::count(1)).live_buffer(0).clock(timer.clone()).build();
        Self::on(hub, timer, set)
    }
}

impl<H: WorldHub> World<H> {
    pub(super) fn on(hub: H, timer: VirtualTimer, set: impl FnOnce(RunsBuilder) -> RunsBuilder) -> Self
    where
        for<'a> RunHub: From<&'a H>,
    {
        let (tasks, failures) = (Executor::default(), Arc::<Mutex<Vec<_>>>::default());
        let (spawned, failed) = (tasks.clone(), Arc::clone(&failures));
        let builder = Runs::builder(&hub)
            .timer(timer.clone())
            .spawn(move |task| spawned.spawn(task))
            .on_failure(move |failure| failed.lock().unwrap().push((failure.cause(), failure.text().to_owned())));
        let runs = set(builder).build();
        Self { hub, timer, tasks, runs, failures }
    }

    /// Polls the tasks until none is woken, also not by a reply of the hub.
    pub(super) fn run(&self) {
        loop {
            self.tasks.run();
            self.hub.settle();
            if !self.tasks.round() {
                return;
            }
        }
    }

    /// Starts or joins a run of a script.
    pub(super) fn start(&self, topic: &str, script: &Script) -> Result<Run, RunError> {
        self.runs.start(topic, || script.stream())
    }

    /// Starts a run of a script and polls it until it waits.
    pub(super) fn started(&self, topic: &str, script: &Script) -> Run {
        let run = self.start(topic, script).unwrap();
        self.run();
        run
    }

    /// Subscribes from the first event on.
    pub(super) fn reader(&self, topic: &str) -> RunSubscription {
        self.runs.subscribe_from(topic, Start::Oldest).unwrap()
    }

    /// Returns everything that a new reader gets: the texts, and the end.
    pub(super) fn read(&self, topic: &str) -> (Vec<String>, Option<EndReason>) {
        read(&mut self.reader(topic))
    }

    /// Returns whether the topic has no run.
    pub(super) fn is_gone(&self, topic: &str) -> bool {
        matches!(self.runs.subscribe_from(topic, Start::Oldest), Err(RunError::Gone(_)))
    }

    /// Advances the time and polls the tasks that it wakes.
    pub(super) fn advance(&self, time: Duration) {
        self.timer.advance(time);
        self.run();
    }

    /// Returns the reported failures since the last call.
    pub(super) fn failures(&self) -> Vec<(FailureCause, String)> {
        std::mem::take(&mut self.failures.lock().unwrap())
    }

    /// Returns the causes of the reported failures since the last call.
    pub(super) fn causes(&self) -> Vec<FailureCause> {
        self.failures().into_iter().map(|(cause, _)| cause).collect()
    }

    /// Returns the topics of the live runs.
    pub(super) fn live(&self) -> Vec<String> {
        self.runs.list().iter().map(|run| run.topic.to_string()).collect()
    }
}

/// Reads everything that is ready: the texts, and the end. There must be no gap.
pub(super) fn read(reader: &mut RunSubscription) -> (Vec<String>, Option<EndReason>) {
    let (mut all, mut reason) = (Vec::new(), None);
    loop {
        match poll(reader) {
            Poll::Ready(Delivery::Events(batch)) => all.extend(texts(&batch)),
            Poll::Ready(Delivery::TopicEnd(end)) => {
                assert!(end.is_last, "the subscription has one topic");
                reason = Some(end.reason);
            }
            Poll::Ready(Delivery::End(end)) => {
                assert_eq!(end, SubscriptionEnd::Finished);
                assert!(reason.is_some(), "the end of the topic comes before the end of the subscription");
                return (all, reason);
            }
            Poll::Ready(other) => panic!("unexpected {other:?}"),
            Poll::Pending if reader.info().is_loading() => thread::yield_now(),
            Poll::Pending => return (all, reason),
        }
    }
}
