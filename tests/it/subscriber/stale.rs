//! State that is older than what is missing, and state without a date, over a real hub.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use tidings::subscriber::{Delivery, EncodedDelivery, Recover, SubscriberExt};
use tidings::{
    Cursor, Event, Gap, GapReason, LocalHub, Retention, Snapshot, Start, Subscribe, Subscriber, Subscription, Topic,
};

use super::board::Wire;

/// How the topics of a case are followed.
#[derive(Debug, Clone, Copy)]
enum Names {
    /// Topic `t/a` alone.
    One,
    /// Topics `t/a` and `t/b`.
    Two,
    /// Pattern `t/*`.
    Pattern,
}

impl Names {
    fn subscribe(self) -> Subscribe {
        match self {
            Self::One => Subscribe::topics(["t/a"]),
            Self::Two => Subscribe::topics(["t/a", "t/b"]),
            Self::Pattern => Subscribe::patterns(["t/*"]),
        }
    }
}

/// A hub with so many events of `t/a`, and then of `t/b`.
fn hub(retain: usize, first: usize, second: usize) -> LocalHub {
    let hub = LocalHub::builder().retain(Retention::count(retain)).build();
    for (topic, events) in [("t/a", first), ("t/b", second)] {
        (0..events).for_each(|_| assert!(hub.publish_now(Topic::new(topic).unwrap(), "x").is_ok()));
    }
    hub
}

fn state() -> Snapshot {
    Snapshot::new([(Topic::new("state").unwrap(), Event::text("s"))])
}

/// A client that came with `start`, and state for it as of a sequence of the hub's, or of another cursor.
fn mended(
    hub: &LocalHub,
    names: Names,
    start: Start,
    as_of: Cursor,
) -> Recover<Subscription, impl tidings::subscriber::Recovery> {
    let subscription = hub.subscribe(names.subscribe().start(start)).unwrap();
    subscription.recover_with(move |_: &Gap| async move { Some(state().with_cursor(as_of)) }).with_start(start)
}

/// The sequences that it yields until it is pending; a gap as its reason, with `+` if state follows, which is `s`.
fn yielded(subscriber: &mut impl Subscriber, encoded: bool) -> Vec<String> {
    let (mut all, mut cx) = (Vec::new(), Context::from_waker(Waker::noop()));
    let told = |gap: &Gap| format!("{}{}", gap.reason.as_str(), if gap.snapshot { "+" } else { "" });
    let event = |cursor: &str, topic: &str| match topic {
        "state" => "s".to_owned(),
        _ => cursor.rsplit('.').next().unwrap().to_owned(),
    };
    loop {
        if encoded {
            match subscriber.poll_encoded(&mut cx, &Wire, 30) {
                Poll::Ready(EncodedDelivery::Events(events)) => {
                    for line in std::str::from_utf8(&events.bytes).unwrap().lines() {
                        let mut words = line.split(' ');
                        all.push(event(words.next().unwrap(), words.next().unwrap()));
                    }
                }
                Poll::Ready(EncodedDelivery::Gap(gap)) => all.push(told(&gap)),
                _ => return all,
            }
        } else {
            match subscriber.poll_next(&mut cx) {
                Poll::Ready(Delivery::Events(batch)) => {
                    all.extend(batch.iter().map(|it| event(&it.cursor.unwrap().to_string(), it.topic.as_str())));
                }
                Poll::Ready(Delivery::Gap(gap)) => all.push(told(&gap)),
                _ => return all,
            }
        }
    }
}

/// Of another life of the hub.
fn elsewhere() -> Start {
    Start::After("zz.5".parse().unwrap())
}

#[test]
fn state_that_is_older_than_what_is_missing_is_not_sent() {
    use Names::{One, Pattern, Two};
    let all = ["1", "2", "3", "4", "5", "6", "7", "8"];
    let sent = |gap: &str, from: usize| -> Vec<String> {
        [gap, "s"].into_iter().chain(all.into_iter().skip(from)).map(str::to_owned).collect()
    };
    let told = |gap: &str, rest: &[&str]| -> Vec<String> {
        [gap].into_iter().chain(rest.iter().copied()).map(str::to_owned).collect()
    };
    for names in [One, Two, Pattern] {
        // Eight events of one topic: how many are retained, the start, the state's date, and what the client gets.
        for (retain, start, as_of, expected) in [
            (8, Start::Unreadable, 5, told("invalid", &[])),
            (8, Start::Unreadable, 8, sent("invalid+", 8)),
            (2, Start::Unreadable, 7, told("invalid", &[])),
            (8, elsewhere(), 5, sent("epoch+", 5)),
            (8, elsewhere(), 0, sent("epoch+", 0)),
            (2, elsewhere(), 5, told("epoch", &["7", "8"])),
            (2, elsewhere(), 6, sent("epoch+", 6)),
            (2, elsewhere(), 8, sent("epoch+", 8)),
            (0, elsewhere(), 5, told("epoch", &[])),
            (0, elsewhere(), 7, told("epoch", &[])),
            (0, elsewhere(), 8, sent("epoch+", 8)),
        ] {
            for encoded in [true, false] {
                let hub = hub(retain, 8, 0);
                let as_of = Cursor::new(hub.cursor().epoch(), as_of);
                let mut subscriber = mended(&hub, names, start, as_of);
                let case = format!("{names:?} {retain} {start:?} {as_of}");
                assert_eq!(yielded(&mut subscriber, encoded), expected, "{case}");
                assert_eq!(subscriber.cursor(), Some(hub.cursor()), "{case}");
            }
        }
    }
    // Of two topics, each has lost two: the last of all counts.
    for names in [Two, Pattern] {
        for (as_of, expected) in [
            (2, told("epoch", &["3", "4", "7", "8"])),
            (5, told("epoch", &["3", "4", "7", "8"])),
            (6, told("epoch+", &["s", "7", "8"])),
        ] {
            let hub = hub(2, 4, 4);
            let as_of = Cursor::new(hub.cursor().epoch(), as_of);
            assert_eq!(yielded(&mut mended(&hub, names, elsewhere(), as_of), true), expected, "{names:?} {as_of}");
        }
    }
}

