use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use eventsource_stream::Eventsource;
use futures_core::Stream;
use proptest::prelude::*;
use serde_json::{Value, json};
use tidings::subscriber::{EncodedDelivery, Format, SubscriptionEnd};
use tidings::transport::sse::SseEncoder;
use tidings::{Event, EventKind, GapReason, Subscriber};

use crate::support::{Feed, SseEvent, SseReader, Step, Task, VirtualTimer, any_history, check_silence, put};

const INTERVAL: Duration = Duration::from_secs(10);

proptest! {
    /// For any cuts of the bytes, both readers get the published events, each with its cursor as the id.
    #[test]
    fn sse_events_are_read_back_by_two_readers(
        history in any_history(),
        retry in prop::option::of(0..5_000_u64),
        hello: bool,
        (batch, max) in (1..5_usize, 0..400_usize),
        cuts in prop::collection::vec(1..40_usize, 1..8),
    ) {
        let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
        let objects = put(&history, &feed);
        let stream = SseEncoder::new(feed.reader().batches_of(batch), &timer).max_batch_bytes(max).hello(hello);
        let mut stream = retry.into_iter().map(Duration::from_millis).fold(stream, SseEncoder::retry);
        let (items, over) = task.drain(&mut stream);
        prop_assert!(!over);

        let hello_event = hello.then(|| hello_at("7.0"));
        let expected: Vec<_> = hello_event.into_iter().chain(expected(&history, &objects)).collect();
        let wire = items.concat();
        let pieces = pieces(&wire, &cuts);
        let mut reader = SseReader::default();
        pieces.iter().for_each(|piece| reader.read(piece));
        let read: Vec<_> = reader.events.into_iter().map(normal).collect();
        prop_assert_eq!(&read, &expected);
        let read: Vec<_> = second_reader(pieces).into_iter().map(normal).collect();
        prop_assert_eq!(&read, &expected);
        // The retry is written once, in the first block, and is never 0.
        let retries = if expected.is_empty() { None } else { retry.map(|retry| retry.max(1)) };
        prop_assert_eq!(reader.retries, Vec::from_iter(retries));
    }

    /// Event objects lose nothing, neither the topic nor a CR.
    #[test]
    fn sse_objects_are_read_back_whole(history in any_history(), retry in prop::option::of(1..5_000_u64), max in 0..400_usize) {
        let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
        let expected = put(&history, &feed);
        let stream = SseEncoder::new(feed.reader(), &timer).max_batch_bytes(max).objects(true);
        let mut stream = retry.into_iter().map(Duration::from_millis).fold(stream, SseEncoder::retry);
        let wire = task.drain(&mut stream).0.concat();
        let mut reader = SseReader::default();
        reader.read(&wire);
        let (hello, events) = reader.events.split_first().unwrap();
        prop_assert_eq!(&*hello.name, "tidings.hello");
        prop_assert_eq!(parse(hello), json!({ "tidings": "hello", "cursor": "7.0", "heartbeat_ms": null }));
        for event in events {
            let object = parse(event);
            prop_assert_eq!(&object["id"], &*event.id);
            let name = match () {
                () if object.get("gap").is_some() => "tidings.gap",
                () if object.get("end").is_some() => "tidings.topic_end",
                () => "message",
            };
            prop_assert_eq!(&*event.name, name);
        }
        prop_assert_eq!(events.iter().map(parse).collect::<Vec<_>>(), expected);
        prop_assert_eq!(reader.retries, Vec::from_iter(retry));
    }

    /// Items are whole blocks, and the id is the last line of a block. A reader that stores an id as soon as it reads it
    /// therefore loses no event when the connection breaks.
    #[test]
    fn sse_cut_between_items_keeps_the_id_of_the_last_event(history in any_history(), batch in 1..5_usize, retry: bool) {
        let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
        put(&history, &feed);
        let stream = SseEncoder::new(feed.reader().batches_of(batch), &timer).visible_heartbeat(true);
        let mut stream = if retry { stream.retry(Duration::from_secs(1)) } else { stream };
        let (items, _) = task.drain(&mut stream);
        let mut reader = SseReader::default();
        for item in &items {
            reader.read(item);
            prop_assert!(!reader.is_mid_block(), "an item consists of whole blocks");
        }
        let wire = String::from_utf8(items.concat()).unwrap();
        for block in wire.strip_prefix(":\n").unwrap().split_terminator("\n\n") {
            prop_assert_eq!(block.lines().position(|line| line.starts_with("id: ")), Some(block.lines().count() - 1));
        }
    }

    /// No silence is longer than the interval, and a busy stream has no keep-alives.
    #[test]
    fn sse_keep_alive_bounds_the_silence(pauses in prop::collection::vec(0..40_000_u64, 0..40), visible: bool, retry: bool) {
        let (timer, feed) = (VirtualTimer::new(), Feed::new(7));
        let stream = SseEncoder::new(feed.reader(), &timer).keep_alive(INTERVAL).visible_heartbeat(visible);
        let stream = if retry { stream.retry(Duration::from_secs(1)) } else { stream };
        let is_keep_alive = |item: &Bytes| item == ":\n" || item.windows(17).any(|part| part == b"tidings.heartbeat");
        check_silence(stream, &timer, &feed, INTERVAL, &pauses, is_keep_alive);
    }
}

