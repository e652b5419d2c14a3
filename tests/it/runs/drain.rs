use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use tidings::EndReason::{Done, Failed};
use tidings::runs::{FailureCause, RunError};

use super::script::{Script, Step};
use super::world::World;
use crate::support::{Task, WakeCounter};

const SECOND: Duration = Duration::from_secs(1);

/// Returns a world whose drains wait for 10 s, with a live run.
fn world() -> (World, Script) {
    let (world, script) = (World::new(), Script::default());
    world.started("runs/7", &script);
    (world, script)
}

#[test]
fn drain_waits_for_live_runs_and_is_ready_when_the_last_one_ends() {
    let (world, script) = world();
    let other = Script::default();
    world.started("runs/8", &other);
    let (task, mut drain) = (Task::new(), Box::pin(world.runs.drain()));
    assert!(task.poll(&mut drain).is_pending());
    script.say("one");
    script.push(Step::End);
    world.tasks.run();
    assert!(task.poll(&mut drain).is_pending());
    other.push(Step::End);
    world.tasks.run();
    assert!(task.wakes() > 0 && task.poll(&mut drain).is_ready());
    assert_eq!(world.read("runs/7"), (vec!["one".into()], Some(Done)));
    assert!(world.failures().is_empty());
}

#[test]
fn drain_ends_runs_that_are_live_after_its_time_as_failed() {
    let (world, script) = world();
    let (task, mut drain) = (Task::new(), Box::pin(world.runs.drain()));
    assert!(task.poll(&mut drain).is_pending());
    world.advance(10 * SECOND - Duration::from_nanos(1));
    assert!(task.poll(&mut drain).is_pending());
    world.advance(Duration::from_nanos(1));
    assert!(task.wakes() > 0 && task.poll(&mut drain).is_ready());
    world.tasks.run();
    assert_eq!(world.read("runs/7"), (vec![], Some(Failed)));
    assert_eq!((world.causes(), script.dropped()), (vec![FailureCause::Drain], 1));
}

#[test]
fn new_runs_are_refused_during_a_drain_and_readers_and_joins_are_not() {
    let (world, script) = world();
    drop(world.runs.drain());
    let other = Script::of(["never"]);
    assert_eq!(world.start("runs/8", &other).unwrap_err(), RunError::Draining);
    assert_eq!(other.opened(), 0);
    assert!(!world.start("runs/7", &other).unwrap().is_new());
    script.say("one");
    world.tasks.run();
    assert_eq!(world.read("runs/7"), (vec!["one".into()], None));
}

#[test]
fn drain_that_is_dropped_ends_no_run() {
    let (world, script) = world();
    drop(world.runs.drain());
    world.advance(100 * SECOND);
    script.push(Step::End);
    world.tasks.run();
    assert_eq!(world.read("runs/7").1, Some(Done));
}

#[test]
fn drain_without_live_runs_is_ready_at_once() {
    let world = World::new();
    world.started("runs/7", &Script::of(["one"]));
    assert!(Task::new().poll(&mut Box::pin(world.runs.drain())).is_ready());
    assert_eq!(world.read("runs/7"), (vec!["one".into()], Some(Done)));
}

#[test]
fn two_drains_both_end() {
    let (world, script) = world();
    let (task, other) = (Task::new(), Task::new());
    let (mut first, mut second) = (Box::pin(world.runs.drain()), Box::pin(world.runs.drain()));
    assert!(task.poll(&mut first).is_pending() && other.poll(&mut second).is_pending());
    script.push(Step::End);
    world.tasks.run();
    assert!(task.wakes() > 0 && task.poll(&mut first).is_ready());
    assert!(other.wakes() > 0 && other.poll(&mut second).is_ready());
}

#[test]
fn drain_on_begins_with_the_signal() {
    let (world, _script) = world();
    let (signal, task) = (Script::default(), Task::new());
    let received = {
        let mut stream = signal.stream();
        std::future::poll_fn(move |cx| futures_core::Stream::poll_next(Pin::new(&mut stream), cx))
    };
    let mut drain = pin!(world.runs.drain_on(received));
    assert!(task.with(|cx| drain.as_mut().poll(cx)).is_pending());
    assert!(world.start("runs/8", &Script::default()).is_ok());
    signal.say("SIGTERM");
    assert!(task.with(|cx| drain.as_mut().poll(cx)).is_pending());
    assert_eq!(world.start("runs/9", &Script::default()).unwrap_err(), RunError::Draining);
    world.advance(10 * SECOND);
    assert!(task.with(|cx| drain.as_mut().poll(cx)).is_ready());
    assert!(world.live().is_empty());
}

#[test]
fn drain_keeps_one_waker_and_none_after_it_is_dropped() {
    // Without a sleep, which keeps wakers, too.
    let world = World::with(|runs| runs.drain_timeout(Duration::MAX));
    world.started("runs/7", &Script::default());
    let wakers = [(); 2].map(|()| Arc::new(WakeCounter::default()));
    let kept = || wakers.each_ref().map(|waker| Arc::strong_count(waker) - 1);
    let mut drain = Box::pin(world.runs.drain());
    for waker in &wakers {
        assert!(drain.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(waker)))).is_pending());
    }
    assert_eq!(kept(), [0, 1]);
    drop(drain);
    assert_eq!(kept(), [0, 0]);
}
