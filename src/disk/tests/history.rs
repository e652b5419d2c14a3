use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use super::support::{next, texts, wait};
use crate::contract::{Delivery, PublishError, Start, Subscribe, Subscriber};
use crate::disk::builder::DiskHubBuilder;
use crate::disk::hub::DiskHub;
use crate::disk::store::DiskError;
use crate::disk::store::tests::support::Directory;
use crate::hub::LocalHub;
use crate::model::{Cursor, EndReason, Event, GapReason, Retention};

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

fn small(directory: &Directory) -> DiskHubBuilder {
    let memory = LocalHub::builder().retain(Retention::count(4)).live_buffer(0);
    DiskHub::builder(&directory.0).memory(memory)
}

fn publish(hub: &DiskHub, topic: &str, numbers: std::ops::Range<u32>) -> Cursor {
    let mut last = None;
    for number in numbers {
        last = wait(hub.publish(topic, number.to_string())).unwrap().cursor();
    }
    last.unwrap()
}

fn after(cursor: Cursor) -> Start {
    Start::After(cursor)
}

#[test]
fn client_resumes_after_a_restart_without_a_gap() {
    let directory = Directory::new();
    let hub = small(&directory).open().unwrap();
    let first = publish(&hub, "a", 0..1);
    publish(&hub, "a", 1..50);
    publish(&hub, "b", 50..60);
    hub.close();
    assert_eq!(wait(hub.publish("a", "late")), Err(PublishError::Closed));
    drop(hub);
    let hub = small(&directory).open().unwrap();
    for what in [Subscribe::topics(["a", "b"]), Subscribe::patterns(["*"]), Subscribe::patterns(["**"])] {
        let mut resumed = hub.subscribe(what.start(after(first))).unwrap();
        assert_eq!(texts(&mut resumed, 59), numbers(1..60));
    }
    let mut resumed = hub.subscribe(Subscribe::topics(["a"]).start(after(first))).unwrap();
    assert_eq!(texts(&mut resumed, 49), numbers(1..50));
    publish(&hub, "a", 60..70);
    assert_eq!(texts(&mut resumed, 10), numbers(60..70));
}

#[test]
fn start_at_the_oldest_and_last_events_reads_those_from_before_the_restart() {
    let directory = Directory::new();
    publish(&small(&directory).open().unwrap(), "a/1", 0..20);
    let hub = small(&directory).open().unwrap();
    publish(&hub, "a/2", 20..30);
    let starts = |start| Subscribe::patterns(["a/*"]).start(start);
    assert_eq!(texts(&mut hub.subscribe(starts(Start::Oldest)).unwrap(), 30), numbers(0..30));
    let last = texts(&mut hub.subscribe(starts(Start::Last(2))).unwrap(), 4);
    assert_eq!(last, ["18", "19", "28", "29"]);
    let mut now = hub.subscribe(starts(Start::Now)).unwrap();
    publish(&hub, "a/1", 30..31);
    assert_eq!(texts(&mut now, 1), ["30"]);
}

#[test]
fn subscriber_that_falls_behind_reads_from_disk() {
    let directory = Directory::new();
    let hub = small(&directory).open().unwrap();
    let mut slow = hub.subscribe(Subscribe::topics(["a", "b"])).unwrap();
    for round in 0..20 {
        publish(&hub, if round % 2 == 0 { "a" } else { "b" }, 10 * round..10 * round + 10);
    }
    assert_eq!(texts(&mut slow, 200), numbers(0..200));
}

#[test]
fn events_that_retention_removed_are_a_gap() {
    let directory = Directory::new();
    let hub = small(&directory).retain(Retention::count(10)).open().unwrap();
    let first = publish(&hub, "a", 0..1);
    publish(&hub, "a", 1..100);
    drop(hub);
    let hub = small(&directory).retain(Retention::count(10)).open().unwrap();
    // The writer removes them in steps.
    loop {
        let mut resumed = hub.subscribe(Subscribe::topics(["a"]).start(after(first))).unwrap();
        if let Delivery::Gap(gap) = next(&mut resumed) {
            assert_eq!((gap.reason, gap.topic.unwrap().as_str()), (GapReason::Evicted, "a"));
            let rest = texts(&mut resumed, 10);
            assert!(rest.len() < 99 && numbers(0..100).ends_with(&rest), "{rest:?}");
            return;
        }
    }
}

