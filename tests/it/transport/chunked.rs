use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use tidings::subscriber::SubscriptionEnd;
use tidings::transport::chunked::{ChunkedStream, Heartbeat};
use tidings::{Cursor, Event, GapReason};

use crate::support::{Feed, Task, VirtualTimer, any_history, check_silence, put};

const INTERVAL: Duration = Duration::from_secs(10);

proptest! {
    /// For any batches and sizes, each line is one object, and all objects are there in order.
    #[test]
    fn chunked_lines_are_whole_objects_in_order(history in any_history(), cut in 0..13_usize, batch in 1..5_usize, max in 0..400_usize) {
        let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
        let (now, later) = history.split_at(cut.min(history.len()));
        let mut expected = put(now, &feed);
        let mut stream = ChunkedStream::new(feed.reader().batches_of(batch), &timer).max_batch_bytes(max);
        let (mut items, over) = task.drain(&mut stream);
        prop_assert!(!over);
        expected.extend(put(later, &feed));
        items.extend(task.drain(&mut stream).0);
        for item in &items {
            prop_assert_eq!(item.last(), Some(&b'\n'), "an item consists of whole lines");
        }
        let lines = read(&items);
        prop_assert_eq!(&lines[0], &json!({ "tidings": "hello", "cursor": "7.0", "heartbeat_ms": 15_000 }));
        prop_assert_eq!(&lines[1..], &expected);
    }

    /// No silence is longer than the interval, and a busy stream has no keep-alives.
    #[test]
    fn chunked_keep_alive_bounds_the_silence(pauses in prop::collection::vec(0..40_000_u64, 0..40), visible: bool) {
        let (timer, feed) = (VirtualTimer::new(), Feed::new(7));
        let heartbeat = if visible { Heartbeat::Visible } else { Heartbeat::Silent };
        let stream = ChunkedStream::new(feed.reader(), &timer).keep_alive(INTERVAL).heartbeat(heartbeat);
        check_silence(stream, &timer, &feed, INTERVAL, &pauses, |item| item == "\n" || item.starts_with(b"{\"tidings\":\"heart"));
    }
}

#[test]
fn chunked_stream_writes_the_documented_bytes() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    let stream = ChunkedStream::new(feed.reader(), &timer).keep_alive(INTERVAL);
    let mut stream = stream.heartbeat(Heartbeat::Visible);
    feed.event("news", "a\nb");
    feed.event("news", Event::binary(vec![0, 255]).with_name("price").unwrap());
    feed.gap(GapReason::Overflow, Some(12));
    let (mut items, _) = task.drain(&mut stream);
    feed.pass();
    assert_eq!(task.drain(&mut stream), (vec![], false));
    timer.advance(INTERVAL);
    items.extend(task.drain(&mut stream).0);
    stream.finish(Duration::from_millis(1500));
    let (last, over) = task.drain(&mut stream);
    items.extend(last);
    assert_eq!((over, stream.end()), (true, None));
    let wire = concat!(
        r#"{"tidings":"hello","cursor":"7.0","heartbeat_ms":10000}"#,
        "\n",
        r#"{"id":"7.a1","topic":"news","data":"a\nb"}"#,
        "\n",
        r#"{"id":"7.a2","topic":"news","event":"price","data":"AP8=","encoding":"base64"}"#,
        "\n",
        r#"{"id":"7.a3","gap":{"reason":"overflow","missed":12}}"#,
        "\n",
        r#"{"tidings":"heartbeat","cursor":"7.a4"}"#,
        "\n",
        r#"{"tidings":"bye","retry_ms":1500}"#,
        "\n",
    );
    assert_eq!(items.concat(), wire.as_bytes());
}

#[test]
fn chunked_silent_heartbeat_is_an_empty_line() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    let mut stream = ChunkedStream::new(feed.reader(), &timer).keep_alive(INTERVAL);
    task.drain(&mut stream);
    timer.advance(INTERVAL);
    assert_eq!(task.drain(&mut stream), (vec![Bytes::from_static(b"\n")], false));
}

#[test]
fn chunked_end_of_the_subscriber_is_reported_and_final() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    feed.event("news", "last");
    feed.end(SubscriptionEnd::Closed);
    let mut stream = ChunkedStream::new(feed.reader(), &timer);
    let (items, over) = task.drain(&mut stream);
    assert_eq!((items.len(), over, stream.end()), (2, true, Some(SubscriptionEnd::Closed)));
    stream.finish(Duration::from_secs(1));
    assert_eq!(task.drain(&mut stream), (vec![], true));
    assert_eq!(
        (stream.end(), stream.cursor()),
        (Some(SubscriptionEnd::Closed), Some("7.a1".parse::<Cursor>().unwrap()))
    );
}

#[test]
fn chunked_without_keep_alive_sets_no_timer() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(0), Task::new());
    let mut stream = ChunkedStream::new(feed.reader(), &timer).keep_alive(Duration::MAX);
    let hello = &task.drain(&mut stream).0[0];
    assert_eq!(hello, "{\"tidings\":\"hello\",\"cursor\":null,\"heartbeat_ms\":null}\n");
    timer.advance(Duration::from_secs(86_400));
    assert_eq!((task.drain(&mut stream), task.wakes()), ((vec![], false), 0));
}

fn read(items: &[Bytes]) -> Vec<Value> {
    items.concat().split_inclusive(|&byte| byte == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// After a clock leap, as on a suspended machine, the number of polls does not grow with the length of the leap.
#[test]
fn chunked_keep_alive_after_a_clock_leap_is_one_line_with_bounded_polls() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    let mut stream = ChunkedStream::new(feed.reader(), &timer).keep_alive(Duration::from_millis(20));
    assert_eq!(task.drain(&mut stream).0.len(), 1);
    for leap in [1, 10, 3_600_000, 30 * 24 * 3_600_000_u64] {
        // 25 ms are more than the interval of 20 ms, so a keep-alive is due after each leap.
        timer.advance(Duration::from_millis(leap) + Duration::from_millis(25));
        let before = timer.polls();
        assert_eq!(task.drain(&mut stream).0, ["\n"], "{leap} ms");
        assert!(timer.polls() - before <= 100, "{} polls after {leap} ms", timer.polls() - before);
        let next = timer.next_in().unwrap();
        assert!(next <= Duration::from_millis(10), "the next wake is in {next:?}");
    }
}