#[test]
fn sse_stream_without_hello_writes_the_documented_bytes() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    let mut stream = SseEncoder::new(feed.reader(), &timer).retry(Duration::from_millis(1500)).hello(false);
    assert_eq!(task.drain(&mut stream), (vec![Bytes::from_static(b":\n")], false));
    timer.advance(2 * INTERVAL);
    assert_eq!(task.drain(&mut stream), (vec![Bytes::from_static(b":\n")], false));
    feed.event("news", "one\r\ntwo\rthree\n");
    feed.event("news", Event::binary(vec![0, 255]).with_name("price").unwrap());
    feed.event("news", "");
    feed.gap(GapReason::Overflow, Some(12));
    let wire = "retry: 1500\ndata: one\ndata: two\ndata: three\ndata: \nid: 7.a1\n\n\
        event: price\ndata: AP8=\nid: 7.a2\n\n\
        data: \nid: 7.a3\n\n\
        event: tidings.gap\ndata: {\"id\":\"7.a4\",\"gap\":{\"reason\":\"overflow\",\"missed\":12}}\nid: 7.a4\n\n";
    let (items, _) = task.drain(&mut stream);
    assert_eq!(items.concat(), wire.as_bytes());
    assert!(items[0].ends_with(b"id: 7.a1\n\n"), "at most one event is copied for the retry line");
    timer.advance(2 * INTERVAL);
    assert_eq!(task.drain(&mut stream), (vec![Bytes::from_static(b":\n")], false));
}

#[test]
fn sse_stream_writes_the_documented_bytes() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    let mut stream = SseEncoder::new(feed.reader(), &timer).retry(Duration::from_millis(1500));
    let hello = ":\nretry: 1500\nevent: tidings.hello\n\
        data: {\"tidings\":\"hello\",\"cursor\":\"7.0\",\"heartbeat_ms\":null}\nid: 7.0\n\n";
    assert_eq!(task.drain(&mut stream), (vec![Bytes::from(hello)], false));
    feed.event("news", "one");
    feed.event("news", "two");
    let (items, _) = task.drain(&mut stream);
    assert_eq!(items, ["data: one\nid: 7.a1\n\ndata: two\nid: 7.a2\n\n"], "one piece, without a second retry");
    timer.advance(2 * INTERVAL);
    assert_eq!(task.drain(&mut stream), (vec![Bytes::from_static(b":\n")], false));
}

#[test]
fn sse_objects_with_visible_heartbeats_write_the_documented_bytes() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    let stream = SseEncoder::new(feed.reader(), &timer).retry(Duration::from_millis(1500));
    let mut stream = stream.objects(true).hello(false).visible_heartbeat(true).keep_alive(INTERVAL);
    feed.event("news", Event::text("a\rb").with_name("price").unwrap());
    let (mut items, _) = task.drain(&mut stream);
    feed.pass();
    assert_eq!(task.drain(&mut stream), (vec![], false));
    timer.advance(INTERVAL);
    items.extend(task.drain(&mut stream).0);
    let wire = ":\nretry: 1500\nevent: tidings.hello\n\
        data: {\"tidings\":\"hello\",\"cursor\":\"7.0\",\"heartbeat_ms\":10000}\nid: 7.0\n\n\
        data: {\"id\":\"7.a1\",\"topic\":\"news\",\"event\":\"price\",\"data\":\"a\\rb\"}\nid: 7.a1\n\n\
        event: tidings.heartbeat\ndata: {\"tidings\":\"heartbeat\",\"cursor\":\"7.a2\"}\nid: 7.a2\n\n";
    assert_eq!(items.concat(), wire.as_bytes());
}

