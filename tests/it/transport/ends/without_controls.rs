//! Server-sent events without control blocks.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tidings::subscriber::SubscriberExt;
use tidings::subscriber::SubscriptionEnd;
use tidings::transport::sse::SseEncoder;
use tidings::{Cursor, EndReason, Event, Gap, GapReason, Snapshot, Topic};

use crate::support::{Feed, SseEvent, SseReader, Step, Task, VirtualTimer, any_history, put};

const RETRY: Duration = Duration::from_millis(1500);
const INTERVAL: Duration = Duration::from_secs(10);

proptest! {
    /// For any history and cuts into pieces, the page gets the events up to the first gap, with their ids, and nothing else.
    #[test]
    fn sse_without_controls_has_events_alone(
        history in any_history(),
        retry in prop::option::of(1..5_000_u64),
        (objects, hello, visible) in any::<(bool, bool, bool)>(),
        (batch, max) in (1..5_usize, 0..400_usize),
    ) {
        let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
        let put = put(&history, &feed);
        let stream = SseEncoder::new(feed.reader().batches_of(batch), &timer).max_batch_bytes(max);
        let stream = stream.objects(objects).hello(hello).visible_heartbeat(visible).controls(false).keep_alive(INTERVAL);
        let mut stream = retry.into_iter().map(Duration::from_millis).fold(stream, SseEncoder::retry);
        let (mut items, over) = task.drain(&mut stream);
        timer.advance(2 * INTERVAL);
        items.extend(task.drain(&mut stream).0);
        prop_assert_eq!(&items[0], ":\n");

        let steps = history.iter().filter(|step| !matches!(step, Step::Pass)).zip(&put);
        let before_gap = steps.clone().take_while(|(step, _)| !matches!(step, Step::Gap(..)));
        let ids: Vec<_> = before_gap
            .filter(|(step, _)| matches!(step, Step::Event(_, event) if !event.is_removal()))
            .map(|(_, object)| object["id"].as_str().unwrap().to_owned())
            .collect();
        let has_gap = steps.clone().any(|(step, _)| matches!(step, Step::Gap(..)));
        prop_assert_eq!((over, stream.end()), (has_gap, has_gap.then_some(SubscriptionEnd::TooSlow)));

        let mut reader = SseReader::default();
        reader.read(&items.concat());
        let published = |name: &str| history.iter().any(|step| matches!(step, Step::Event(_, event) if event.name() == Some(name)));
        let is_foreign = |event: &SseEvent| event.name.starts_with("tidings.") && !published(&event.name);
        prop_assert!(!reader.events.iter().any(is_foreign));
        let read: Vec<_> = reader.events.iter().map(|event| event.id.clone()).collect();
        let retries = if ids.is_empty() { None } else { retry };
        prop_assert_eq!((read, reader.retries), (ids, Vec::from_iter(retries)));
    }
}

#[test]
fn sse_without_controls_writes_the_documented_bytes() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    let mut stream = SseEncoder::new(feed.reader(), &timer).retry(RETRY).controls(false).visible_heartbeat(true);
    assert_eq!(task.drain(&mut stream).0, [Bytes::from_static(b":\n")]);
    timer.advance(2 * Duration::from_secs(15));
    assert_eq!(task.drain(&mut stream).0, [Bytes::from_static(b":\n")]);
    feed.topic_end("scores", EndReason::Done);
    let first = feed.event("news", "one").unwrap();
    feed.topic_end("sports", EndReason::Done);
    let second = feed.event("news", "two").unwrap();
    let wire = format!("retry: 1500\ndata: one\nid: {first}\n\ndata: two\nid: {second}\n\n");
    assert_eq!(task.drain(&mut stream).0.concat(), wire.as_bytes());
    feed.last_topic_end("news", EndReason::Done);
    assert_eq!((task.drain(&mut stream), stream.end()), ((vec![], true), Some(SubscriptionEnd::Finished)));
}

#[test]
fn sse_without_controls_finishes_without_a_block() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    for objects in [true, false] {
        let mut stream = SseEncoder::new(feed.reader(), &timer).objects(objects).controls(false);
        task.drain(&mut stream);
        stream.finish(RETRY);
        assert_eq!((task.drain(&mut stream), stream.end()), ((vec![], true), None));
    }
}

#[test]
fn sse_without_controls_leaves_out_a_gap_with_a_snapshot() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    feed.gap(GapReason::Evicted, None);
    let next = feed.event("news", "next").unwrap();
    let recovering = feed
        .reader()
        .recover_with(|_: &Gap| async { Some(Snapshot::new([(Topic::new("news").unwrap(), "state".into())])) });
    let mut stream = SseEncoder::new(recovering, &timer).controls(false);
    let wire = String::from_utf8(task.drain(&mut stream).0.concat()).unwrap();
    assert_eq!(wire, format!(":\ndata: state\nid: {}\n\ndata: next\nid: {next}\n\n", Cursor::new(7, 1)));
}

/// Removals alone are no item, and do not put off a keep-alive.
#[test]
fn sse_without_controls_skips_removals() {
    for objects in [true, false] {
        let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
        let stream = SseEncoder::new(feed.reader().batches_of(1), &timer).objects(objects).controls(false);
        let mut stream = stream.keep_alive(INTERVAL).retry(RETRY);
        assert_eq!(task.drain(&mut stream).0, [Bytes::from_static(b":\n")]);
        timer.advance(INTERVAL / 2);
        for number in 0..20_000 {
            feed.event("cars", Event::removal(&number.to_string()).unwrap());
        }
        assert_eq!(task.drain(&mut stream), (vec![], false));
        timer.advance(INTERVAL / 2);
        assert_eq!(task.drain(&mut stream).0, [Bytes::from_static(b":\n")]);
        feed.event("cars", Event::removal("42").unwrap());
        feed.event("cars", Event::text("here").with_key("42").unwrap());
        feed.event("cars", Event::removal("42").unwrap());
        let wire = String::from_utf8(task.drain(&mut stream).0.concat()).unwrap();
        let data = match objects {
            true => r#"{"id":"7.e20002","topic":"cars","key":"42","data":"here"}"#,
            false => "here",
        };
        assert_eq!(wire, format!("retry: 1500\ndata: {data}\nid: 7.e20002\n\n"));
    }
}

/// A subscription of many topics that end at once.
#[test]
fn sse_without_controls_skips_many_ends_in_one_poll() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    let mut stream = SseEncoder::new(feed.reader(), &timer).controls(false);
    task.drain(&mut stream);
    for number in 0..20_000 {
        feed.topic_end(&format!("topics/{number}"), EndReason::Done);
    }
    let last = feed.event("news", "last").unwrap();
    assert_eq!(task.drain(&mut stream).0, [Bytes::from(format!("data: last\nid: {last}\n\n"))]);
}
