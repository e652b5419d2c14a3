use std::task::Poll;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use tidings::GapReason;
use tidings::subscriber::SubscriptionEnd;
use tidings::time::Clock;
use tidings::transport::Reply;
use tidings::transport::long_poll::LongPollWaiter;

use crate::support::{Feed, Reader, Task, VirtualTimer, any_history, put};

const TIMEOUT: Duration = Duration::from_secs(25);
const INTERVAL: Duration = Duration::from_secs(1);

proptest! {
    /// A client that polls with the cursor of each reply gets every event and gap once and in order, although some polls are
    /// cancelled and events arrive while it waits.
    #[test]
    fn long_polls_in_sequence_deliver_every_event_once(
        history in any_history(),
        plan in prop::collection::vec((0..3_u8, 0..2_000_u64, any::<bool>()), 1..12),
        max in 0..400_usize,
    ) {
        let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
        let (mut left, mut expected, mut got, mut cursor) = (history.as_slice(), Vec::new(), Vec::new(), None);
        for (count, wait, cancel) in plan.into_iter().chain([(u8::MAX, 0, false); 16]) {
            let reader = cursor.map_or_else(|| feed.reader(), |cursor| feed.resume(cursor));
            let now = timer.now();
            let mut poll = LongPollWaiter::new(reader, &timer, now + TIMEOUT).not_before(now + INTERVAL).max_batch_bytes(max);
            let early = task.poll(&mut poll);
            let (now, later) = left.split_at(left.len().min(count.into()));
            left = later;
            expected.extend(put(now, &feed));
            timer.advance(Duration::from_millis(wait));
            let reply = match early {
                Poll::Ready(reply) => reply,
                Poll::Pending if cancel => continue,
                Poll::Pending => loop {
                    if let Poll::Ready(reply) = task.poll(&mut poll) {
                        break reply;
                    }
                    prop_assert!(timer.advance_to_next().is_some(), "no sleep is left that could wake it");
                },
            };
            cursor = reply.cursor;
            got.extend(events(&reply));
        }
        prop_assert_eq!(got, expected);
    }
}

#[test]
fn long_poll_replies_when_an_event_arrives() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    let mut poll = LongPollWaiter::new(feed.reader(), &timer, timer.now() + TIMEOUT);
    assert!(task.poll(&mut poll).is_pending());
    feed.event("news", "first");
    feed.event("news", "second");
    assert_eq!(task.wakes(), 1);
    let reply = ready(task.poll(&mut poll));
    assert_eq!((events(&reply).len(), reply.more, reply.end), (2, false, None));
    assert!(task.poll(&mut poll).is_pending(), "a second reply");
}

#[test]
fn long_poll_replies_empty_at_the_deadline() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    let mut poll = LongPollWaiter::new(feed.reader(), &timer, timer.now() + TIMEOUT);
    feed.pass();
    assert!(task.poll(&mut poll).is_pending());
    timer.advance(TIMEOUT - Duration::from_nanos(1));
    assert_eq!(task.wakes(), 0);
    assert!(task.poll(&mut poll).is_pending());
    timer.advance(Duration::from_nanos(1));
    assert_eq!(task.wakes(), 1);
    let reply = ready(task.poll(&mut poll));
    assert_eq!(reply.into_parts().concat(), br#"{"cursor":"7.a1","events":[]}"#);
    drop(poll);
    assert_eq!(timer.sleeping(), 0);
}

#[test]
fn long_poll_min_wait_bounds_the_polls_of_a_busy_topic() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    let (mut cursor, mut replies, mut got) = ("7.0".parse().unwrap(), 0, 0);
    // Ten events a second for a minute.
    for _ in 0..60 {
        let now = timer.now();
        let mut poll = LongPollWaiter::new(feed.resume(cursor), &timer, now + TIMEOUT).not_before(now + INTERVAL);
        let reply = loop {
            match task.poll(&mut poll) {
                Poll::Ready(reply) => break reply,
                Poll::Pending => timer.advance(INTERVAL / 10),
            }
            feed.event("news", "tick");
        };
        (cursor, replies, got) = (reply.cursor.unwrap(), replies + 1, got + events(&reply).len());
    }
    assert_eq!(timer.elapsed(), Duration::from_secs(60));
    // An event at the end of a second is in this reply or the next one.
    assert!(replies == 60 && (590..=600).contains(&got), "{replies} replies with {got} events");
}

#[test]
fn long_poll_min_wait_does_not_delay_gaps_ends_and_full_replies() {
    let urgent: [fn(&Feed); 3] = [
        |feed| {
            feed.gap(GapReason::Overflow, Some(1));
            feed.event("news", "after it");
        },
        |feed| feed.end(SubscriptionEnd::TooSlow),
        |feed| {
            feed.event("news", "x".repeat(40_000));
            feed.event("news", "x".repeat(40_000));
        },
    ];
    for urgent in urgent {
        let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
        let mut poll = waiting(&feed, &timer);
        feed.event("news", "first");
        assert!(task.poll(&mut poll).is_pending(), "a single event waits");
        urgent(&feed);
        assert_eq!(task.wakes(), 1);
        assert_eq!(events(&ready(task.poll(&mut poll)))[0]["data"], "first");
        assert_eq!(timer.elapsed(), Duration::ZERO);
    }
}

#[test]
fn long_poll_keeps_waiting_after_its_min_wait() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    let mut poll = waiting(&feed, &timer);
    assert!(task.poll(&mut poll).is_pending());
    timer.advance(INTERVAL);
    assert!(task.poll(&mut poll).is_pending());
    feed.event("news", "first");
    assert_eq!(events(&ready(task.poll(&mut poll))).len(), 1);

    let mut poll =
        LongPollWaiter::new(Feed::new(7).reader(), &timer, timer.now() + TIMEOUT).not_before(timer.now() + INTERVAL);
    while task.poll(&mut poll).is_pending() {
        assert!(timer.advance_to_next().is_some(), "no sleep is left that could wake it");
    }
    assert_eq!(timer.elapsed(), INTERVAL + TIMEOUT);
}

#[test]
fn long_poll_min_wait_ends_at_the_deadline() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    let now = timer.now();
    let mut poll = LongPollWaiter::new(feed.reader(), &timer, now + INTERVAL).not_before(now + TIMEOUT);
    feed.event("news", "first");
    assert!(task.poll(&mut poll).is_pending());
    timer.advance(INTERVAL);
    assert_eq!(events(&ready(task.poll(&mut poll))).len(), 1);
}

#[test]
fn long_poll_finish_replies_with_the_events_so_far() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    for expected in [0, 1] {
        let mut poll = waiting(&feed, &timer);
        assert!(task.poll(&mut poll).is_pending());
        poll.finish();
        assert_eq!(events(&ready(task.poll(&mut poll))).len(), expected);
        feed.event("news", "first");
    }
}

fn waiting(feed: &Feed, timer: &VirtualTimer) -> LongPollWaiter<Reader> {
    LongPollWaiter::new(feed.reader(), timer, timer.now() + TIMEOUT).not_before(timer.now() + INTERVAL)
}

fn ready(poll: Poll<Reply>) -> Reply {
    match poll {
        Poll::Ready(reply) => reply,
        Poll::Pending => panic!("no reply"),
    }
}

fn events(reply: &Reply) -> Vec<Value> {
    let body: Value = serde_json::from_slice(&reply.clone().into_parts().concat()).unwrap();
    body["events"].as_array().unwrap().clone()
}
