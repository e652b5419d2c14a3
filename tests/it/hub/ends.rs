//! The end of a topic: its refusals, and a subscription of one topic.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tidings::subscriber::{Delivery, EndState, SubscriptionEnd};
use tidings::{
    Cursor, EndReason, Event, Hub, LocalHub, Overflow, PublishError, Retention, Start, Subscribe, Subscriber,
    Subscription,
};

use super::deliveries::{ready, ready_encoded};
use crate::support::{VirtualTimer, WakeCounter, next_gap, poll, publish_text, topic};

fn from(hub: &LocalHub, name: &str, start: Start) -> Subscription {
    hub.subscribe(Subscribe::topics([name]).start(start)).unwrap()
}

/// Returns the start after a sequence of the hub's epoch.
fn after(hub: &LocalHub, sequence: u64) -> Start {
    Start::After(Cursor::new(hub.cursor().epoch(), sequence))
}

#[test]
fn first_finish_determines_reason_and_position() {
    let hub = LocalHub::new();
    publish_text(&hub, "a", "1");
    let first = hub.finish("a", EndReason::Stopped).unwrap();
    assert_eq!(
        (first.topic.as_str(), first.cursor, first.reason, first.is_last),
        ("a", hub.cursor(), EndReason::Stopped, false)
    );
    assert_eq!(first.cursor.sequence(), 2, "the end takes a sequence");
    publish_text(&hub, "b", "1");
    assert_eq!(hub.finish("a", EndReason::Done).unwrap(), first);
    assert_eq!(hub.cursor().sequence(), 3, "a second call takes none");
    let stats = hub.stats();
    assert_eq!((stats.published, stats.retained, stats.finished_topics), (2, 2, 1));
    assert!(matches!(hub.finish("a//", EndReason::Done), Err(PublishError::Topic(_))));
    hub.close();
    assert!(matches!(hub.finish("a", EndReason::Done), Err(PublishError::Closed)));
    assert!(matches!(hub.finish("c", EndReason::Done), Err(PublishError::Closed)));
}

#[test]
fn finish_of_the_trait_ends_the_topic() {
    async fn finish(hub: &impl Hub) -> Result<tidings::TopicEnd, PublishError> {
        hub.finish(&topic("a"), EndReason::Failed).await
    }
    let hub = LocalHub::new();
    let mut future = std::pin::pin!(finish(&hub));
    let Poll::Ready(end) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("not ready at its first poll");
    };
    assert_eq!(end.unwrap().reason, EndReason::Failed);
    assert!(matches!(hub.publish_now("a", "1"), Err(PublishError::Finished(_))));
}

#[test]
fn publish_to_a_finished_topic_is_refused_and_changes_nothing() {
    let hub = LocalHub::new();
    hub.finish("a", EndReason::Done).unwrap();
    let before = (hub.cursor(), hub.stats());
    assert!(matches!(hub.publish_now("a", "1"), Err(PublishError::Finished(name)) if name.as_str() == "a"));
    let batch = [("new", "1"), ("a", "2"), ("other", "3")];
    assert!(matches!(hub.publish_batch(batch), Err(PublishError::Finished(name)) if name.as_str() == "a"));
    assert_eq!((hub.cursor(), hub.stats()), before, "no event, no topic");
    hub.publish_batch([("new", "1"), ("other", "3")]).unwrap();
}

#[test]
fn refused_publish_evicts_nothing() {
    let hub = LocalHub::builder().max_bytes(40_000).build();
    publish_text(&hub, "a", "x");
    hub.finish("a", EndReason::Done).unwrap();
    publish_text(&hub, "b", &"x".repeat(20_000));
    let before = hub.stats();
    let large = || Event::text("x".repeat(25_000));
    assert!(matches!(hub.publish_now("a", large()), Err(PublishError::Finished(_))));
    assert!(matches!(hub.publish_batch([("c", large()), ("a", large())]), Err(PublishError::Finished(_))));
    assert_eq!(hub.stats(), before);
    hub.publish_now("c", large()).unwrap();
    assert_ne!(hub.stats().evicted, before.evicted, "the event is as large as to evict");
}

