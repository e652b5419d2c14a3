use std::time::Duration;

use tidings::EndReason::Stopped;

use super::script::Script;
use super::world::World;

const SECOND: Duration = Duration::from_secs(1);

fn world() -> World {
    World::with(|runs| runs.stop_when_unwatched(60 * SECOND))
}

#[test]
fn run_is_stopped_when_its_last_reader_left_that_long_ago() {
    let (world, script) = (world(), Script::default());
    world.started("runs/7", &script);
    let (first, second) = (world.reader("runs/7"), world.reader("runs/7"));
    world.advance(1_000 * SECOND);
    drop(first);
    world.advance(100 * SECOND);
    assert_eq!(world.live(), ["runs/7"], "one reader is left");
    drop(second);
    world.advance(60 * SECOND - Duration::from_nanos(1));
    assert_eq!(world.live(), ["runs/7"]);
    world.advance(Duration::from_nanos(1));
    assert_eq!((world.read("runs/7"), script.dropped()), ((vec![], Some(Stopped)), 1));
    assert!(world.failures().is_empty());
}

#[test]
fn run_that_nobody_reads_is_stopped() {
    let (world, script) = (world(), Script::default());
    world.started("runs/7", &script);
    world.advance(60 * SECOND);
    assert_eq!(world.read("runs/7"), (vec![], Some(Stopped)));
}

#[test]
fn reader_that_comes_back_in_time_keeps_the_run() {
    let (world, script) = (world(), Script::default());
    world.started("runs/7", &script);
    // A client that polls: it is no reader in between.
    for _ in 0..20 {
        world.advance(59 * SECOND);
        drop(world.reader("runs/7"));
    }
    assert_eq!(world.live(), ["runs/7"]);
    world.advance(60 * SECOND);
    assert!(world.live().is_empty());
}

#[test]
fn tokens_do_not_keep_an_unwatched_run() {
    let (world, script) = (world(), Script::default());
    world.started("runs/7", &script);
    for _ in 0..60 {
        script.say("token");
        world.advance(SECOND);
    }
    assert_eq!(world.read("runs/7").1, Some(Stopped));
}

#[test]
fn lifetime_counts_with_readers() {
    let world = World::with(|runs| runs.stop_when_unwatched(60 * SECOND).lifetime(100 * SECOND));
    world.started("runs/7", &Script::default());
    let _reader = world.reader("runs/7");
    world.advance(99 * SECOND);
    assert_eq!(world.live(), ["runs/7"]);
    world.advance(SECOND);
    assert_eq!(world.read("runs/7").1, Some(tidings::EndReason::Failed));
}
