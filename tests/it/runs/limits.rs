use std::time::Duration;

use tidings::EndReason::{Done, Failed, Stopped};
use tidings::runs::FailureCause;

use super::script::{Script, Step};
use super::world::{World, read};
use crate::support::topic;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn run_with_one_event_too_many_fails_after_those_that_it_may_have() {
    let world = World::with(|runs| runs.max_events(100));
    for (count, reason) in [(100, Done), (101, Failed)] {
        let (name, script) = (format!("runs/{count}"), Script::default());
        (0..count).for_each(|n| script.say(n.to_string()));
        script.push(Step::End);
        world.started(&name, &script);
        let (texts, end) = world.read(&name);
        assert_eq!((texts.len(), end), (100, Some(reason)));
    }
    let text = "run has more than 100 events; raise `RunsBuilder::max_events`".to_owned();
    assert_eq!(world.failures(), [(FailureCause::Limit, text)]);
}

#[test]
fn run_with_one_byte_too_many_fails_after_the_events_that_fit() {
    let world = World::with(|runs| runs.max_bytes(10));
    for (last, read, reason) in [("abcd", 3, Done), ("abcde", 2, Failed)] {
        let (name, script) = (format!("runs/{last}"), Script::of(["123", "456", last]));
        world.started(&name, &script);
        let (texts, end) = world.read(&name);
        assert_eq!((texts.len(), end), (read, Some(reason)));
    }
    let text = "run has more than 10 bytes; raise `RunsBuilder::max_bytes`".to_owned();
    assert_eq!(world.failures(), [(FailureCause::Limit, text)]);
}

#[test]
fn limits_count_over_all_batches_of_a_run() {
    let (world, script) = (World::with(|runs| runs.max_events(3).max_bytes(9)), Script::default());
    world.started("runs/7", &script);
    for text in ["1", "2", "3", "4"] {
        script.say(text);
        world.tasks.run();
    }
    assert_eq!(world.read("runs/7"), (vec!["1".into(), "2".into(), "3".into()], Some(Failed)));
}

#[test]
fn default_limits_hold_a_run_of_100_000_events() {
    let (world, script) = (World::new(), Script::default());
    (0..100_000).for_each(|_| script.say("token"));
    script.push(Step::End);
    world.started("runs/7", &script);
    let (texts, end) = world.read("runs/7");
    assert_eq!((texts.len(), end), (100_000, Some(Done)));
}

#[test]
fn default_limits_hold_a_run_of_4_mib() {
    let (world, script) = (World::new(), Script::default());
    (0..64).for_each(|_| script.say("x".repeat(64 << 10)));
    script.push(Step::End);
    world.started("runs/7", &script);
    let (texts, end) = world.read("runs/7");
    assert_eq!((texts.len(), end), (64, Some(Done)));
    assert_eq!(world.runs.subscribe_from("runs/7", tidings::Start::Oldest).map(|mut r| read(&mut r).0.len()), Ok(64));
}

#[test]
fn run_fails_when_its_lifetime_is_over_and_not_before() {
    let (world, script) = (World::with(|runs| runs.lifetime(60 * SECOND)), Script::default());
    world.started("runs/7", &script);
    world.advance(59 * SECOND);
    script.say("one");
    world.tasks.run();
    assert_eq!(world.live(), ["runs/7"]);
    world.advance(SECOND);
    assert_eq!(world.read("runs/7"), (vec!["one".into()], Some(Failed)));
    let text = "run exceeded its lifetime of 60s; raise `RunsBuilder::lifetime`".to_owned();
    assert_eq!(world.failures(), [(FailureCause::Limit, text)]);
    assert_eq!(script.dropped(), 1);
}

#[test]
fn history_is_dropped_when_the_linger_time_is_over_and_not_before() {
    let world = World::with(|runs| runs.linger(60 * SECOND));
    world.started("runs/7", &Script::of(["one"]));
    world.advance(60 * SECOND - Duration::from_nanos(1));
    assert_eq!(world.read("runs/7"), (vec!["one".into()], Some(Done)));
    world.advance(Duration::from_nanos(1));
    // By the task, without a call of `Runs`.
    assert!(!world.hub.has_history(&topic("runs/7")));
    assert_eq!((world.tasks.count(), world.timer.sleeping()), (0, 0));
    assert!(world.is_gone("runs/7"));
    let stats = world.hub.stats();
    assert_eq!((stats.topics, stats.bytes), (0, 0));
}

#[test]
fn history_outlives_the_retention_age_of_the_hub() {
    let world = World::with(|runs| runs.lifetime(86_400 * SECOND).linger(3_600 * SECOND));
    let script = Script::default();
    script.say("one");
    world.started("runs/7", &script);
    world.advance(80_000 * SECOND);
    script.say("two");
    script.push(Step::End);
    world.tasks.run();
    world.advance(3_599 * SECOND);
    world.hub.sweep();
    assert_eq!(world.read("runs/7"), (vec!["one".into(), "two".into()], Some(Done)));
}

#[test]
fn end_outlives_the_time_for_which_the_hub_remembers_it() {
    let world = World::with(|runs| runs.linger(2 * 86_400 * SECOND));
    world.started("runs/7", &Script::of(["one"]));
    world.advance(86_401 * SECOND);
    world.hub.sweep();
    assert_eq!(world.hub.stats().finished_topics, 0);
    assert_eq!(world.read("runs/7"), (vec!["one".into()], Some(Done)));
}