#[test]
fn end_of_a_topic_outlives_the_process() {
    let directory = Directory::new();
    let hub = small(&directory).open().unwrap();
    let first = publish(&hub, "a", 0..1);
    publish(&hub, "a", 1..9);
    wait(hub.finish("a", EndReason::Done)).unwrap();
    drop(hub);
    let hub = small(&directory).open().unwrap();
    assert!(matches!(wait(hub.publish("a", "late")), Err(PublishError::Finished(_))));
    let mut resumed = hub.subscribe(Subscribe::topics(["a"]).start(after(first))).unwrap();
    assert_eq!(texts(&mut resumed, 8), numbers(1..9));
    assert!(matches!(next(&mut resumed), Delivery::TopicEnd(end) if end.reason == EndReason::Done));
}

#[test]
fn cursor_of_another_directory_is_a_gap_of_another_epoch() {
    let (one, other) = (Directory::new(), Directory::new());
    let foreign = publish(&small(&one).open().unwrap(), "a", 0..5);
    let hub = small(&other).open().unwrap();
    publish(&hub, "a", 0..8);
    let mut resumed = hub.subscribe(Subscribe::topics(["a"]).start(after(foreign))).unwrap();
    assert!(matches!(next(&mut resumed), Delivery::Gap(gap) if gap.reason == GapReason::Epoch));
    assert_eq!(texts(&mut resumed, 8), numbers(0..8));
}