#[test]
fn sse_source_without_cursors_writes_no_ids() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(0), Task::new());
    feed.event("news", "first");
    let mut stream = SseEncoder::new(feed.reader(), &timer).visible_heartbeat(true);
    let hello = ":\nevent: tidings.hello\ndata: {\"tidings\":\"hello\",\"cursor\":null,\"heartbeat_ms\":15000}\n\n";
    assert_eq!(task.drain(&mut stream).0, [hello, "data: first\n\n"]);
    timer.advance(2 * INTERVAL);
    let heartbeat = b"event: tidings.heartbeat\ndata: {\"tidings\":\"heartbeat\",\"cursor\":null}\n\n";
    assert_eq!(task.drain(&mut stream).0.concat(), heartbeat);
}

#[test]
fn sse_suspended_machine_is_followed_by_one_keep_alive() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    let mut stream = SseEncoder::new(feed.reader(), &timer).keep_alive(INTERVAL);
    task.drain(&mut stream);
    timer.advance(360 * INTERVAL + INTERVAL / 3);
    assert_eq!(task.drain(&mut stream).0.len(), 1);
    timer.advance(INTERVAL / 2);
    assert_eq!(task.drain(&mut stream).0.len(), 0);
    timer.advance(INTERVAL / 2);
    assert_eq!(task.drain(&mut stream).0.len(), 1);
}

#[test]
fn sse_end_of_the_subscriber_is_reported_and_final() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    feed.event("news", "last");
    let mut stream = SseEncoder::new(feed.reader(), &timer);
    assert_eq!((task.drain(&mut stream).1, stream.end()), (false, None));
    feed.end(SubscriptionEnd::TooSlow);
    assert_eq!((task.drain(&mut stream), stream.end()), ((vec![], true), Some(SubscriptionEnd::TooSlow)));
    assert_eq!((task.drain(&mut stream), stream.end()), ((vec![], true), Some(SubscriptionEnd::TooSlow)));
}

/// A source of bytes that a hub has encoded.
struct Shared(Bytes, usize);

impl Subscriber for Shared {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<tidings::subscriber::Delivery> {
        unreachable!("an adapter asks for bytes")
    }

    fn poll_encoded(&mut self, _: &mut Context<'_>, _: &dyn Format, _: usize) -> Poll<EncodedDelivery> {
        match self.1.checked_sub(1) {
            Some(left) => {
                self.1 = left;
                Poll::Ready(EncodedDelivery::Events(tidings::subscriber::EncodedBatch::new(self.0.clone(), 1)))
            }
            None => Poll::Pending,
        }
    }
}

#[test]
fn sse_shared_bytes_are_written_without_a_copy() {
    let (timer, task, shared) = (VirtualTimer::new(), Task::new(), Bytes::from(b"data: x\n\n".to_vec()));
    let mut stream = SseEncoder::new(Shared(shared.clone(), 3), &timer);
    let (items, _) = task.drain(&mut stream);
    assert_eq!(items.len(), 4);
    assert!(items[1..].iter().all(|item| item.as_ptr() == shared.as_ptr()), "copied");
}

#[test]
fn sse_finish_keeps_the_cursor_of_the_client() {
    let (feed, timer, task) = (Feed::new(7), VirtualTimer::new(), Task::new());
    let mut stream = SseEncoder::new(feed.reader(), &timer);
    stream.finish(Duration::ZERO);
    let mut reader = SseReader::default();
    task.drain(&mut stream).0.iter().for_each(|item| reader.read(item));
    assert_eq!((reader.last_event_id.as_str(), &reader.retries[..], reader.is_mid_block()), ("7.0", &[1][..], false));
    let data = "{\"retry_ms\":1}".to_owned();
    let last = reader.events.pop();
    assert_eq!(last, Some(SseEvent { name: "tidings.retry".into(), data, id: "7.0".into() }));
}

/// Returns the events that an EventSource should give to the page.
fn expected(history: &[Step], objects: &[Value]) -> Vec<SseEvent> {
    let steps = history.iter().filter(|step| !matches!(step, Step::Pass));
    let read = steps.zip(objects).map(|(step, object)| {
        let (name, data) = match step {
            Step::Event(_, event) if event.is_removal() => ("tidings.removed", object.to_string()),
            Step::Event(_, event) => (event.name().unwrap_or("message"), data(event, object)),
            Step::TopicEnd(..) => ("tidings.topic_end", object.to_string()),
            _ => ("tidings.gap", object.to_string()),
        };
        SseEvent { name: name.to_owned(), data, id: object["id"].as_str().unwrap().to_owned() }
    });
    read.map(normal).collect()
}

/// Returns the hello of a stream without visible heartbeats.
fn hello_at(cursor: &str) -> SseEvent {
    let data = json!({ "tidings": "hello", "cursor": cursor, "heartbeat_ms": null });
    SseEvent { name: "tidings.hello".into(), data: data.to_string(), id: cursor.into() }
}

