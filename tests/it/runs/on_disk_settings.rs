//! Settings of a hub on disk, and cursors of clients, that do not fit the runs.

use std::task::Poll;
use std::thread;

use tidings::disk::DiskError;
use tidings::subscriber::Delivery;
use tidings::{Cursor, EndReason, GapReason, Retention, Start, Subscriber};

use super::on_disk::{Directory, restart, texts};
use super::script::{Script, Step};
use super::world::World;
use crate::support::{VirtualTimer, poll};

#[test]
fn runs_with_a_state_of_their_keys_are_refused_at_open() {
    let keyed = Retention::latest_per_key;
    for (runs, pattern) in [("runs/**", "runs/a/*"), ("runs/**", "runs/**"), ("runs/a", "runs/a")] {
        let directory = Directory::new();
        let error = directory.builder().runs(runs).retain_for(pattern, keyed()).open().unwrap_err();
        assert!(matches!(&error, DiskError::Settings(text) if text.contains(pattern)), "{runs} {pattern}: {error}");
        // A directory that the test removes.
        directory.builder().open().unwrap().close();
    }
    let directory = Directory::new();
    let builder = directory.builder().retain(keyed()).retain_for("runs/**", keyed()).retain_for("other/**", keyed());
    builder.runs("runs/**").open().unwrap().close();
}

/// Everything that a reader of an ended run gets: the reasons of its gaps, the texts and the end.
fn read_with_gaps(mut reader: impl Subscriber) -> (Vec<GapReason>, Vec<String>, Option<EndReason>) {
    let (mut gaps, mut all, mut end) = (Vec::new(), Vec::new(), None);
    loop {
        match poll(&mut reader) {
            Poll::Ready(Delivery::Events(batch)) => all.extend(crate::support::texts(&batch)),
            Poll::Ready(Delivery::Gap(gap)) => gaps.push(gap.reason),
            Poll::Ready(Delivery::TopicEnd(topic)) => end = Some(topic.reason),
            Poll::Ready(Delivery::End(_)) => return (gaps, all, end),
            Poll::Pending if reader.info().is_loading() => thread::yield_now(),
            Poll::Pending => return (gaps, all, end),
            Poll::Ready(other) => panic!("unexpected {other:?}"),
        }
    }
}

#[test]
fn cursors_that_no_reader_has_got_yield_a_gap_and_the_whole_run() {
    let directory = Directory::new();
    let world = directory.open(false);
    world.started("runs/1", &Script::of(["a", "b", "c"]));
    let old = world.hub.cursor();
    let world = restart(world, &directory, false);
    world.started("runs/2", &Script::of(["d"]));
    let new = world.hub.cursor();
    let at = |cursor: Cursor, more: u64| Cursor::new(cursor.epoch(), cursor.sequence() + more);
    let unknown = [Cursor::new(1, 1), Cursor::new(u64::MAX, 1)];
    let late = [at(old, 1), at(old, u64::MAX / 2), at(new, 1)];
    let tagged = [new.with_tag(1), old.with_tag(99), at(old, 1).with_tag(1)];
    for cursor in unknown.into_iter().chain(late).chain(tagged) {
        let reader = world.runs.subscribe_from("runs/1", Start::After(cursor)).unwrap();
        let expected = (vec![GapReason::Epoch], texts(&["a", "b", "c"]), Some(EndReason::Done));
        assert_eq!(read_with_gaps(reader), expected, "{cursor:?}");
    }
}

#[test]
fn run_that_is_larger_than_the_disk_may_hold_is_read_with_a_gap_and_its_end() {
    let (directory, script) = (Directory::new(), Script::default());
    let hub = directory.builder().max_bytes(4_096).open().unwrap();
    let world = World::on(hub, VirtualTimer::new(), |runs| runs);
    (0..100).for_each(|n| script.say(format!("{n} {}", "x".repeat(1_000))));
    script.push(Step::End);
    world.started("runs/1", &script);
    // The writer removes events in the background.
    while world.hub.disk_stats().unwrap().bytes > 4_096 {
        thread::yield_now();
    }
    let (gaps, all, end) = read_with_gaps(world.reader("runs/1"));
    assert_eq!((gaps, all.len() < 100, end), (vec![GapReason::Evicted], true, Some(EndReason::Done)));
    let world = restart(world, &directory, false);
    assert_eq!(read_with_gaps(world.reader("runs/1")), (vec![GapReason::Evicted], all, end));
}
