//! Subscriptions that fall behind a pattern's log, and read on from the topics' own.

use std::task::Poll;
use std::time::Duration;

use tidings::subscriber::{Delivery, SubscriptionEnd};
use tidings::{Event, LocalHub, Overflow, Retention, Subscribe, Subscriber, Subscription};

use super::model::ManualClock;
use super::patterns::{events, poll, say, topic};

/// How many events come with the next delivery.
fn events_of_one_poll(subscription: &mut Subscription) -> usize {
    match poll(subscription) {
        Poll::Ready(Delivery::Events(batch)) => batch.iter().count(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_falls_behind_what_a_pattern_keeps_finds_it_with_its_topics() {
    let hub = LocalHub::builder().retain(Retention::count(1_000)).retain_for("loud/b", Retention::count(1));
    let hub = hub.live_buffer(0).build();
    let mut slow = hub.subscribe(Subscribe::patterns(["loud/*"])).unwrap();
    let mut strict = hub.subscribe(Subscribe::patterns(["loud/*"]).overflow(Overflow::Disconnect)).unwrap();
    say(&hub, "loud/b", "before");
    for n in 0..900 {
        ["loud/a", "loud/c", "quiet/d"].iter().for_each(|name| _ = say(&hub, name, &n));
    }
    let mut both = (0..900).flat_map(|n| ["a", "c"].map(|name| format!("loud/{name}: {n}")));
    let expected: Vec<_> = std::iter::once("loud/b: before".to_owned()).chain(both.by_ref()).collect();
    assert_eq!(events(&mut slow), expected, "nothing is lost where the topics keep it");
    assert_eq!(events(&mut strict), expected, "and so nobody is too slow");
    for n in 0..900 {
        ["loud/a", "loud/b"].iter().for_each(|name| _ = say(&hub, name, &n));
    }
    let (mut a, mut b, mut is_told) = (0, 0, false);
    for event in events(&mut slow) {
        match event.split_once(": ") {
            Some(("loud/a", n)) => {
                assert_eq!(n, a.to_string());
                a += 1;
            }
            Some((_, n)) => {
                let n: usize = n.parse().unwrap();
                assert!(n == b || is_told, "{b} to {n} are lost in silence");
                (b, is_told) = (n + 1, false);
            }
            None => is_told = event == "-loud/b",
        }
    }
    assert_eq!((a, b), (900, 900));
    while let Poll::Ready(Delivery::Events(_)) = poll(&mut strict) {}
    assert!(matches!(poll(&mut strict), Poll::Ready(Delivery::End(SubscriptionEnd::TooSlow))));
}

#[test]
fn what_others_stepped_over_makes_no_gap_for_who_falls_behind() {
    let clock = ManualClock::new();
    let hub = LocalHub::builder().retain_for("a/none", Retention::count(0)).clock(clock.clone()).build();
    let [mut quick, mut slow] = [(); 2].map(|()| hub.subscribe(Subscribe::patterns(["a/*"])).unwrap());
    say(&hub, "a/kept", "first");
    hub.publish_now(topic("a/none"), Event::text("expires").with_ttl(Duration::from_millis(1))).unwrap();
    clock.advance(Duration::from_secs(11));
    assert_eq!(events(&mut quick), ["a/kept: first"]);
    assert_eq!(hub.stats().expired, 1);
    // The pattern's log has the last of these only; the topics have lost nothing of what is before it.
    say(&hub, "a/none", "last");
    assert_eq!(events(&mut slow), ["a/kept: first", "a/none: last"]);
    assert_eq!(events(&mut quick), ["a/none: last"]);
}

#[test]
fn what_a_subscription_stepped_over_hides_no_loss() {
    // What expires is stepped over by who has read what is before it, or has gone from the pattern's log before.
    for has_read in [true, false] {
        let clock = ManualClock::new();
        let hub = LocalHub::builder().retain(Retention::count(500)).retain_for("a/none", Retention::count(0));
        let hub = hub.live_buffer(0).clock(clock.clone()).build();
        let fill = || (0..100).for_each(|_| assert_eq!(say(&hub, "a/kept", "fills"), 1));
        let mut slow = hub.subscribe(Subscribe::patterns(["a/*"])).unwrap();
        if has_read {
            // The second of these is in one segment with some of what expires.
            for text in ["first", "second"] {
                say(&hub, "a/kept", text);
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
        // There are as many events of the topics to be found as went through the pattern's log, but not these.
        say(&hub, "a/none", "lost");
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
        say(&hub, "a/none", "last");
        let told = events(&mut slow);
        assert_eq!(told.iter().filter(|told| *told == "a/kept: fills").count(), 100);
        assert!(told.contains(&"-a/none".to_owned()), "has read: {has_read}");
    }
}

#[test]
fn topics_that_are_forgotten_neither_hide_what_is_lost_nor_make_up_a_loss() {
    for is_lost in [true, false] {
        let clock = ManualClock::new();
        let hub = LocalHub::builder().retain_for("a/none", Retention::count(0)).retain_for("b/*", Retention::count(0));
        // With the least number of tombstones.
        let hub = hub.live_buffer(0).max_bytes(1 << 20).clock(clock.clone()).build();
        let mut slow = hub.subscribe(Subscribe::patterns(["a/*"])).unwrap();
        for n in 0..=1_024 {
            say(&hub, &format!("b/{n}"), "");
        }
        assert_eq!(hub.stats().tombstones, 1_024, "one of them is forgotten");
        (0..100).for_each(|_| assert_eq!(say(&hub, "a/kept", "fills"), 1));
        if is_lost {
            say(&hub, "a/none", "lost");
        }
        (0..100).for_each(|_| assert_eq!(say(&hub, "a/kept", "fills"), 1));
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
        // The one that is lost is behind the first hundred, and the last event behind it is read.
        assert_eq!(gaps.iter().any(|&gap| last - 101 <= gap), is_lost, "{gaps:?} of {last}");
        assert!(is_lost || gaps.is_empty(), "nothing is lost: {gaps:?}");
    }
}
