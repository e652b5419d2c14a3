//! Subscriptions that lag behind the log of a pattern and read on from the logs of the topics (backfill).

use std::task::Poll;
use std::time::Duration;

use tidings::subscriber::{Delivery, SubscriptionEnd};
use tidings::{Event, LocalHub, Overflow, Retention, Subscribe, Subscriber, Subscription};

use crate::support::{VirtualTimer, poll, publish_text, ready_items, topic};

/// Returns the number of events of the next delivery.
fn events_of_one_poll(subscription: &mut Subscription) -> usize {
    match poll(subscription) {
        Poll::Ready(Delivery::Events(batch)) => batch.iter().count(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn lagging_pattern_subscription_backfills_from_topics_and_gets_gap_for_lost_events() {
    let hub = LocalHub::builder().retain(Retention::count(1_000)).retain_for("loud/b", Retention::count(1));
    let hub = hub.live_buffer(0).build();
    let mut slow = hub.subscribe(Subscribe::patterns(["loud/*"])).unwrap();
    let mut strict = hub.subscribe(Subscribe::patterns(["loud/*"]).overflow(Overflow::Disconnect)).unwrap();
    publish_text(&hub, "loud/b", "before");
    for n in 0..900 {
        ["loud/a", "loud/c", "quiet/d"].iter().for_each(|name| _ = publish_text(&hub, name, &n));
    }
    let mut both = (0..900).flat_map(|n| ["a", "c"].map(|name| format!("loud/{name}: {n}")));
    let expected: Vec<_> = std::iter::once("loud/b: before".to_owned()).chain(both.by_ref()).collect();
    assert_eq!(ready_items(&mut slow), expected, "nothing is lost that the topics retain");
    assert_eq!(ready_items(&mut strict), expected, "so the subscription is not too slow");
    for n in 0..900 {
        ["loud/a", "loud/b"].iter().for_each(|name| _ = publish_text(&hub, name, &n));
    }
    let (mut a, mut b, mut had_gap) = (0, 0, false);
    for event in ready_items(&mut slow) {
        match event.split_once(": ") {
            Some(("loud/a", n)) => {
                assert_eq!(n, a.to_string());
                a += 1;
            }
            Some((_, n)) => {
                let n: usize = n.parse().unwrap();
                assert!(n == b || had_gap, "{b} to {n} are lost without a gap");
                (b, had_gap) = (n + 1, false);
            }
            None => had_gap = event == "-loud/b",
        }
    }
    assert_eq!((a, b), (900, 900));
    while let Poll::Ready(Delivery::Events(_)) = poll(&mut strict) {}
    assert!(matches!(poll(&mut strict), Poll::Ready(Delivery::End(SubscriptionEnd::TooSlow))));
}

#[test]
fn expired_event_skipped_by_another_reader_yields_no_gap_to_a_lagging_one() {
    let clock = VirtualTimer::new();
    let hub = LocalHub::builder().retain_for("a/none", Retention::count(0)).clock(clock.clone()).build();
    let [mut quick, mut slow] = [(); 2].map(|()| hub.subscribe(Subscribe::patterns(["a/*"])).unwrap());
    publish_text(&hub, "a/kept", "first");
    hub.publish_now(topic("a/none"), Event::text("expires").with_ttl(Duration::from_millis(1))).unwrap();
    clock.advance(Duration::from_secs(11));
    assert_eq!(ready_items(&mut quick), ["a/kept: first"]);
    assert_eq!(hub.stats().expired, 1);
    // The log of the pattern has only the last of these events. The topics lost none of the events before it.
    publish_text(&hub, "a/none", "last");
    assert_eq!(ready_items(&mut slow), ["a/kept: first", "a/none: last"]);
    assert_eq!(ready_items(&mut quick), ["a/none: last"]);
}

#[test]
fn expired_events_do_not_hide_a_lost_event_from_a_lagging_subscription() {
    // A subscription skips expired events if it has read all before them. Otherwise they leave the pattern's log first.
    for has_read in [true, false] {
        let clock = VirtualTimer::new();
        let hub = LocalHub::builder().retain(Retention::count(500)).retain_for("a/none", Retention::count(0));
        let hub = hub.live_buffer(0).clock(clock.clone()).build();
        let fill = || (0..100).for_each(|_| assert_eq!(publish_text(&hub, "a/kept", "fills"), 1));
        let mut slow = hub.subscribe(Subscribe::patterns(["a/*"])).unwrap();
        if has_read {
            // The second of these events is in one segment with some of the events that expire.
            for text in ["first", "second"] {
                publish_text(&hub, "a/kept", text);
                assert_eq!(events_of_one_poll(&mut slow), 1);
            }
        } else {
            fill();
        }
        for _ in 0..10 {
            hub.publish_now(topic("a/kept"), Event::text("expires").with_ttl(Duration::from_millis(1))).unwrap();
        }
        if !has_read {
            clock.advance(Duration::from_secs(11));
        }
        // The topics hold as many events as went through the pattern's log, but other ones.
        publish_text(&hub, "a/none", "lost");
        if !has_read {
            let mut read = 0;
            while read < 100 {
                read += events_of_one_poll(&mut slow);
            }
            assert_eq!(read, 100);
            slow.release();
        }
        fill();
        clock.advance(Duration::from_secs(11));
        publish_text(&hub, "a/none", "last");
        let seen = ready_items(&mut slow);
        assert_eq!(seen.iter().filter(|item| *item == "a/kept: fills").count(), 100);
        assert!(seen.contains(&"-a/none".to_owned()), "has read: {has_read}");
    }
}

#[test]
fn forgotten_tombstones_neither_hide_a_gap_nor_cause_one() {
    for is_lost in [true, false] {
        let clock = VirtualTimer::new();
        let hub = LocalHub::builder().retain_for("a/none", Retention::count(0)).retain_for("b/*", Retention::count(0));
        // A hub of this budget has the least number of tombstones.
        let hub = hub.live_buffer(0).max_bytes(1 << 20).clock(clock.clone()).build();
        let mut slow = hub.subscribe(Subscribe::patterns(["a/*"])).unwrap();
        for n in 0..=1_024 {
            publish_text(&hub, &format!("b/{n}"), "");
        }
        assert_eq!(hub.stats().tombstones, 1_024, "one of them is forgotten");
        (0..100).for_each(|_| assert_eq!(publish_text(&hub, "a/kept", "fills"), 1));
        if is_lost {
            publish_text(&hub, "a/none", "lost");
        }
        (0..100).for_each(|_| assert_eq!(publish_text(&hub, "a/kept", "fills"), 1));
        clock.advance(Duration::from_secs(11));
        let last = hub.publish_now(topic("a/none"), "last").unwrap().cursor().unwrap().sequence();
        let (mut gaps, mut read) = (Vec::new(), 0);
        loop {
            match poll(&mut slow) {
                Poll::Ready(Delivery::Events(batch)) => read += batch.len(),
                Poll::Ready(Delivery::Gap(gap)) => gaps.push(gap.cursor.sequence()),
                _ => break,
            }
        }
        assert_eq!(read, 201);
        // The lost event is after the first hundred, and the last event after it is read.
        assert_eq!(gaps.iter().any(|&gap| last - 101 <= gap), is_lost, "{gaps:?} of {last}");
        assert!(is_lost || gaps.is_empty(), "nothing is lost: {gaps:?}");
    }
}
