use std::task::Poll;
use std::time::Duration;

use tidings::EndReason::{Done, Stopped};
use tidings::runs::{RunError, Runs};
use tidings::subscriber::{Delivery, EncodedDelivery, EndState, Slot};
use tidings::{Cursor, GapReason, LocalHub, Retention, Start, Subscriber};

use super::script::{Script, Step};
use super::world::{World, read};
use crate::support::{LineFormat, VirtualTimer, poll, poll_encoded, topic};

#[test]
fn reader_gets_the_run_from_its_first_event_then_live_then_the_end() {
    let (world, script) = (World::new(), Script::default());
    script.say("one");
    script.say("two");
    world.started("runs/7", &script);
    let mut reader = world.reader("runs/7");
    assert_eq!(read(&mut reader), (vec!["one".into(), "two".into()], None));
    script.say("three");
    script.push(Step::End);
    world.tasks.run();
    assert_eq!(read(&mut reader), (vec!["three".into()], Some(Done)));
}

#[test]
fn reader_with_a_cursor_resumes_after_it_live_and_after_the_end() {
    let (world, script) = (World::new(), Script::default());
    let texts: Vec<_> = (0..200).map(|n| n.to_string()).collect();
    texts[..100].iter().for_each(|text| script.say(text));
    world.started("runs/7", &script);
    let mut reader = world.reader("runs/7");
    let (mut seen, mut cursors) = (Vec::new(), vec![]);
    while let Poll::Ready(Delivery::Events(batch)) = poll(&mut reader) {
        seen.extend(crate::support::texts(&batch));
        cursors.extend(batch.iter().map(|event| event.cursor.unwrap()));
    }
    assert_eq!(seen, texts[..100]);
    let mut resumed = world.runs.subscribe_from("runs/7", Start::After(cursors[41])).unwrap();
    assert_eq!(read(&mut resumed).0, texts[42..100]);
    texts[100..].iter().for_each(|text| script.say(text));
    script.push(Step::End);
    world.tasks.run();
    assert_eq!(read(&mut resumed), (texts[100..].to_vec(), Some(Done)));
    let mut late = world.runs.subscribe_from("runs/7", Start::After(cursors[99])).unwrap();
    assert_eq!(read(&mut late), (texts[100..].to_vec(), Some(Done)));
}

#[test]
fn reader_with_an_invalid_cursor_gets_a_gap_and_the_whole_run() {
    let (world, script) = (World::new(), Script::of(["one", "two"]));
    world.started("runs/6", &Script::of(["of another run"]));
    world.started("runs/7", &script);
    let here = world.hub.cursor();
    let ahead = Cursor::new(here.epoch(), here.sequence() + 1);
    for start in
        [Start::Unreadable, Start::After(Cursor::new(5, 3)), Start::After(here.with_tag(1)), Start::After(ahead)]
    {
        let mut reader = world.runs.subscribe_from("runs/7", start).unwrap();
        assert_eq!(reader.info().end_state(), EndState::Ended);
        let Poll::Ready(Delivery::Gap(gap)) = poll(&mut reader) else { panic!("no gap") };
        assert_eq!((gap.reason, gap.missed), (GapReason::Epoch, None));
        assert_eq!(read(&mut reader), (vec!["one".into(), "two".into()], Some(Done)), "{start:?}");
        let mut cut_at_the_gap = world.runs.subscribe_from("runs/7", Start::After(gap.cursor)).unwrap();
        assert_eq!(read(&mut cut_at_the_gap), (vec!["one".into(), "two".into()], Some(Done)), "{start:?}");
    }
}

#[test]
fn reader_that_comes_back_after_the_end_has_nothing_to_wait_for() {
    let (world, script) = (World::new(), Script::of(["one"]));
    world.started("runs/7", &script);
    let mut reader = world.reader("runs/7");
    read(&mut reader);
    let again = world.runs.subscribe_from("runs/7", Start::After(reader.cursor().unwrap())).unwrap();
    assert_eq!(again.info().end_state(), EndState::Finished);
    assert_eq!(world.reader("runs/7").info().end_state(), EndState::Ended);
}

#[test]
fn reader_with_another_start_gets_it() {
    let (world, script) = (World::new(), Script::default());
    ["one", "two", "three"].into_iter().for_each(|text| script.say(text));
    world.started("runs/7", &script);
    assert_eq!(read(&mut world.runs.subscribe_from("runs/7", Start::Last(2)).unwrap()).0, ["two", "three"]);
    assert_eq!(read(&mut world.runs.subscribe_from("runs/7", Start::Now).unwrap()).0, [""; 0]);
}

#[test]
fn reader_that_leaves_stops_nothing() {
    let (world, script) = (World::new(), Script::default());
    world.started("runs/7", &script);
    drop(world.reader("runs/7"));
    world.advance(Duration::from_secs(1_800));
    script.say("one");
    world.tasks.run();
    assert_eq!((world.read("runs/7"), script.dropped()), ((vec!["one".into()], None), 0));
}