fn data(event: &Event, object: &Value) -> String {
    match event.kind() {
        EventKind::Binary => object["data"].as_str().unwrap().to_owned(),
        // A reader turns each of the three line ends into LF.
        _ => event.as_str().unwrap().replace("\r\n", "\n").replace('\r', "\n"),
    }
}

/// Returns the event with the keys of its JSON in one order.
fn normal(event: SseEvent) -> SseEvent {
    match &*event.name {
        "tidings.gap" | "tidings.hello" | "tidings.removed" | "tidings.topic_end" => {
            SseEvent { data: parse(&event).to_string(), ..event }
        }
        _ => event,
    }
}

fn parse(event: &SseEvent) -> Value {
    serde_json::from_str(&event.data).unwrap()
}

fn pieces(wire: &[u8], sizes: &[usize]) -> Vec<Bytes> {
    let (mut left, mut pieces) = (Bytes::copy_from_slice(wire), Vec::new());
    for size in sizes.iter().cycle() {
        if left.is_empty() {
            break;
        }
        pieces.push(left.split_to(left.len().min(*size)));
    }
    pieces
}

fn second_reader(pieces: Vec<Bytes>) -> Vec<SseEvent> {
    struct Pieces(std::vec::IntoIter<Bytes>);
    impl Stream for Pieces {
        type Item = Result<Bytes, Infallible>;
        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Ready(self.0.next().map(Ok))
        }
    }
    let mut events = std::pin::pin!(Pieces(pieces.into_iter()).eventsource());
    let read = Task::new().drain(&mut events).0.into_iter().map(|event| {
        let event = event.unwrap();
        SseEvent { name: event.event, data: event.data, id: event.id }
    });
    read.collect()
}

#[test]
fn sse_finish_ends_the_stream_with_a_retry_block_at_the_cursor() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    for objects in [false, true] {
        let mut stream = SseEncoder::new(feed.reader(), &timer).objects(objects).retry(Duration::from_secs(9));
        feed.event("news", "an event");
        let (read, over) = task.drain(&mut stream);
        assert!(!over && read.concat().ends_with(b"\n\n"));
        let cursor = stream.cursor().unwrap();
        stream.finish(Duration::from_millis(1_500));
        let last = format!("event: tidings.retry\nretry: 1500\ndata: {{\"retry_ms\":1500}}\nid: {cursor}\n\n");
        feed.event("news", "after finish");
        let (items, over) = task.drain(&mut stream);
        assert_eq!((items, over), (vec![Bytes::from(last)], true));
        stream.finish(Duration::from_secs(1));
        assert_eq!((stream.end(), task.drain(&mut stream)), (None, (vec![], true)), "the stream ends once");
    }
}

#[test]
fn sse_finish_before_the_first_poll_writes_the_retry_block() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    let mut stream = SseEncoder::new(feed.reader(), &timer);
    stream.finish(Duration::ZERO);
    let block = Bytes::from("event: tidings.retry\nretry: 1\ndata: {\"retry_ms\":1}\nid: 7.0\n\n");
    assert_eq!(task.drain(&mut stream), (vec![block], true));
}

#[test]
fn sse_finish_without_a_hello_sends_no_block() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    let mut stream = SseEncoder::new(feed.reader(), &timer).hello(false);
    task.drain(&mut stream);
    stream.finish(Duration::from_secs(1));
    assert_eq!((task.drain(&mut stream), stream.end()), ((vec![], true), None));
}

#[test]
fn sse_finish_after_the_end_of_the_subscriber_changes_nothing() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    let mut stream = SseEncoder::new(feed.reader(), &timer);
    feed.end(SubscriptionEnd::Closed);
    assert!(task.drain(&mut stream).1);
    stream.finish(Duration::from_secs(1));
    assert_eq!((task.drain(&mut stream), stream.end()), ((vec![], true), Some(SubscriptionEnd::Closed)));
}

/// A browser calls `onerror`, `onopen` and `onmessage` for these names, and other readers do not, so the names are written
/// unchanged: see [`Event::with_name`].
#[test]
fn sse_event_names_that_a_browser_uses_are_written_unchanged() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    let mut stream = SseEncoder::new(feed.reader(), &timer);
    let names = ["error", "open", "close", "abort", "message"];
    for name in names {
        feed.event("news", Event::text(name).with_name(name).unwrap());
    }
    let mut reader = SseReader::default();
    let wire = task.drain(&mut stream).0.concat();
    reader.read(&wire);
    let read: Vec<_> = reader.events[1..].iter().map(|event| (&*event.name, &*event.data)).collect();
    assert_eq!(read, names.map(|name| (name, name)));
    assert!(!String::from_utf8(wire).unwrap().contains("event: message"), "an unnamed event is a message");
}