/// The date of another life says nothing of this one.
#[test]
fn state_of_another_epoch_is_sent_only_where_nothing_of_this_one_is_missing() {
    for (as_of, retain, events, start, expected) in [
        ("zz.9", 8, 0, elsewhere(), &["epoch+", "s"][..]),
        ("zz.9", 8, 2, elsewhere(), &["epoch+", "s", "1", "2"]),
        ("zz.9", 1, 2, elsewhere(), &["epoch", "2"]),
        ("zz.9", 8, 0, Start::Unreadable, &["invalid+", "s"]),
        ("zz.9", 8, 2, Start::Unreadable, &["invalid"]),
        // Older than what the client has.
        ("zz.5", 8, 2, elsewhere(), &["epoch+", "s", "1", "2"]),
        ("zz.4", 8, 2, elsewhere(), &["epoch", "1", "2"]),
    ] {
        let hub = hub(retain, events, 0);
        let as_of: Cursor = as_of.parse().unwrap();
        assert_eq!(yielded(&mut mended(&hub, Names::One, start, as_of), true), expected, "{retain} {events} {start:?}");
    }
}

/// A client that begins with the application's state is told of what that has not.
#[test]
fn state_that_a_client_begins_with_is_no_answer_to_a_later_gap() {
    let hub = hub(2, 8, 0);
    let epoch = hub.cursor().epoch();
    for (as_of, expected) in [(5, &["s", "epoch", "7", "8"][..]), (6, &["s", "7", "8"])] {
        let subscription = hub.subscribe(Names::One.subscribe().start(elsewhere())).unwrap();
        let mended = subscription.recover_with(|_: &Gap| async { None }).with_start(elsewhere());
        let mut mended = mended.with_snapshot(state().with_cursor(Cursor::new(epoch, as_of)));
        assert_eq!(yielded(&mut mended, true), expected);
    }
}

/// Whether the topics lose their events in a row or in turn, one state replaces all that was gone when it was asked for.
#[test]
fn undated_state_is_asked_for_once_after_an_overflow_of_many_topics() {
    let topics: Vec<_> = (0..64).map(|number| Topic::new(format!("t/{number}")).unwrap()).collect();
    for (what, most) in [(Subscribe::topics(&topics), 1), (Subscribe::patterns(["t/*"]), 2)] {
        for in_turn in [false, true] {
            for encoded in [true, false] {
                let hub = LocalHub::builder().retain(Retention::count(2)).live_buffer(0).build();
                let subscription = hub.subscribe(what.clone()).unwrap();
                let asked = Arc::new(AtomicUsize::new(0));
                let count = asked.clone();
                let mut mended = subscription.recover_with(move |gap: &Gap| {
                    assert_eq!(gap.reason, GapReason::Overflow);
                    count.fetch_add(1, Ordering::Relaxed);
                    async { Some(state()) }
                });
                // More than a segment of each topic, 64 KiB.
                let publish = |of: usize| assert!(hub.publish_now(&topics[of % 64], "x".repeat(1_000)).is_ok());
                (0..64 * 100).for_each(|number| publish(if in_turn { number } else { number / 100 }));
                let all = yielded(&mut mended, encoded);
                let first = asked.load(Ordering::Relaxed);
                // A gap of a pattern's own log may have no topic, and then follows events of some.
                assert!((1..=most).contains(&first), "{first}: {all:?}");
                assert_eq!(all.iter().filter(|it| *it == "s").count(), first);
                assert_eq!(all.iter().filter(|it| it.starts_with("overflow")).count(), first);
                // Events that were lost since are in no state that was asked for before.
                (0..64 * 100).for_each(publish);
                yielded(&mut mended, encoded);
                assert!((first + 1..=first + most).contains(&asked.load(Ordering::Relaxed)));
            }
        }
    }
}

/// Older events of a topic take the place of an undated state of it, which is then no answer to what follows them.
#[test]
fn undated_state_does_not_hide_a_gap_behind_older_events_of_its_topic() {
    let hub = LocalHub::builder().retain(Retention::count(40)).live_buffer(0).build();
    let topic = Topic::new("t").unwrap();
    let publish = |number: usize| assert!(hub.publish_now(&topic, format!("{number:04}{}", "x".repeat(8_000))).is_ok());
    let subscription = hub.subscribe(Subscribe::topics([&topic])).unwrap();
    let mut mended = subscription.recover_with(|_: &Gap| async { Some(state()) });
    (0..100).for_each(publish);
    let (mut cx, mut last, mut gaps) = (Context::from_waker(Waker::noop()), None, 0);
    for step in 0.. {
        if step == 3 {
            // The client has the gap, the state and the first events when others leave history unread.
            (100..116).for_each(publish);
        }
        match mended.poll_next(&mut cx) {
            Poll::Ready(Delivery::Gap(_)) => (last, gaps) = (None, gaps + 1),
            Poll::Ready(Delivery::Events(batch)) => {
                for number in batch.iter().filter_map(|event| event.event.as_str()?.get(..4)?.parse::<usize>().ok()) {
                    assert!(last.is_none_or(|last| number == last + 1), "{number} behind {last:?}, and no gap");
                    last = Some(number);
                }
            }
            _ if step > 3 => break,
            _ => {}
        }
    }
    assert_eq!((last, gaps), (Some(115), 2));
}
