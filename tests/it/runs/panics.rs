use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_core::Stream;
use tidings::EndReason::{Done, Failed, Stopped};
use tidings::runs::{FailureCause, RunTask, Runs};
use tidings::time::{Clock, Sleep, Timer};
use tidings::{LocalHub, Subscriber};

use super::executor::Executor;
use super::script::{Script, ScriptStream, Step};
use super::world::World;
use crate::support::{PanickingWaker, Task};

#[test]
fn panic_of_the_closure_fails_the_run_and_not_the_caller() {
    let world = World::new();
    let run = world.runs.start("runs/7", || -> ScriptStream { panic!("no model {}", 7) }).unwrap();
    assert!(run.is_new());
    world.tasks.run();
    assert_eq!(world.read("runs/7"), (vec![], Some(Failed)));
    assert_eq!(world.failures(), [(FailureCause::Panic, "no model 7".to_owned())]);
    world.advance(Duration::from_secs(300));
    assert!(world.is_gone("runs/7") && world.tasks.count() == 0, "it is forgotten as others are");
}

#[test]
fn panic_of_the_stream_fails_the_run_after_the_events_before_it() {
    let (world, script) = (World::new(), Script::default());
    script.say("one");
    script.push(Step::Panic("in the stream"));
    world.started("runs/7", &script);
    assert_eq!(world.read("runs/7"), (vec!["one".into()], Some(Failed)));
    assert_eq!(world.failures(), [(FailureCause::Panic, "in the stream".to_owned())]);
    assert_eq!(script.dropped(), 1);
}

#[test]
fn panic_of_the_drop_after_the_last_item_fails_the_run() {
    let (world, script) = (World::new(), Script::of(["one"]));
    script.panic_on_drop();
    world.started("runs/7", &script);
    assert_eq!(world.read("runs/7"), (vec!["one".into()], Some(Failed)));
    assert_eq!(world.failures(), [(FailureCause::Panic, "in drop".to_owned())]);
}

#[test]
fn panic_of_the_drop_after_a_stop_is_reported_and_the_run_stays_stopped() {
    let (world, script) = (World::new(), Script::default());
    script.panic_on_drop();
    world.started("runs/7", &script);
    world.runs.stop("runs/7");
    world.tasks.run();
    assert_eq!(world.read("runs/7"), (vec![], Some(Stopped)));
    assert_eq!(world.causes(), [FailureCause::Panic]);
}

#[test]
fn panic_of_the_drop_after_an_error_is_reported_after_the_error() {
    let (world, script) = (World::new(), Script::default());
    script.panic_on_drop();
    script.push(Step::Error("broken"));
    world.started("runs/7", &script);
    assert_eq!(world.causes(), [FailureCause::Error, FailureCause::Panic]);
    assert_eq!(world.read("runs/7"), (vec![], Some(Failed)));
}

#[test]
fn panic_of_the_drop_of_an_aborted_task_is_caught() {
    let (world, script) = (World::new(), Script::default());
    script.panic_on_drop();
    world.started("runs/7", &script);
    world.tasks.abort();
    assert_eq!(world.causes(), [FailureCause::Dropped, FailureCause::Panic]);
    assert_eq!(world.read("runs/7"), (vec![], Some(Failed)));
}

#[test]
fn panic_of_an_errors_display_fails_the_run() {
    struct Broken;
    impl fmt::Display for Broken {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("in display")
        }
    }
    struct One;
    impl Stream for One {
        type Item = Result<String, Broken>;
        fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Ready(Some(Err(Broken)))
        }
    }

    let world = World::new();
    world.runs.start("runs/7", || One).unwrap();
    world.tasks.run();
    assert_eq!(world.read("runs/7"), (vec![], Some(Failed)));
    assert_eq!(world.failures(), [(FailureCause::Panic, "in display".to_owned())]);
}

#[test]
fn panic_whose_payload_panics_when_it_is_dropped_is_caught() {
    struct Payload;
    impl Drop for Payload {
        fn drop(&mut self) {
            panic!("in the drop of a payload");
        }
    }
    struct One;
    impl Stream for One {
        type Item = String;
        fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<String>> {
            std::panic::panic_any(Payload)
        }
    }

    let world = World::new();
    world.runs.start("runs/7", || One).unwrap();
    world.tasks.run();
    assert_eq!(world.read("runs/7"), (vec![], Some(Failed)));
    assert_eq!(world.failures(), [(FailureCause::Panic, "panic without a text".to_owned())]);
}

#[test]
fn panics_of_one_run_leave_the_others_alone() {
    let (world, broken, fine) = (World::new(), Script::default(), Script::default());
    world.started("broken", &broken);
    world.started("fine", &fine);
    broken.push(Step::Panic("in the stream"));
    world.tasks.run();
    fine.say("one");
    fine.push(Step::End);
    world.tasks.run();
    assert_eq!(world.read("fine"), (vec!["one".into()], Some(Done)));
}

/// Timer whose sleeps panic when they are polled.
struct BrokenTimer(Instant);

impl Clock for BrokenTimer {
    fn now(&self) -> Instant {
        self.0
    }
}

impl Timer for BrokenTimer {
    fn sleep_until(&self, _: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(BrokenSleep)
    }
}

struct BrokenSleep;

