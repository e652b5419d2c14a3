//! The exact bytes.

use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tidings::subscriber::{Delivery, SubscriberExt, SubscriptionEnd, from_stream};
use tidings::time::Clock;
use tidings::transport::chunked::ChunkedStream;
use tidings::transport::long_poll::LongPollWaiter;
use tidings::transport::short_poll::PollQueue;
use tidings::transport::sse::SseEncoder;
use tidings::{Cursor, EndReason, Event, Gap, GapReason, Snapshot, Subscriber, Topic};

use crate::support::{Feed, Task, VirtualTimer};

const RETRY: Duration = Duration::from_millis(1500);

/// Returns a feed of two topics that have ended.
fn ended() -> Feed {
    let feed = Feed::new(7);
    feed.event("news", "first");
    feed.topic_end("news", EndReason::Done);
    feed.event("scores", Event::text("2:1").with_name("final").unwrap());
    feed.last_topic_end("scores", EndReason::Stopped);
    feed
}

/// Returns the text that a stream writes up to its end.
fn wire(stream: &mut (impl Stream<Item = bytes::Bytes> + Unpin)) -> String {
    let (items, over) = Task::new().drain(stream);
    assert!(over, "the stream goes on after {items:?}");
    String::from_utf8(items.concat()).unwrap()
}

/// A source without ends of topics, as an application may implement one.
struct Custom(Option<Cursor>);

impl Subscriber for Custom {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Delivery> {
        Poll::Ready(Delivery::End(SubscriptionEnd::Finished))
    }

    fn cursor(&self) -> Option<Cursor> {
        self.0
    }
}

fn id(sequence: u64) -> String {
    Cursor::new(7, sequence).to_string()
}

fn reserved() -> String {
    Cursor::new(0, 1).to_string()
}