#[test]
fn retention_of_other_topics_is_the_hubs_own() {
    let world = World::new();
    world.started("runs/7", &Script::of(["one", "two"]));
    for text in ["one", "two"] {
        world.hub.publish_now("news", text).unwrap();
    }
    let oldest = tidings::Subscribe::topics(["news"]).start(tidings::Start::Oldest);
    let mut news = world.hub.subscribe(oldest).unwrap();
    assert_eq!(crate::support::ready_texts(&mut news), ["two"]);
}

#[test]
fn ended_runs_above_the_limit_are_dropped_oldest_end_first_and_live_ones_stay() {
    let world = World::with(|runs| runs.max_ended(2));
    let live = Script::default();
    live.say("one");
    world.started("live", &live);
    for n in 0..4 {
        world.started(&format!("runs/{n}"), &Script::of(["one"]));
    }
    let gone: Vec<_> = (0..4).map(|n| world.is_gone(&format!("runs/{n}"))).collect();
    assert_eq!(gone, [true, true, false, false]);
    assert_eq!(world.read("live"), (vec!["one".into()], None));
    assert_eq!(world.tasks.count(), 3, "tasks of dropped runs end");
}

#[test]
fn bytes_of_ended_runs_above_the_limit_drop_the_oldest_end_first() {
    let world = World::with(|runs| runs.max_ended_bytes(1_000));
    let gone = || (0..5).map(|n| world.is_gone(&format!("runs/{n}"))).collect::<Vec<_>>();
    for (n, bytes) in [300, 300, 400].into_iter().enumerate() {
        world.started(&format!("runs/{n}"), &Script::of([&"x".repeat(bytes)]));
    }
    assert_eq!(gone(), [false, false, false, true, true]);
    world.started("runs/3", &Script::of(["x"]));
    assert_eq!(gone(), [true, false, false, false, true]);
    world.started("runs/4", &Script::of([&"x".repeat(1_000)]));
    assert_eq!(gone(), [true, true, true, true, false]);
    world.started("larger", &Script::of([&"x".repeat(1_001)]));
    assert!(gone().iter().all(|is_gone| *is_gone) && world.is_gone("larger"));
    world.started("runs/0", &Script::of([&"x".repeat(1_000)]));
    assert!(!world.is_gone("runs/0"), "bytes of forgotten runs do not count");
}

#[test]
fn bytes_of_live_runs_drop_no_ended_run() {
    let world = World::with(|runs| runs.max_ended_bytes(1_000));
    let live = Script::default();
    live.say("x".repeat(5_000));
    world.started("live", &live);
    world.started("runs/7", &Script::of(["one"]));
    assert_eq!(world.read("runs/7"), (vec!["one".into()], Some(Done)));
    live.say("x".repeat(5_000));
    world.tasks.run();
    assert!(!world.is_gone("runs/7"));
    world.runs.stop("live");
    world.tasks.run();
    assert!(world.is_gone("runs/7") && world.is_gone("live"));
}

#[test]
fn no_ended_run_is_kept_if_none_may_be() {
    let world = World::with(|runs| runs.max_ended(0));
    world.started("runs/7", &Script::of(["one"]));
    assert!(world.is_gone("runs/7"));
    let script = Script::default();
    world.started("runs/8", &script);
    let mut reader = world.reader("runs/8");
    world.runs.stop("runs/8");
    assert!(world.is_gone("runs/8"));
    assert_eq!(read(&mut reader), (vec![], Some(Stopped)));
    world.tasks.run();
    assert_eq!((script.dropped(), world.tasks.count()), (1, 0));
}

#[test]
fn stream_that_is_always_ready_lets_other_tasks_run_after_each_batch() {
    let (world, endless, other) = (World::new(), Script::default(), Script::of(["one"]));
    (0..1_000).for_each(|_| endless.say("token"));
    world.start("endless", &endless).unwrap();
    world.start("other", &other).unwrap();
    world.tasks.round();
    assert_eq!(world.runs.list()[0].events, 64);
    assert_eq!(world.read("other"), (vec!["one".into()], Some(Done)));
    world.tasks.round();
    assert_eq!(world.runs.list()[0].events, 128);
    // Large events: fewer at once.
    let large = Script::default();
    (0..10).for_each(|_| large.say("x".repeat(40 << 10)));
    world.start("large", &large).unwrap();
    world.tasks.round();
    assert_eq!(world.runs.list().iter().find(|run| run.topic == topic("large")).map(|run| run.events), Some(2));
}

#[test]
fn lifetime_ends_a_stream_that_is_always_ready() {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    struct Endless;
    impl futures_core::Stream for Endless {
        type Item = &'static str;
        fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<&'static str>> {
            Poll::Ready(Some("token"))
        }
    }

    let world = World::with(|runs| runs.lifetime(SECOND));
    world.runs.start("endless", || Endless).unwrap();
    for _ in 0..5 {
        world.tasks.round();
    }
    world.timer.advance(SECOND);
    world.tasks.run();
    let (texts, end) = world.read("endless");
    assert_eq!((texts.len(), end), (5 * 64, Some(Failed)));
}
