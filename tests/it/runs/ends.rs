use std::time::Duration;

use tidings::EndReason::{Done, Failed, Stopped};
use tidings::runs::FailureCause;

use super::script::{Script, Step};
use super::world::{World, read};
use crate::support::topic;

#[test]
fn stop_ends_the_run_for_readers_at_once_and_drops_the_stream() {
    let (world, script) = (World::new(), Script::default());
    script.say("one");
    let run = world.started("runs/7", &script);
    let mut reader = world.reader("runs/7");
    script.say("two");
    assert!(world.runs.stop("runs/7"));
    assert_eq!(read(&mut reader), (vec!["one".into()], Some(Stopped)), "before the task is polled");
    world.tasks.run();
    assert_eq!((script.dropped(), script.left()), (1, 1), "dropped without a poll");
    assert_eq!(world.read("runs/7"), (vec!["one".into()], Some(Stopped)));
    assert!(!world.runs.stop("runs/7") && !run.stop(), "it has ended");
    assert!(world.failures().is_empty() && world.live().is_empty());
}

#[test]
fn stop_of_an_unknown_topic_returns_false() {
    let world = World::new();
    assert!(!world.runs.stop("runs/7"));
    assert!(world.is_gone("runs/7"));
}

#[test]
fn stop_before_the_first_poll_publishes_nothing() {
    let (world, script) = (World::new(), Script::of(["one"]));
    let run = world.start("runs/7", &script).unwrap();
    assert!(run.stop());
    world.tasks.run();
    assert_eq!(world.read("runs/7"), (vec![], Some(Stopped)));
    assert_eq!((script.dropped(), script.left()), (1, 2));
}

#[test]
fn stop_by_an_old_handle_leaves_a_later_run_alone() {
    let world = World::with(|runs| runs.linger(Duration::ZERO));
    let old = world.started("runs/7", &Script::of(["one"]));
    let script = Script::default();
    world.started("runs/7", &script);
    assert!(!old.stop());
    assert_eq!(world.live(), ["runs/7"]);
    assert!(old.subscribe_from(tidings::Start::Oldest).is_err(), "its history is gone");
}

#[test]
fn stream_without_items_ends_as_done() {
    let world = World::new();
    world.started("runs/7", &Script::of([]));
    assert_eq!(world.read("runs/7"), (vec![], Some(Done)));
}

#[test]
fn error_ends_the_run_as_failed_after_its_events_and_its_text_reaches_only_the_hook() {
    let (world, script) = (World::new(), Script::default());
    script.say("one");
    script.push(Step::Error("the key of the model is hunter2"));
    script.say("two");
    world.started("runs/7", &script);
    assert_eq!(world.read("runs/7"), (vec!["one".into()], Some(Failed)));
    assert_eq!(world.failures(), [(FailureCause::Error, "the key of the model is hunter2".to_owned())]);
    assert_eq!((script.dropped(), script.left()), (1, 1));
}

#[test]
fn end_of_the_hub_fails_the_run_and_is_reported_once() {
    let (world, script) = (World::new(), Script::default());
    world.started("runs/7", &script);
    world.hub.close();
    script.say("one");
    world.tasks.run();
    assert_eq!(world.failures(), [(FailureCause::Hub, "hub is closed".to_owned())]);
    assert!(world.live().is_empty());
    assert_eq!(script.dropped(), 1);
}

#[test]
fn event_above_the_limit_of_the_hub_fails_the_run_after_the_events_before_it() {
    let timer = crate::support::VirtualTimer::new();
    let hub = tidings::LocalHub::builder().max_event(10).clock(timer.clone()).build();
    let (world, script) =
        (World::on(hub, timer, |runs| runs), Script::of(["one", "two", "more than ten bytes", "four"]));
    world.started("runs/7", &script);
    assert_eq!(world.read("runs/7"), (vec!["one".into(), "two".into()], Some(Failed)));
    assert_eq!(world.causes(), [FailureCause::Hub]);
}

#[test]
fn topic_that_is_finished_on_the_hub_fails_the_run() {
    let (world, script) = (World::new(), Script::default());
    world.started("runs/7", &script);
    world.hub.finish("runs/7", Done).unwrap();
    script.say("one");
    world.tasks.run();
    assert_eq!(world.causes(), [FailureCause::Hub]);
    assert_eq!(world.read("runs/7"), (vec![], Some(Done)), "the first end stays");
}

#[test]
fn task_that_is_dropped_ends_the_run_as_failed() {
    let (world, script) = (World::with(|runs| runs.linger(Duration::from_secs(60))), Script::default());
    script.say("one");
    world.started("runs/7", &script);
    let mut reader = world.reader("runs/7");
    world.tasks.abort();
    assert_eq!(read(&mut reader), (vec!["one".into()], Some(Failed)));
    assert_eq!(world.causes(), [FailureCause::Dropped]);
    assert_eq!(script.dropped(), 1);
    // No task is left to drop the history; the next call does.
    world.timer.advance(Duration::from_secs(60));
    assert!(world.is_gone("runs/7"));
    assert!(!world.hub.has_history(&topic("runs/7")));
}

#[test]
fn runs_go_on_without_handles() {
    let (World { tasks, runs, hub, .. }, script) = (World::new(), Script::default());
    let mut reader = {
        runs.start("runs/7", || script.stream()).unwrap();
        runs.subscribe_from("runs/7", tidings::Start::Oldest).unwrap()
    };
    drop((runs, hub));
    script.say("one");
    script.push(Step::End);
    tasks.run();
    assert_eq!(read(&mut reader), (vec!["one".into()], Some(Done)));
}