#[test]
fn connected_reader_gets_the_end_although_the_history_was_dropped_meanwhile() {
    let world = World::with(|runs| runs.linger(Duration::from_secs(60)));
    world.started("runs/7", &Script::of(["one", "two"]));
    let mut slow = world.reader("runs/7");
    world.advance(Duration::from_secs(60));
    assert!(world.is_gone("runs/7"));
    let Poll::Ready(Delivery::Gap(gap)) = poll(&mut slow) else { panic!("no gap") };
    let (left, reason) = read(&mut slow);
    assert_eq!((gap.missed.unwrap() + left.len() as u64, reason), (2, Some(Done)));
    let (script, again) = (Script::default(), Script::of(["three"]));
    world.started("runs/8", &script);
    let unread = world.reader("runs/8");
    world.runs.stop("runs/8");
    world.advance(Duration::from_secs(60));
    assert_eq!(world.start("runs/8", &again).unwrap_err(), RunError::Ended(topic("runs/8")), "a reader lacks the end");
    drop(unread);
    assert!(world.started("runs/8", &again).is_new());
    assert_eq!(world.read("runs/8"), (vec!["three".into()], Some(Done)));
}

#[test]
fn waiting_reader_is_woken_by_tokens_and_by_a_stop() {
    let (world, script) = (World::new(), Script::default());
    world.started("runs/7", &script);
    let (task, mut reader) = (crate::support::Task::new(), world.reader("runs/7"));
    assert!(task.with(|cx| reader.poll_next(cx)).is_pending());
    script.say("one");
    script.say("two");
    world.tasks.run();
    assert_eq!(task.wakes(), 1, "one wake for a batch");
    assert_eq!(read(&mut reader).0, ["one", "two"]);
    assert!(task.with(|cx| reader.poll_next(cx)).is_pending());
    world.runs.stop("runs/7");
    assert_eq!(task.wakes(), 1);
    assert_eq!(read(&mut reader), (vec![], Some(Stopped)));
}

#[test]
fn events_are_encoded_once_for_all_readers_of_a_run() {
    let world = World::new();
    world.started("runs/7", &Script::of(["one", "two"]));
    let bytes = [(); 2].map(|()| {
        match poll_encoded(&mut world.reader("runs/7"), &LineFormat(Some(Slot::APPLICATION[0])), usize::MAX) {
            Poll::Ready(EncodedDelivery::Events(events)) => events.bytes,
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(bytes[0].as_ptr(), bytes[1].as_ptr(), "the same buffer");
    let mut reader = world.reader("runs/7");
    assert!(reader.heeds_max());
    assert_eq!(reader.info().topics().len(), 1);
    reader.release();
    assert_eq!(read(&mut reader).0, ["one", "two"]);
}

#[test]
fn subscriptions_of_the_hub_get_the_events_of_runs_too() {
    let (world, script) = (World::new(), Script::default());
    let mut audit = world.hub.subscribe(tidings::Subscribe::patterns(["runs/**"])).unwrap();
    world.started("runs/7", &script);
    script.say("one");
    world.tasks.run();
    assert_eq!(crate::support::ready_texts(&mut audit), ["one"]);
    assert_eq!(world.runs.list()[0].readers, 0, "it is no reader of the run");
}

#[test]
fn reader_of_another_server_life_is_gone() {
    let (world, script) = (World::new(), Script::of(["one"]));
    world.started("runs/7", &script);
    let cursor = world.reader("runs/7").cursor();
    let restarted = Runs::builder(&LocalHub::new()).timer(VirtualTimer::new()).build();
    let start = cursor.map_or(Start::Oldest, Start::After);
    assert!(restarted.subscribe_from("runs/7", start).is_err());
}

#[test]
fn run_that_the_hub_evicts_shows_a_gap_and_ends() {
    let timer = VirtualTimer::new();
    let hub =
        LocalHub::builder().retain(Retention::count(1)).live_buffer(0).max_bytes(200_000).clock(timer.clone()).build();
    let (world, script) = (World::on(hub, timer, |runs| runs), Script::default());
    (0..400).for_each(|_| script.say("x".repeat(1_000)));
    script.push(Step::End);
    world.started("runs/7", &script);
    let mut reader = world.reader("runs/7");
    let first = poll(&mut reader);
    let Poll::Ready(Delivery::Gap(gap)) = first else { panic!("no gap, but {first:?} {:?}", world.failures()) };
    assert_eq!(gap.reason, GapReason::Evicted);
    let (left, reason) = read(&mut reader);
    assert!((1..400).contains(&left.len()), "{} events are left", left.len());
    assert_eq!(reason, Some(Done));
}