#[test]
fn second_open_of_a_directory_names_the_process() {
    let directory = Directory::new();
    let _hub = small(&directory).open().unwrap();
    match small(&directory).open() {
        Err(DiskError::InUse { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
        other => panic!("{other:?}"),
    }
}

#[test]
fn concurrent_publishes_are_in_one_order() {
    let directory = Directory::new();
    let hub = small(&directory).open().unwrap();
    let mut reader = hub.subscribe(Subscribe::patterns(["**"])).unwrap();
    let publishers: Vec<_> = (0..8)
        .map(|publisher| {
            let hub = hub.clone();
            thread::spawn(move || publish(&hub, &format!("p/{publisher}"), 0..50))
        })
        .collect();
    let last = publishers.into_iter().map(|publisher| publisher.join().unwrap().sequence()).max();
    assert_eq!(last, Some(400));
    let mut seen = 0;
    while seen < 400 {
        let Delivery::Events(batch) = next(&mut reader) else { panic!("a gap") };
        for event in batch.iter() {
            seen += 1;
            assert_eq!(event.cursor.unwrap().sequence(), seen);
        }
    }
}

#[test]
fn refused_events_leave_the_others_in_their_order() {
    let directory = Directory::new();
    let memory = LocalHub::builder().retain(Retention::count(4)).live_buffer(0).max_event(64);
    let hub = DiskHub::builder(&directory.0).memory(memory).open().unwrap();
    let mut reader = hub.subscribe(Subscribe::topics(["a"])).unwrap();
    let large = "x".repeat(100);
    let texts_of = |number: u32| if number % 3 == 0 { large.clone() } else { number.to_string() };
    let mut publishes: Vec<_> = (0..90).map(|number| Box::pin(hub.publish("a", texts_of(number)))).collect();
    // All are queued before the first is awaited, so the writer takes many at once.
    let mut cx = Context::from_waker(Waker::noop());
    let mut done: Vec<_> = publishes.iter_mut().map(|publish| publish.as_mut().poll(&mut cx)).collect();
    for (number, (publish, done)) in (0..).zip(publishes.iter_mut().zip(&mut done)) {
        let result = match std::mem::replace(done, Poll::Pending) {
            Poll::Ready(result) => result,
            Poll::Pending => wait(publish.as_mut()),
        };
        match result {
            Ok(_) => assert_ne!(number % 3, 0, "{number}"),
            Err(error) => {
                assert!(number % 3 == 0 && matches!(error, PublishError::TooLarge { .. }), "{number}: {error}")
            }
        }
    }
    let expected: Vec<_> = (0..90).filter(|number| number % 3 != 0).map(|number| number.to_string()).collect();
    assert_eq!(texts(&mut reader, 60), expected);
}

#[test]
fn subscription_is_loading_until_it_has_read_the_history() {
    let directory = Directory::new();
    let first = publish(&small(&directory).open().unwrap(), "a", 0..1);
    let hub = small(&directory).open().unwrap();
    publish(&hub, "a", 1..20);
    let mut resumed = hub.subscribe(Subscribe::topics(["a"]).start(after(first))).unwrap();
    assert!(resumed.info().is_loading());
    assert_eq!(texts(&mut resumed, 19), numbers(1..20));
    assert!(resumed.poll_next(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(!resumed.info().is_loading());
}

#[test]
fn events_of_other_topics_after_an_end_are_read_from_disk() {
    let directory = Directory::new();
    let hub = small(&directory).open().unwrap();
    let first = publish(&hub, "a", 0..1);
    publish(&hub, "b", 1..2);
    wait(hub.finish("b", EndReason::Done)).unwrap();
    publish(&hub, "a", 2..9);
    drop(hub);
    let hub = small(&directory).open().unwrap();
    let mut resumed = hub.subscribe(Subscribe::topics(["a", "b"]).start(after(first))).unwrap();
    assert_eq!(texts(&mut resumed, 1), numbers(1..2));
    let Delivery::TopicEnd(end) = next(&mut resumed) else { panic!("no end") };
    assert_eq!((end.reason, end.cursor.sequence(), end.is_last), (EndReason::Done, 3, false));
    assert_eq!(texts(&mut resumed, 7), numbers(2..9));
    // A client that is cut behind the end has got it.
    let mut again = hub.subscribe(Subscribe::topics(["a", "b"]).start(after(end.cursor))).unwrap();
    assert_eq!(texts(&mut again, 7), numbers(2..9));
    assert!(again.poll_next(&mut Context::from_waker(Waker::noop())).is_pending());
}

#[test]
fn subscriber_that_falls_behind_an_end_gets_the_events_of_other_topics() {
    let directory = Directory::new();
    let hub = small(&directory).open().unwrap();
    let mut slow = hub.subscribe(Subscribe::topics(["a", "b"])).unwrap();
    publish(&hub, "b", 0..1);
    wait(hub.finish("b", EndReason::Done)).unwrap();
    publish(&hub, "a", 1..50);
    let (mut seen, mut ends) = (Vec::new(), 0);
    while seen.len() < 50 {
        match next(&mut slow) {
            Delivery::Events(batch) => seen.extend(batch.iter().map(|event| event.event.as_str().unwrap().to_owned())),
            Delivery::TopicEnd(end) => ends += usize::from(end.topic.as_str() == "b"),
            other => panic!("{other:?} after {seen:?}"),
        }
    }
    assert_eq!(seen, numbers(0..50));
    assert!(ends > 0 || matches!(next(&mut slow), Delivery::TopicEnd(_)));
}

#[test]
fn start_at_the_last_events_counts_the_same_events_as_in_memory() {
    let directory = Directory::new();
    let (hub, memory) = (DiskHub::open(&directory.0).unwrap(), LocalHub::new());
    let expired = |text: &'static str| Event::text(text).with_ttl(Duration::ZERO);
    let events = ["0", "1", "2", "3"].map(Event::text).into_iter().chain([expired("4"), expired("5")]);
    for event in events {
        wait(hub.publish("a", event.clone())).unwrap();
        memory.publish_now("a", event.clone()).unwrap();
        wait(hub.publish("over", event.clone())).unwrap();
        memory.publish_now("over", event).unwrap();
    }
    wait(hub.finish("over", EndReason::Done)).unwrap();
    memory.finish("over", EndReason::Done).unwrap();
    hub.close();
    let hub = DiskHub::open(&directory.0).unwrap();
    for name in ["a", "over"] {
        let last = || Subscribe::topics([name]).start(Start::Last(3));
        let mut subscription = memory.subscribe(last()).unwrap();
        let Poll::Ready(Delivery::Events(expected)) = subscription.poll_next(&mut Context::from_waker(Waker::noop()))
        else {
            panic!("the hub in memory has events");
        };
        let expected: Vec<_> = expected.iter().map(|event| event.event.as_str().unwrap().to_owned()).collect();
        assert_eq!(expected, ["1", "2", "3"], "{name}");
        assert_eq!(texts(&mut hub.subscribe(last()).unwrap(), 3), expected, "{name}");
    }
}