impl Future for BrokenSleep {
    type Output = ();
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        panic!("no time in this runtime")
    }
}

impl Sleep for BrokenSleep {
    fn reset(self: Pin<&mut Self>, _: Instant) {}
}

#[test]
fn panic_of_the_timer_fails_the_run_and_ends_its_task() {
    let (tasks, script) = (Executor::default(), Script::of(["one"]));
    let (spawned, failures) = (tasks.clone(), std::sync::Arc::new(std::sync::Mutex::new(Vec::new())));
    let failed = std::sync::Arc::clone(&failures);
    let runs = Runs::builder(&LocalHub::new())
        .timer(BrokenTimer(Instant::now()))
        .spawn(move |task| spawned.spawn(task))
        .on_failure(move |failure| failed.lock().unwrap().push(failure.text().to_owned()))
        .build();
    runs.start("runs/7", || script.stream()).unwrap();
    tasks.run();
    assert_eq!(*failures.lock().unwrap(), ["no time in this runtime"]);
    assert_eq!((tasks.count(), script.dropped()), (0, 1));
    let mut reader = runs.subscribe_from("runs/7", tidings::Start::Oldest).unwrap();
    assert_eq!(super::world::read(&mut reader), (vec![], Some(Failed)));
}

#[test]
fn spawner_that_drops_or_panics_leaves_a_failed_run() {
    let script = Script::of(["one"]);
    let world = World::with(|runs| runs.spawn(drop));
    assert!(world.start("runs/7", &script).unwrap().is_new());
    assert_eq!(world.read("runs/7"), (vec![], Some(Failed)));
    assert_eq!(world.causes(), [FailureCause::Dropped]);

    let world = World::with(|runs| runs.spawn(|_| panic!("no executor")));
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.start("runs/7", &script).is_ok()));
    assert!(caught.is_err(), "a panic of the spawner is the caller's");
    assert_eq!(world.read("runs/7"), (vec![], Some(Failed)));
}

/// Returns a waker that panics.
fn panicking_waker() -> Waker {
    Waker::from(std::sync::Arc::new(PanickingWaker))
}

/// Starts a run that waits for its stream, with a waker that panics.
fn start_with_panicking_waker(world: &World, topic: &str) -> RunTask {
    let (_run, mut task) = world.runs.start_unspawned(topic, || Script::default().stream()).unwrap();
    let waker = panicking_waker();
    assert!(Pin::new(&mut task).poll(&mut Context::from_waker(&waker)).is_pending());
    task
}

#[test]
fn panic_of_the_waker_of_a_task_does_not_keep_a_drain_waiting() {
    let world = World::new();
    let _task = start_with_panicking_waker(&world, "runs/7");
    let (task, mut drain) = (Task::new(), Box::pin(world.runs.drain()));
    assert!(task.poll(&mut drain).is_pending());
    assert!(world.runs.stop("runs/7"));
    assert_eq!(task.wakes(), 1);
    assert!(task.poll(&mut drain).is_ready());
}

#[test]
fn panic_of_the_waker_of_one_drain_does_not_keep_the_other_waiting() {
    for panics_first in [true, false] {
        let world = World::new();
        world.started("runs/7", &Script::default());
        let mut drains = [Box::pin(world.runs.drain()), Box::pin(world.runs.drain())];
        let (task, waker) = (Task::new(), panicking_waker());
        for (at, drain) in drains.iter_mut().enumerate() {
            let polled = match (at == 0) == panics_first {
                true => drain.as_mut().poll(&mut Context::from_waker(&waker)),
                false => task.poll(drain),
            };
            assert!(polled.is_pending());
        }
        assert!(world.runs.stop("runs/7"));
        assert_eq!(task.wakes(), 1);
    }
}

#[test]
fn drain_ends_every_run_if_the_wakers_of_their_tasks_panic() {
    let world = World::new();
    let _tasks = ["a", "b", "c"].map(|topic| start_with_panicking_waker(&world, topic));
    let (task, mut drain) = (Task::new(), Box::pin(world.runs.drain()));
    assert!(task.poll(&mut drain).is_pending());
    world.timer.advance(Duration::from_secs(10));
    assert!(task.poll(&mut drain).is_ready());
    assert!(world.live().is_empty());
    assert_eq!(world.causes(), [FailureCause::Drain; 3]);
}

#[test]
fn panic_of_the_waker_of_a_reader_is_reported_and_does_not_fail_the_run() {
    for texts in [&["one"][..], &["one", "two"]] {
        let (world, script) = (World::new(), Script::default());
        world.started("runs/7", &script);
        let mut reader = world.reader("runs/7");
        assert!(reader.poll_next(&mut Context::from_waker(&panicking_waker())).is_pending());
        texts.iter().for_each(|text| script.say(*text));
        world.tasks.run();
        assert_eq!(world.failures(), [(FailureCause::Panic, "as a test".to_owned())]);
        let run = &world.runs.list()[0];
        assert_eq!((run.events, run.bytes), (texts.len(), texts.concat().len()));
        script.push(Step::End);
        world.tasks.run();
        assert_eq!(world.read("runs/7"), (texts.iter().map(|text| (*text).to_owned()).collect(), Some(Done)));
        assert!(world.failures().is_empty());
    }
}
