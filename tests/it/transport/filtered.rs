//! Keep-alives and replies of subscriptions with a predicate: the client gets the cursor.

use std::time::Duration;

use tidings::time::Clock;
use tidings::transport::chunked::ChunkedStream;
use tidings::transport::long_poll::LongPollWaiter;
use tidings::transport::short_poll::PollQueue;
use tidings::transport::sse::SseEncoder;
use tidings::{Cursor, Event, LocalHub, Retention, Start, Subscribe, Subscription};

use crate::support::{SseReader, Task, VirtualTimer, ready_texts};

const INTERVAL: Duration = Duration::from_secs(10);

fn hub() -> LocalHub {
    LocalHub::builder().retain(Retention::count(10)).build()
}

fn subscribe(hub: &LocalHub, start: Start, is_filtered: bool) -> Subscription {
    let subscribe = Subscribe::topics(["news"]).start(start);
    hub.subscribe(match is_filtered {
        true => subscribe.filter(|event| event.event.tag() == Some("visible")),
        false => subscribe,
    })
    .unwrap()
}

fn hide(hub: &LocalHub, events: usize) {
    for _ in 0..events {
        hub.publish_now("news", Event::text("hidden")).unwrap();
    }
}

/// Checks that a client which resumes gets the next visible event and no gap, although its last event has left history.
fn check_resume(hub: &LocalHub, cursor: Cursor) {
    hub.publish_now("news", Event::text("next").with_tag("visible").unwrap()).unwrap();
    let cursor = cursor.to_string().parse().unwrap();
    assert_eq!(ready_texts(&mut subscribe(hub, Start::After(cursor), true)), ["next"]);
}

#[test]
fn sse_keep_alive_of_a_filtered_stream_has_the_cursor_and_a_resume_there_yields_no_gap() {
    for objects in [false, true] {
        let (hub, timer, task) = (hub(), VirtualTimer::new(), Task::new());
        let subscription = subscribe(&hub, Start::Now, true);
        let mut stream = SseEncoder::new(subscription, &timer).keep_alive(INTERVAL).objects(objects);
        let mut reader = SseReader::default();
        task.drain(&mut stream).0.iter().for_each(|item| reader.read(item));
        for _ in 0..4 {
            hide(&hub, 100);
            timer.advance(INTERVAL);
            let (items, _) = task.drain(&mut stream);
            let cursor = hub.cursor();
            let beat = format!(
                "event: tidings.heartbeat\ndata: {{\"tidings\":\"heartbeat\",\"cursor\":\"{cursor}\"}}\nid: {cursor}\n\n"
            );
            assert_eq!(items.concat(), beat.as_bytes());
            items.iter().for_each(|item| reader.read(item));
        }
        let last = reader.last_event_id.parse().unwrap();
        check_resume(&hub, last);
    }
}

#[test]
fn sse_keep_alive_of_an_unfiltered_stream_and_of_one_without_blocks_of_its_own_is_a_comment() {
    let (hub, timer, task) = (hub(), VirtualTimer::new(), Task::new());
    let stream = |is_filtered| SseEncoder::new(subscribe(&hub, Start::Now, is_filtered), &timer).keep_alive(INTERVAL);
    for mut stream in [stream(false), stream(true).hello(false), stream(true).controls(false)] {
        task.drain(&mut stream);
        hub.publish_now("other", "x").unwrap();
        timer.advance(INTERVAL);
        assert_eq!(task.drain(&mut stream).0.concat(), b":\n");
    }
}

#[test]
fn chunked_keep_alive_of_a_filtered_stream_has_the_cursor_and_a_resume_there_yields_no_gap() {
    let (hub, timer, task) = (hub(), VirtualTimer::new(), Task::new());
    let mut plain = ChunkedStream::new(subscribe(&hub, Start::Now, false), &timer).keep_alive(INTERVAL);
    let mut stream = ChunkedStream::new(subscribe(&hub, Start::Now, true), &timer).keep_alive(INTERVAL);
    task.drain(&mut plain);
    task.drain(&mut stream);
    timer.advance(INTERVAL);
    assert_eq!(task.drain(&mut plain).0.concat(), b"\n");
    hide(&hub, 100);
    timer.advance(INTERVAL);
    let cursor = hub.cursor();
    let beat = format!("{{\"tidings\":\"heartbeat\",\"cursor\":\"{cursor}\"}}\n");
    assert!(task.drain(&mut stream).0.concat().ends_with(beat.as_bytes()));
    hide(&hub, 0);
    check_resume(&hub, cursor);
}

#[test]
fn short_poll_of_hidden_events_moves_the_cursor_past_all_of_them() {
    let hub = LocalHub::builder().retain(Retention::count(100_000)).build();
    let start = Start::After(hub.cursor());
    hide(&hub, 50_000);
    let reply = PollQueue::new(subscribe(&hub, start, true)).reply();
    assert!(reply.is_empty());
    assert_eq!(reply.cursor, Some(hub.cursor()));
    hide(&hub, 50_000);
    let reply = PollQueue::new(subscribe(&hub, start, true)).reply();
    let looks = reply.cursor.unwrap().sequence();
    assert!((16 * 4_096..16 * (4_096 + 256)).contains(&looks), "the work of one poll is bounded: {looks}");
}

#[test]
fn long_poll_is_held_while_events_are_hidden_and_its_reply_has_the_new_cursor() {
    let (hub, timer, task) = (hub(), VirtualTimer::new(), Task::new());
    let deadline = timer.now() + Duration::from_secs(25);
    let mut poll = LongPollWaiter::new(subscribe(&hub, Start::Now, true), &timer, deadline);
    for _ in 0..4 {
        assert!(task.poll(&mut poll).is_pending());
        hide(&hub, 100);
        timer.advance(Duration::from_secs(5));
    }
    assert!(task.poll(&mut poll).is_pending());
    timer.advance(Duration::from_secs(5));
    let std::task::Poll::Ready(reply) = task.poll(&mut poll) else { panic!("the deadline has passed") };
    assert!(reply.is_empty());
    assert_eq!(reply.cursor, Some(hub.cursor()));
    check_resume(&hub, hub.cursor());
}
