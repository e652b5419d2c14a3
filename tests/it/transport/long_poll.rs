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

const HOLD: Duration = Duration::from_secs(25);
const INTERVAL: Duration = Duration::from_secs(1);

proptest! {
    /// A client that comes back with each reply's cursor has every event and gap once, in order, however often its
    /// polls are cancelled, and whatever comes while it waits.
    #[test]
    fn polls_in_a_row_bring_everything_once(
        history in any_history(),
        plan in prop::collection::vec((0..3_u8, 0..2_000_u64, any::<bool>()), 1..12),
        max in 0..400_usize,
    ) {
        let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
        let (mut left, mut expected, mut got, mut cursor) = (history.as_slice(), Vec::new(), Vec::new(), None);
        for (count, wait, cancel) in plan.into_iter().chain([(u8::MAX, 0, false); 16]) {
            let reader = cursor.map_or_else(|| feed.reader(), |cursor| feed.resume(cursor));
            let now = timer.now();
            let mut poll = LongPollWaiter::new(reader, &timer, now + HOLD).not_before(now + INTERVAL).max_batch_bytes(max);
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
                    prop_assert!(timer.advance_to_next().is_some(), "nothing would ever wake it");
                },
            };
            cursor = reply.cursor;
            got.extend(events(&reply));
        }
        prop_assert_eq!(got, expected);
    }
}

#[test]
fn it_replies_when_something_comes() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    let mut poll = LongPollWaiter::new(feed.reader(), &timer, timer.now() + HOLD);
    assert!(task.poll(&mut poll).is_pending());
    feed.event("news", "first");
    feed.event("news", "second");
    assert_eq!(task.wakes(), 1);
    let reply = ready(task.poll(&mut poll));
    assert_eq!((events(&reply).len(), reply.more, reply.end), (2, false, None));
    assert!(task.poll(&mut poll).is_pending(), "there is one reply");
}

#[test]
fn it_replies_at_the_deadline_with_nothing() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    let mut poll = LongPollWaiter::new(feed.reader(), &timer, timer.now() + HOLD);
    feed.pass();
    assert!(task.poll(&mut poll).is_pending());
    timer.advance(HOLD - Duration::from_nanos(1));
    assert_eq!(task.wakes(), 0);
    assert!(task.poll(&mut poll).is_pending());
    timer.advance(Duration::from_nanos(1));
    assert_eq!(task.wakes(), 1);
    let reply = ready(task.poll(&mut poll));
    assert_eq!(reply.into_parts().concat(), br#"{"cursor":"7.1","events":[]}"#);
    drop(poll);
    assert_eq!(timer.sleeping(), 0);
}

#[test]
fn a_busy_topic_does_not_make_more_polls_than_the_interval() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    let (mut cursor, mut replies, mut got) = ("7.0".parse().unwrap(), 0, 0);
    // Ten events a second, for a minute.
    for _ in 0..60 {
        let now = timer.now();
        let mut poll = LongPollWaiter::new(feed.resume(cursor), &timer, now + HOLD).not_before(now + INTERVAL);
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
    // What comes at the very end of a second is in this reply or the next one.
    assert!(replies == 60 && (590..=600).contains(&got), "{replies} replies with {got} events");
}

#[test]
fn nothing_urgent_is_kept_back() {
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
        let mut poll = held(&feed, &timer);
        feed.event("news", "first");
        assert!(task.poll(&mut poll).is_pending(), "an event alone can wait");
        urgent(&feed);
        assert_eq!(task.wakes(), 1);
        assert_eq!(events(&ready(task.poll(&mut poll)))[0]["data"], "first");
        assert_eq!(timer.elapsed(), Duration::ZERO);
    }
}

#[test]
fn after_the_interval_it_goes_on_waiting() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    let mut poll = held(&feed, &timer);
    assert!(task.poll(&mut poll).is_pending());
    timer.advance(INTERVAL);
    assert!(task.poll(&mut poll).is_pending());
    feed.event("news", "first");
    assert_eq!(events(&ready(task.poll(&mut poll))).len(), 1);

    let mut poll =
        LongPollWaiter::new(Feed::new(7).reader(), &timer, timer.now() + HOLD).not_before(timer.now() + INTERVAL);
    while task.poll(&mut poll).is_pending() {
        assert!(timer.advance_to_next().is_some(), "nothing would ever wake it");
    }
    assert_eq!(timer.elapsed(), INTERVAL + HOLD);
}

#[test]
fn nothing_is_kept_back_beyond_the_deadline() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    let now = timer.now();
    let mut poll = LongPollWaiter::new(feed.reader(), &timer, now + INTERVAL).not_before(now + HOLD);
    feed.event("news", "first");
    assert!(task.poll(&mut poll).is_pending());
    timer.advance(INTERVAL);
    assert_eq!(events(&ready(task.poll(&mut poll))).len(), 1);
}

#[test]
fn finish_answers_with_what_is_there() {
    let (timer, feed, task) = (VirtualTimer::new(), Feed::new(7), Task::new());
    for expected in [0, 1] {
        let mut poll = held(&feed, &timer);
        assert!(task.poll(&mut poll).is_pending());
        poll.finish();
        assert_eq!(events(&ready(task.poll(&mut poll))).len(), expected);
        feed.event("news", "first");
    }
}

fn held(feed: &Feed, timer: &VirtualTimer) -> LongPollWaiter<Reader> {
    LongPollWaiter::new(feed.reader(), timer, timer.now() + HOLD).not_before(timer.now() + INTERVAL)
}

fn ready(poll: Poll<Reply>) -> Reply {
    match poll {
        Poll::Ready(reply) => reply,
        Poll::Pending => panic!("the reply is not there"),
    }
}

fn events(reply: &Reply) -> Vec<Value> {
    let body: Value = serde_json::from_slice(&reply.clone().into_parts().concat()).unwrap();
    body["events"].as_array().unwrap().clone()
}
