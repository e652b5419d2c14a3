//! Runs of a hub on disk.

use std::fs;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tidings::disk::{DiskHub, DiskHubBuilder, Durability};
use tidings::runs::RunError;
use tidings::{EndReason, LocalHub, Retention, Start};

use super::reference::{Action, Model, any_action, limits};
use super::script::{Script, Step};
use super::world::{World, WorldHub, read};
use crate::support::{VirtualTimer, cases};

/// Directory of a hub, removed at the end.
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("tidings-runs-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    /// Returns a builder of a hub whose topics without runs retain nothing.
    pub(super) fn builder(&self) -> DiskHubBuilder {
        let memory = LocalHub::builder().retain(Retention::count(1)).live_buffer(0);
        let builder = DiskHub::builder(&self.0).retain(Retention::count(0)).memory(memory);
        builder.durability(Durability::Written).runs("runs/**").runs("*")
    }

    /// Opens the hub, as a process does that starts.
    pub(super) fn open(&self, watches: bool) -> World<DiskHub> {
        World::on(self.builder().open().unwrap(), VirtualTimer::new(), |runs| limits(runs, DiskHub::MAX_ENDED, watches))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future, at most 30 s.
fn wait<F: Future>(future: F) -> F::Output {
    let (waker, mut future, began) = (Waker::from(Arc::new(Unpark(thread::current()))), pin!(future), Instant::now());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "nothing is ready for 30 s");
        thread::park_timeout(Duration::from_secs(30));
    }
}

impl WorldHub for DiskHub {
    // Runs that end in one poll end in any order, so the model cannot determine which is too many.
    const MAX_ENDED: usize = 3;
    const READS_DISK: bool = true;

    fn settle(&self) {
        wait(self.publish("settled/hub", "")).unwrap();
    }

    fn check_empty(&self) {
        self.sweep();
        assert_eq!(self.stats().topics, 1, "the topic of `settle`");
    }
}

/// Ends the process, and starts another one.
pub(super) fn restart(world: World<DiskHub>, directory: &Directory, watches: bool) -> World<DiskHub> {
    // The virtual time has passed, and that of the system has not: runs whose linger time is over are dropped.
    world.is_gone("runs/none");
    world.tasks.abort();
    world.hub.close();
    drop(world);
    directory.open(watches)
}

pub(super) fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn ended_run_is_read_and_joined_after_a_restart_until_its_linger_time_is_over() {
    let directory = Directory::new();
    let world = directory.open(false);
    world.started("runs/1", &Script::of(["for", "ty", "-two"]));
    let world = restart(world, &directory, false);
    let again = world.runs.start("runs/1", || -> super::script::ScriptStream { unreachable!("the run exists") });
    assert!(!again.unwrap().is_new());
    assert_eq!(world.read("runs/1"), (texts(&["for", "ty", "-two"]), Some(EndReason::Done)));
    world.advance(Duration::from_secs(10));
    assert!(world.is_gone("runs/1"));
    world.started("runs/1", &Script::of(["new"]));
    assert_eq!(world.read("runs/1"), (texts(&["new"]), Some(EndReason::Done)));
    let world = restart(world, &directory, false);
    assert_eq!(world.read("runs/1"), (texts(&["new"]), Some(EndReason::Done)), "only the later run");
}

#[test]
fn interrupted_run_has_failed_after_a_restart_and_its_reader_gets_the_rest() {
    let directory = Directory::new();
    let (world, script) = (directory.open(false), Script::default());
    world.started("runs/1", &script);
    script.say("for");
    world.run();
    let mut reader = world.reader("runs/1");
    assert_eq!(read(&mut reader), (texts(&["for"]), None));
    let cursor = tidings::Subscriber::cursor(&reader).unwrap();
    script.say("ty");
    world.run();
    drop(reader);
    let world = restart(world, &directory, false);
    let mut rest = world.runs.subscribe_from("runs/1", Start::After(cursor)).unwrap();
    assert_eq!(read(&mut rest), (texts(&["ty"]), Some(EndReason::Failed)));
    assert_eq!(world.read("runs/1"), (texts(&["for", "ty"]), Some(EndReason::Failed)));
}

#[test]
fn ended_runs_that_are_too_many_are_dropped_at_the_end_of_another_and_after_a_restart() {
    let directory = Directory::new();
    let world = directory.open(false);
    for topic in ["runs/1", "runs/2", "runs/3", "runs/4"] {
        world.started(topic, &Script::of([topic]));
    }
    assert!(world.is_gone("runs/1"));
    let world = restart(world, &directory, false);
    assert!(world.is_gone("runs/1"));
    world.hub.close();
    let fewer = |runs| limits(runs, 2, false);
    let world = World::on(directory.builder().open().unwrap(), VirtualTimer::new(), fewer);
    assert!(world.is_gone("runs/2"), "the limit was lowered");
    for topic in ["runs/3", "runs/4"] {
        assert_eq!(world.read(topic), (texts(&[topic]), Some(EndReason::Done)));
    }
}

#[test]
fn start_of_a_topic_that_is_not_for_runs_names_the_setting() {
    let directory = Directory::new();
    let world = directory.open(false);
    let error = world.start("other/1", &Script::default()).unwrap_err();
    assert!(matches!(error, RunError::NotForRuns(_)));
    assert!(error.to_string().contains("DiskHubBuilder::runs"), "{error}");
    assert_eq!(world.live(), [""; 0]);
}

/// The stream is not polled while the disk stores its events. It may become ready meanwhile.
#[test]
fn stream_that_becomes_ready_while_the_disk_stores_is_polled_again() {
    let directory = Directory::new();
    let world = World::on(directory.builder().open().unwrap(), VirtualTimer::new(), |runs| runs);
    let script = Script::default();
    world.started("runs/1", &script);
    for n in 0..100 {
        script.say(n.to_string());
        world.tasks.round();
        script.say("next");
        world.tasks.round();
    }
    script.push(Step::End);
    world.run();
    let (all, end) = world.read("runs/1");
    assert_eq!((all.len(), end), (200, Some(EndReason::Done)));
}

#[test]
fn long_run_is_kept_whole_on_disk() {
    let directory = Directory::new();
    let world = World::on(directory.builder().open().unwrap(), VirtualTimer::new(), |runs| runs);
    let script = Script::default();
    (0..20_000).for_each(|n| script.say(format!("token {n}")));
    script.push(Step::End);
    world.started("runs/1", &script);
    for _ in 0..2 {
        let (all, end) = world.read("runs/1");
        assert_eq!((all.len(), end), (20_000, Some(EndReason::Done)));
        world.hub.settle();
    }
}

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn runs_on_disk_do_what_the_model_does(
        watches in any::<bool>(),
        actions in prop::collection::vec(any_action(), 0..60),
    ) {
        let directory = Directory::new();
        let mut model = Model::new(directory.open(watches), watches);
        for action in &actions {
            match action {
                Action::Restart => model = model.restart(|world| restart(world, &directory, watches)),
                action => model.act(action),
            }
            model.check();
        }
        model.finish();
    }
}
