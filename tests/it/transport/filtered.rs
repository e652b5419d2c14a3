//! Keep-alives and replies of subscriptions with a predicate, and of keyed topics: the client gets the cursor.

use std::time::Duration;

use tidings::time::Clock;
use tidings::transport::chunked::ChunkedStream;
use tidings::transport::long_poll::LongPollWaiter;
use tidings::transport::short_poll::PollQueue;
use tidings::transport::sse::SseEncoder;
use tidings::{Cursor, Event, LocalHub, Retention, Start, StateLimits, Subscribe, Subscription};

use crate::support::{SseReader, Task, VirtualTimer, next_gap, poll, ready_texts};

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
    for mut stream in [stream(false), stream(false).hello(false), stream(true).controls(false)] {
        task.drain(&mut stream);
        hub.publish_now("other", "x").unwrap();
        timer.advance(INTERVAL);
        assert_eq!(task.drain(&mut stream).0.concat(), b":\n");
    }
}

/// Some readers take each empty line for the end of an event, also without data.
#[test]
fn sse_keep_alive_of_a_filtered_stream_without_a_hello_is_an_id_without_an_empty_line() {
    let (hub, timer, task) = (hub(), VirtualTimer::new(), Task::new());
    let stream = SseEncoder::new(subscribe(&hub, Start::Now, true), &timer).keep_alive(INTERVAL).hello(false);
    let mut stream = stream.retry(Duration::from_millis(1_500));
    let mut reader = SseReader::default();
    assert_eq!(task.drain(&mut stream).0.concat(), b":\n");
    for _ in 0..3 {
        hide(&hub, 100);
        timer.advance(INTERVAL);
        let items = task.drain(&mut stream).0.concat();
        assert_eq!(items, format!("id: {}\n", hub.cursor()).as_bytes());
        reader.read(&items);
    }
    hub.publish_now("news", Event::text("shown").with_tag("visible").unwrap()).unwrap();
    let block = task.drain(&mut stream).0.concat();
    assert_eq!(block, format!("retry: 1500\ndata: shown\nid: {}\n\n", hub.cursor()).as_bytes());
    reader.read(&block);
    assert_eq!((reader.events.len(), reader.last_event_id), (1, hub.cursor().to_string()));
    hide(&hub, 100);
    timer.advance(INTERVAL);
    task.drain(&mut stream);
    check_resume(&hub, stream.cursor().unwrap());
}

/// The last event of the client is older than a removal that is forgotten.
#[test]
fn keep_alive_of_a_keyed_topic_has_the_cursor_and_a_resume_there_yields_no_gap() {
    let limits = StateLimits::default().removals(0);
    let keyed = Retention::count(0).state_limits(limits);
    let hub = LocalHub::builder().retain_for("cars/*", keyed).live_buffer(0).build();
    let (timer, task) = (VirtualTimer::new(), Task::new());
    hub.publish_now("cars/a", Event::text("1").with_key("kept").unwrap()).unwrap();
    for _ in 0..100 {
        hub.publish_now("cars/a", Event::text("2").with_key("removed").unwrap()).unwrap();
        hub.publish_now("cars/a", Event::removal("removed").unwrap()).unwrap();
    }
    let subscribe =
        |names: &[&str], start| hub.subscribe(Subscribe::patterns(names.iter().copied()).start(start)).unwrap();
    for names in [&["cars/a"][..], &["cars/*"], &["cars/a", "news"]] {
        let mut lines = ChunkedStream::new(subscribe(names, Start::Now), &timer).keep_alive(INTERVAL);
        let stream = || SseEncoder::new(subscribe(names, Start::Now), &timer).keep_alive(INTERVAL);
        let (mut blocks, mut ids) = (stream(), stream().hello(false));
        let state = [task.drain(&mut lines).0, task.drain(&mut blocks).0, task.drain(&mut ids).0];
        timer.advance(INTERVAL);
        let beats =
            [task.drain(&mut lines).0, task.drain(&mut blocks).0, task.drain(&mut ids).0].map(|all| all.concat());
        let cursor = hub.cursor();
        let object = format!("{{\"tidings\":\"heartbeat\",\"cursor\":\"{cursor}\"}}");
        assert_eq!(beats[0], format!("{object}\n").as_bytes());
        assert_eq!(beats[1], format!("event: tidings.heartbeat\ndata: {object}\nid: {cursor}\n\n").as_bytes());
        assert_eq!(beats[2], format!("id: {cursor}\n").as_bytes());
        assert!(state.iter().all(|items| items.concat().windows(4).any(|part| part == b".a1\"" || part == b".a1\n")));
        let of_state = Cursor::new(cursor.epoch(), 1);
        assert!(next_gap(&mut subscribe(names, Start::After(of_state))).snapshot, "its last event is too old");
        assert!(poll(&mut subscribe(names, Start::After(cursor))).is_pending());
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