#[test]
fn chunked_ends_are_lines_in_their_places() {
    let (timer, feed) = (VirtualTimer::new(), ended());
    let mut stream = ChunkedStream::new(feed.reader(), &timer);
    let lines = [
        format!(r#"{{"tidings":"hello","cursor":"{}","heartbeat_ms":15000}}"#, id(0)),
        format!(r#"{{"id":"{}","topic":"news","data":"first"}}"#, id(1)),
        format!(r#"{{"id":"{}","end":{{"topic":"news","reason":"done"}}}}"#, id(2)),
        format!(r#"{{"id":"{}","topic":"scores","event":"final","data":"2:1"}}"#, id(3)),
        format!(r#"{{"id":"{}","end":{{"topic":"scores","reason":"stopped"}}}}"#, id(4)),
        String::new(),
    ];
    assert_eq!(wire(&mut stream), lines.join("\n"));
    assert_eq!(stream.end(), Some(SubscriptionEnd::Finished));
}

#[test]
fn chunked_resume_after_the_last_end_is_a_hello_and_an_end() {
    for (source, cursor) in [(Some(Cursor::new(7, 4)), id(4)), (None, reserved())] {
        let timer = VirtualTimer::new();
        let mut stream = ChunkedStream::new(Custom(source), &timer).keep_alive(Duration::MAX);
        let hello = source.map_or("null".to_owned(), |_| format!("\"{cursor}\""));
        let lines = format!(
            "{{\"tidings\":\"hello\",\"cursor\":{hello},\"heartbeat_ms\":null}}\n{{\"id\":\"{cursor}\",\"end\":{{}}}}\n"
        );
        assert_eq!(wire(&mut stream), lines);
    }
    let (timer, feed) = (VirtualTimer::new(), ended());
    let mut stream = ChunkedStream::new(feed.resume(Cursor::new(7, 4)), &timer);
    assert!(wire(&mut stream).ends_with(&format!("\n{{\"id\":\"{}\",\"end\":{{}}}}\n", id(4))));
}

#[test]
fn sse_ends_are_blocks_in_their_places() {
    for (objects, first, second) in [
        (false, "data: first".to_owned(), "event: final\ndata: 2:1".to_owned()),
        (
            true,
            format!(r#"data: {{"id":"{}","topic":"news","data":"first"}}"#, id(1)),
            format!(r#"data: {{"id":"{}","topic":"scores","event":"final","data":"2:1"}}"#, id(3)),
        ),
    ] {
        let (timer, feed) = (VirtualTimer::new(), ended());
        let mut stream = SseEncoder::new(feed.reader(), &timer).retry(RETRY).objects(objects);
        let hello = id(0);
        let expected = [
            format!(
                ":\nretry: 1500\nevent: tidings.hello\ndata: {{\"tidings\":\"hello\",\"cursor\":\"{hello}\",\"heartbeat_ms\":null}}\nid: {hello}\n\n"
            ),
            format!("{first}\nid: {}\n\n", id(1)),
            format!(
                "event: tidings.topic_end\ndata: {{\"id\":\"{0}\",\"end\":{{\"topic\":\"news\",\"reason\":\"done\"}}}}\nid: {0}\n\n",
                id(2)
            ),
            format!("{second}\nid: {}\n\n", id(3)),
            format!(
                "event: tidings.end\nretry: 86400000\ndata: {{\"id\":\"{0}\",\"end\":{{\"topic\":\"scores\",\"reason\":\"stopped\"}}}}\nid: {0}\n\n",
                id(4)
            ),
        ];
        let (items, over) = Task::new().drain(&mut stream);
        assert!(over && stream.end() == Some(SubscriptionEnd::Finished));
        assert_eq!(items, expected, "each block is one item");
    }
}

#[test]
fn sse_end_of_a_source_without_ends_of_topics_is_one_block() {
    for (source, cursor) in [(Some(Cursor::new(7, 4)), id(4)), (None, reserved())] {
        // Without a hello, the retry line of the first block is that of the end.
        for hello in [true, false] {
            let timer = VirtualTimer::new();
            let mut stream = SseEncoder::new(Custom(source), &timer).retry(RETRY).hello(hello);
            let (items, over) = Task::new().drain(&mut stream);
            assert!(over && stream.end() == Some(SubscriptionEnd::Finished));
            let end = format!(
                "event: tidings.end\nretry: 86400000\ndata: {{\"id\":\"{cursor}\",\"end\":{{}}}}\nid: {cursor}\n\n"
            );
            assert_eq!((items.len(), &items[1][..]), (2, end.as_bytes()));
        }
    }
}

#[test]
fn sse_last_end_without_a_hello_has_one_retry_line() {
    let (timer, feed) = (VirtualTimer::new(), Feed::new(7));
    feed.last_topic_end("news", EndReason::Failed);
    let mut stream = SseEncoder::new(feed.reader(), &timer).retry(RETRY).hello(false);
    let end = format!(
        ":\nevent: tidings.end\nretry: 86400000\ndata: {{\"id\":\"{0}\",\"end\":{{\"topic\":\"news\",\"reason\":\"failed\"}}}}\nid: {0}\n\n",
        id(1)
    );
    assert_eq!(wire(&mut stream), end);
}

/// A drain that comes between the last end and the end of the stream must not ask the client to reconnect.
#[test]
fn finish_after_the_last_end_writes_nothing() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    feed.last_topic_end("news", EndReason::Done);
    let mut lines = ChunkedStream::new(feed.reader(), &timer);
    let mut blocks = SseEncoder::new(feed.reader(), &timer);
    for _ in 0..2 {
        assert!(task.with(|cx| std::pin::Pin::new(&mut lines).poll_next(cx)).is_ready());
        assert!(task.with(|cx| std::pin::Pin::new(&mut blocks).poll_next(cx)).is_ready());
    }
    lines.finish(RETRY);
    blocks.finish(RETRY);
    assert_eq!((task.drain(&mut lines), lines.end()), ((vec![], true), Some(SubscriptionEnd::Finished)));
    assert_eq!((task.drain(&mut blocks), blocks.end()), ((vec![], true), Some(SubscriptionEnd::Finished)));
}

#[test]
fn closed_hub_writes_no_end() {
    let timer = VirtualTimer::new();
    let feed = Feed::new(7);
    feed.event("news", "first");
    feed.end(SubscriptionEnd::Closed);
    assert!(!wire(&mut ChunkedStream::new(feed.reader(), &timer)).contains("\"end\""));
    assert!(!wire(&mut SseEncoder::new(feed.reader(), &timer)).contains("tidings.end"));
    assert!(
        !String::from_utf8(PollQueue::new(feed.reader()).reply().into_parts().concat()).unwrap().contains("\"end\"")
    );
}

#[test]
fn poll_reply_contains_the_end_when_nothing_is_left() {
    let feed = ended();
    let items = [
        format!(r#"{{"id":"{}","topic":"news","data":"first"}}"#, id(1)),
        format!(r#"{{"id":"{}","end":{{"topic":"news","reason":"done"}}}}"#, id(2)),
        format!(r#"{{"id":"{}","topic":"scores","event":"final","data":"2:1"}}"#, id(3)),
        format!(r#"{{"id":"{}","end":{{"topic":"scores","reason":"stopped"}}}}"#, id(4)),
    ];
    let all = format!(r#"{{"cursor":"{}","events":[{}],"end":true}}"#, id(4), items.join(","));
    let reply = PollQueue::new(feed.reader()).reply();
    assert!(reply.has_ended() && !reply.more);
    assert_eq!(reply.len(), all.len());
    assert_eq!(reply.into_parts().concat(), all.as_bytes());

    // Up to the limit of bytes there is more, and no end.
    for (at, item) in (1..).zip(&items) {
        let reply = PollQueue::new(feed.resume(Cursor::new(7, at - 1))).max_batch_bytes(1).reply();
        let tail = if at < 4 { "\"more\":true" } else { "\"end\":true" };
        let body = format!(r#"{{"cursor":"{}","events":[{item}],{tail}}}"#, id(at));
        assert_eq!(reply.into_parts().concat(), body.as_bytes());
    }
    let reply = PollQueue::new(feed.resume(Cursor::new(7, 4))).reply();
    let body = format!(r#"{{"cursor":"{}","events":[],"end":true}}"#, id(4));
    assert_eq!(reply.into_parts().concat(), body.as_bytes());
}

#[test]
fn poll_of_a_source_without_cursors_ends_with_the_reserved_cursor() {
    let reply = PollQueue::new(Custom(None)).reply();
    assert!(reply.is_complete());
    let body = format!(r#"{{"cursor":"{}","events":[],"end":true}}"#, reserved());
    assert_eq!(reply.into_parts().concat(), body.as_bytes());
}

#[test]
fn long_poll_is_not_held_at_or_after_the_last_end() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    let hold = || timer.now() + Duration::from_secs(25);
    let mut held = LongPollWaiter::new(feed.reader(), &timer, hold()).not_before(hold());
    assert!(task.poll(&mut held).is_pending());
    feed.last_topic_end("news", EndReason::Done);
    assert_eq!(task.wakes(), 1);
    let Poll::Ready(reply) = task.poll(&mut held) else { panic!("held after the end") };
    assert!(reply.has_ended() && !reply.is_empty());
    let mut late = LongPollWaiter::new(feed.resume(Cursor::new(7, 1)), &timer, hold()).not_before(hold());
    let Poll::Ready(reply) = task.poll(&mut late) else { panic!("held after the end") };
    assert!(reply.has_ended() && reply.is_empty());
}

/// A stream of one event.
struct Once(Option<Event>);

impl Stream for Once {
    type Item = Event;

    fn poll_next(mut self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Event>> {
        Poll::Ready(self.0.take())
    }
}

/// The end gives the client of a source without cursors its only cursor, so it is in the reply whatever the limit of bytes.
#[test]
fn poll_of_a_source_without_cursors_has_its_end_beyond_the_limit_of_bytes() {
    let source = from_stream(Topic::new("t").unwrap(), Once(Some("a".into())));
    let reply = PollQueue::new(source).max_batch_bytes(1).reply();
    let body = format!(
        r#"{{"cursor":"{0}","events":[{{"topic":"t","data":"a"}},{{"id":"{0}","end":{{"topic":"t","reason":"done"}}}}],"end":true}}"#,
        reserved()
    );
    assert_eq!(reply.into_parts().concat(), body.as_bytes());
}

/// A client that got a part of the snapshot and its ends would start over with each poll.
#[test]
fn poll_reply_with_a_snapshot_has_the_ends_that_belong_to_it() {
    let feed = Feed::new(7);
    feed.gap(GapReason::Evicted, None);
    feed.topic_end("a", EndReason::Done);
    feed.topic_end("b", EndReason::Done);
    feed.event("c", "in the snapshot");
    feed.last_topic_end("c", EndReason::Done);
    let recovering = feed.reader().recover_with(|_: &Gap| async {
        let state = (Topic::new("c").unwrap(), "state".into());
        Some(Snapshot::new([state]).with_cursor(Cursor::new(7, 4)))
    });
    let reply = PollQueue::new(recovering).max_batch_bytes(1).reply();
    let nowhere = Cursor::new(0, 0);
    let items = [
        format!(r#"{{"id":"{nowhere}","gap":{{"reason":"evicted","missed":null,"snapshot":true}}}}"#),
        format!(r#"{{"id":"{nowhere}","topic":"c","data":"state"}}"#),
        format!(r#"{{"id":"{nowhere}","end":{{"topic":"a","reason":"done"}}}}"#),
        format!(r#"{{"id":"{}","end":{{"topic":"b","reason":"done"}}}}"#, id(4)),
    ];
    let body = format!(r#"{{"cursor":"{}","events":[{}],"more":true}}"#, id(4), items.join(","));
    assert_eq!(String::from_utf8(reply.into_parts().concat()).unwrap(), body);
}
