use std::time::Duration;

use tidings::EndReason::Done;
use tidings::runs::{RunError, Runs};
use tidings::{Event, LocalHub, TopicError};

use super::executor::Executor;
use super::script::Script;
use super::world::World;
use crate::support::VirtualTimer;

#[test]
fn started_run_publishes_its_items_and_ends() {
    let (world, script) = (World::new(), Script::of(["one", "two", "three"]));
    let run = world.start("runs/7", &script).unwrap();
    assert!(run.is_new());
    assert_eq!(run.topic().as_str(), "runs/7");
    world.tasks.run();
    // More events than the hub's own retention keeps.
    assert_eq!(world.read("runs/7"), (vec!["one".into(), "two".into(), "three".into()], Some(Done)));
    assert_eq!(script.dropped(), 1);
    assert!(world.failures().is_empty());
}

#[test]
fn second_start_of_a_live_run_joins_it() {
    let (world, script) = (World::new(), Script::default());
    world.started("runs/7", &script);
    let other = Script::of(["never"]);
    let joined = world.started("runs/7", &other);
    assert!(!joined.is_new());
    assert_eq!((script.opened(), other.opened()), (1, 0));
    script.say("one");
    world.tasks.run();
    assert_eq!(world.read("runs/7"), (vec!["one".into()], None));
    assert_eq!(world.live(), ["runs/7"]);
}

#[test]
fn second_start_of_an_ended_run_joins_it_until_its_history_is_dropped() {
    let (world, script) = (World::with(|runs| runs.linger(Duration::from_secs(60))), Script::of(["one"]));
    world.started("runs/7", &script);
    world.advance(Duration::from_secs(59));
    assert!(!world.started("runs/7", &Script::of(["never"])).is_new());
    assert_eq!(world.read("runs/7"), (vec!["one".into()], Some(Done)));
    world.advance(Duration::from_secs(1));
    assert!(world.is_gone("runs/7"));
    assert!(world.started("runs/7", &Script::of(["two"])).is_new());
    assert_eq!(world.read("runs/7"), (vec!["two".into()], Some(Done)));
}

#[test]
fn topic_of_a_forgotten_run_is_free_at_once() {
    let world = World::with(|runs| runs.linger(Duration::ZERO));
    for round in 0..3 {
        let script = Script::default();
        let run = world.started("runs/7", &script);
        assert!(run.is_new(), "round {round}");
        let mut reader = world.reader("runs/7");
        script.say(round.to_string());
        script.push(super::script::Step::End);
        world.tasks.run();
        assert_eq!(super::world::read(&mut reader).0, [round.to_string()]);
        assert!(world.is_gone("runs/7"));
        assert_eq!(world.tasks.count(), 0);
    }
    assert!(world.failures().is_empty());
}

#[test]
fn task_of_a_joined_run_is_ready_at_once() {
    let (world, script) = (World::new(), Script::default());
    world.started("runs/7", &script);
    let (run, mut task) = world.runs.start_unspawned("runs/7", || script.stream()).unwrap();
    assert!(!run.is_new());
    assert!(crate::support::Task::new().poll(&mut task).is_ready());
}

#[test]
fn items_are_texts_events_and_results_of_them() {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    /// Stream of one item.
    struct Once<T>(Option<T>);
    impl<T: Unpin> futures_core::Stream for Once<T> {
        type Item = T;
        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<T>> {
            Poll::Ready(self.0.take())
        }
    }

    let world = World::new();
    world.runs.start("a", || Once(Some("a"))).unwrap();
    world.runs.start("b", || Once(Some("b".to_owned()))).unwrap();
    world.runs.start("c", || Once(Some(Event::text("c").with_name("token").unwrap()))).unwrap();
    world.runs.start("d", || Once(Some(Ok::<_, std::io::Error>("d")))).unwrap();
    world.runs.start("e", || Once(Some(Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Event::text("e"))))).unwrap();
    world.tasks.run();
    for topic in ["a", "b", "c", "d", "e"] {
        assert_eq!(world.read(topic), (vec![topic.into()], Some(Done)));
    }
}

#[test]
fn start_of_an_invalid_topic_calls_nothing() {
    let (world, script) = (World::new(), Script::of([]));
    assert_eq!(world.start("runs//7", &script).unwrap_err(), RunError::Topic(TopicError::EmptySegment));
    assert_eq!(script.opened(), 0);
    assert!(!world.runs.stop("runs//7"));
}

#[test]
fn start_without_a_spawner_outside_a_runtime_is_refused_and_creates_no_run() {
    let hub = LocalHub::new();
    let runs = Runs::builder(&hub).timer(VirtualTimer::new()).build();
    let script = Script::of(["one"]);
    assert_eq!(runs.start("runs/7", || script.stream()).unwrap_err(), RunError::NoSpawner);
    assert!(runs.list().is_empty());
    let (_, task) = runs.start_unspawned("runs/7", || script.stream()).unwrap();
    let tasks = Executor::default();
    tasks.spawn(Box::pin(task));
    tasks.run();
    assert_eq!(script.dropped(), 1);
}

#[test]
fn closure_that_starts_the_same_run_joins_it() {
    let (world, script) = (World::new(), Script::of(["one"]));
    let mut inner = None;
    let outer = world.runs.start("runs/7", || {
        inner = Some(world.start("runs/7", &script).unwrap().is_new());
        script.stream()
    });
    assert!(outer.unwrap().is_new());
    assert_eq!(inner, Some(false));
    world.tasks.run();
    assert_eq!(world.read("runs/7"), (vec!["one".into()], Some(Done)));
}

#[test]
fn live_runs_above_the_limit_are_refused_and_an_end_makes_room() {
    let world = World::with(|runs| runs.max_live(2));
    let scripts: Vec<_> = (0..3).map(|_| Script::default()).collect();
    world.started("runs/0", &scripts[0]);
    world.started("runs/1", &scripts[1]);
    assert_eq!(world.start("runs/2", &scripts[2]).unwrap_err(), RunError::Busy { limit: 2 });
    assert!(!world.started("runs/0", &scripts[2]).is_new(), "a live run is joined");
    assert_eq!(scripts[2].opened(), 0);
    assert!(world.runs.stop("runs/0"));
    assert!(world.started("runs/2", &scripts[2]).is_new());
}

#[test]
fn list_has_the_live_runs_with_their_counts_oldest_first() {
    let world = World::new();
    let (old, new) = (Script::default(), Script::default());
    world.started("z", &old);
    world.advance(Duration::from_secs(3));
    world.started("a", &new);
    old.say("12345");
    old.say("67");
    world.tasks.run();
    let readers = [world.reader("z"), world.reader("z")];
    let list = world.runs.list();
    let rows: Vec<_> = list.iter().map(|run| (run.topic.as_str(), run.events, run.bytes, run.readers)).collect();
    assert_eq!(rows, [("z", 2, 7, 2), ("a", 0, 0, 0)]);
    assert_eq!(list[0].age, Duration::from_secs(3));
    drop(readers);
    assert_eq!(world.runs.list()[0].readers, 0);
    world.runs.stop("z");
    assert_eq!(world.live(), ["a"]);
}