#[test]
fn live_subscription_yields_end_after_the_last_event_and_then_finished() {
    let hub = LocalHub::new();
    let (mut batches, mut bytes) = (from(&hub, "a", Start::Now), from(&hub, "a", Start::Now));
    publish_text(&hub, "a", "1");
    assert_eq!(ready(&mut batches), ["a: 1"]);
    assert_eq!(batches.info().end_state(), EndState::Live);
    publish_text(&hub, "a", "2");
    hub.finish("a", EndReason::Done).unwrap();
    assert_eq!(batches.info().end_state(), EndState::Ended);
    assert_eq!(batches.cursor().unwrap().sequence(), 1);
    assert_eq!(ready(&mut batches), ["a: 2", "a.done 3 last", "Finished"]);
    assert_eq!(batches.info().end_state(), EndState::Finished);
    assert_eq!(ready_encoded(&mut bytes, 4), ["1 a 1", "2 a 2", "a.done 3 last", "Finished"]);
}

#[test]
fn finish_wakes_a_waiting_subscription_and_is_found_by_register() {
    let hub = LocalHub::new();
    let (mut polled, mut registered) = (from(&hub, "a", Start::Now), from(&hub, "a", Start::Now));
    let wakes = Arc::new(WakeCounter::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let cx = &mut Context::from_waker(&waker);
    assert!(polled.poll_next(cx).is_pending());
    assert!(registered.register(cx));
    hub.finish("a", EndReason::Done).unwrap();
    assert_eq!(wakes.count(), 2);
    assert!(!registered.register(cx) && !polled.register(cx));
    for subscription in [&mut polled, &mut registered] {
        assert_eq!(ready(subscription), ["a.done 1 last", "Finished"]);
        assert!(!subscription.register(cx), "the end is ready");
    }
}

#[test]
fn start_without_a_cursor_yields_the_end_after_its_events() {
    let hub = LocalHub::new();
    (1..=3).for_each(|n| _ = publish_text(&hub, "a", &n));
    hub.finish("a", EndReason::Done).unwrap();
    publish_text(&hub, "b", "5");
    let read = |start| {
        let mut subscription = from(&hub, "a", start);
        let cursor = subscription.cursor();
        let items = ready(&mut subscription);
        // A client that is cut before the end gets it.
        let mut back = cursor.map(|cursor| from(&hub, "a", Start::After(cursor)));
        let again = back.as_mut().map(ready).unwrap_or_default();
        assert!(cursor.is_none() || again.contains(&"a.done 4 last".to_owned()), "{again:?}");
        items
    };
    assert_eq!(read(Start::Now), ["a.done 5 last", "Finished"]);
    assert_eq!(read(Start::Last(0)), ["a.done 5 last", "Finished"]);
    assert_eq!(read(Start::Last(1)), ["a: 3", "a.done 4 last", "Finished"]);
    assert_eq!(read(Start::Oldest), ["a: 1", "a: 2", "a: 3", "a.done 4 last", "Finished"]);
    let mut unreadable = from(&hub, "a", Start::Unreadable);
    let gap = next_gap(&mut unreadable);
    assert_eq!((gap.cursor.sequence(), gap.gone.unwrap().sequence()), (3, 5));
    assert_eq!(ready(&mut from(&hub, "a", Start::After(gap.cursor))), ["a.done 4 last", "Finished"]);
    assert_eq!(ready(&mut unreadable), ["a.done 5 last", "Finished"]);
}

#[test]
fn resume_yields_the_end_if_the_cursor_is_before_it() {
    let hub = LocalHub::new();
    (1..=2).for_each(|n| _ = publish_text(&hub, "a", &n));
    hub.finish("a", EndReason::Failed).unwrap();
    publish_text(&hub, "b", "4");
    let read = |sequence| ready(&mut from(&hub, "a", after(&hub, sequence)));
    assert_eq!(read(0), ["a: 1", "a: 2", "a.failed 3 last", "Finished"]);
    assert_eq!(read(1), ["a: 2", "a.failed 3 last", "Finished"]);
    assert_eq!(read(2), ["a.failed 3 last", "Finished"]);
    for sequence in [3, 4] {
        let subscription = from(&hub, "a", after(&hub, sequence));
        assert_eq!(subscription.info().end_state(), EndState::Finished);
        assert_eq!((subscription.cursor().unwrap().sequence(), hub.stats().subscriptions), (sequence, 0));
        assert_eq!(read(sequence), ["Finished"]);
    }
    assert_eq!(read(5), ["- 2", "a.failed 4 last", "Finished"], "ahead of the hub: invalid");
    let mut other = from(&hub, "a", Start::After(Cursor::new(hub.cursor().epoch() + 1, 9)));
    assert_eq!(other.cursor(), None);
    assert_eq!(ready(&mut other), ["- 0", "a: 1", "a: 2", "a.failed 3 last", "Finished"]);
}

#[test]
fn close_after_the_end_still_finishes_and_without_one_closes() {
    let hub = LocalHub::new();
    let (mut ended, mut live) = (from(&hub, "a", Start::Now), from(&hub, "b", Start::Now));
    publish_text(&hub, "a", "1");
    hub.finish("a", EndReason::Done).unwrap();
    hub.close();
    assert_eq!(ready(&mut ended), ["a: 1", "a.done 2 last", "Finished"]);
    assert_eq!(ready(&mut live), ["Closed"]);
}

#[test]
fn reader_that_fell_behind_yields_gap_and_then_the_end() {
    let behind = |overflow| {
        let hub = LocalHub::builder().retain(Retention::count(2)).live_buffer(0).build();
        let mut subscription = hub.subscribe(Subscribe::topics(["a"]).overflow(overflow)).unwrap();
        for n in 1..=600 {
            hub.publish_now("a", Event::text(n.to_string()).with_key("k").unwrap()).unwrap();
        }
        hub.finish("a", EndReason::Done).unwrap();
        (hub, ready(&mut subscription), subscription.info().end_state())
    };
    let (_hub, items, _) = behind(Overflow::Gap);
    assert!(items[0].starts_with("-a "), "{items:?}");
    assert_eq!(items[items.len() - 3..], ["a: 600", "a.done 601 last", "Finished"]);
    let (_hub, items, _) = behind(Overflow::Latest);
    assert_eq!(items, ["a: 600", "a.done 601 last", "Finished"]);
    let (_hub, items, state) = behind(Overflow::Disconnect);
    assert_eq!((items, state), (vec!["TooSlow".to_owned()], EndState::Live));
}

#[test]
fn reader_in_the_live_buffer_yields_its_events_and_then_the_end() {
    let hub = LocalHub::builder().retain(Retention::count(1)).build();
    let mut subscription = from(&hub, "a", Start::Now);
    (1..=600).for_each(|n| _ = publish_text(&hub, "a", &n));
    hub.finish("a", EndReason::Done).unwrap();
    let items = ready(&mut subscription);
    assert_eq!((items.len(), &*items[0], &*items[600]), (602, "a: 1", "a.done 601 last"));
    drop(subscription);
    hub.sweep();
    assert_eq!(ready(&mut from(&hub, "a", Start::Oldest)), ["a: 600", "a.done 601 last", "Finished"]);
}

#[test]
fn expired_events_before_the_end_are_left_out() {
    let clock = VirtualTimer::new();
    let hub = LocalHub::builder().clock(clock.clone()).build();
    let mut live = from(&hub, "a", Start::Now);
    hub.publish_now("a", Event::text("1").with_ttl(Duration::from_secs(1))).unwrap();
    hub.finish("a", EndReason::Done).unwrap();
    clock.advance(Duration::from_secs(2));
    assert_eq!(ready(&mut live), ["a.done 2 last", "Finished"]);
    assert_eq!(ready(&mut from(&hub, "a", Start::Oldest)), ["a.done 2 last", "Finished"]);
}

#[test]
fn subscription_that_read_the_end_is_no_subscription_of_the_topic() {
    let hub = LocalHub::new();
    let mut subscription = from(&hub, "a", Start::Now);
    hub.finish("a", EndReason::Done).unwrap();
    assert_eq!((hub.subscribers(&topic("a")), hub.stats().topics), (1, 1));
    assert!(matches!(poll(&mut subscription), Poll::Ready(Delivery::TopicEnd(_))));
    assert_eq!(hub.subscribers(&topic("a")), 0);
    assert!(matches!(poll(&mut subscription), Poll::Ready(Delivery::End(SubscriptionEnd::Finished))));
    drop(subscription);
    assert_eq!((hub.stats().topics, hub.stats().subscriptions), (0, 0));
}

#[test]
fn finish_leaves_wakes_to_a_notifier() {
    let hub = LocalHub::new();
    let mut notifier = hub.notifier().unwrap();
    let mut subscription = from(&hub, "a", Start::Now);
    let wakes = Arc::new(WakeCounter::default());
    let waker = Waker::from(Arc::clone(&wakes));
    assert!(subscription.poll_next(&mut Context::from_waker(&waker)).is_pending());
    hub.finish("a", EndReason::Done).unwrap();
    assert_eq!(wakes.count(), 0);
    assert!(std::pin::Pin::new(&mut notifier).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(wakes.count(), 1);
    assert_eq!(ready(&mut subscription), ["a.done 1 last", "Finished"]);
}
