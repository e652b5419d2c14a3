//! The wrapper over scripted sources, case by case.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use tidings::subscriber::{Delivery, EncodedDelivery, Recover, Recovery, SubscriberExt, SubscriptionEnd, from_stream};
use tidings::{Cursor, Event, Gap, GapReason, LocalHub, Retention, Snapshot, Start, Subscribe, Subscriber, Topic};

use super::board::{Board, Client, Wire};
use crate::support::{Feed, Reader, Task};

const EPOCH: u64 = 7;

fn at(sequence: u64) -> Cursor {
    Cursor::new(EPOCH, sequence)
}

fn nowhere() -> Cursor {
    "0.0".parse().unwrap()
}

/// State of so many events.
fn state(events: usize) -> Snapshot {
    Snapshot::new((0..events).map(|number| (Topic::new("state").unwrap(), Event::text(number.to_string()))))
}

fn mended(feed: &Feed, state: Option<Snapshot>) -> Recover<Reader, impl Recovery> {
    feed.reader().recover_with(move |_: &Gap| {
        let state = state.clone();
        async { state }
    })
}

/// Polls a subscriber until it is pending. Returns an event as its line, a gap as `gap cursor snapshot`.
fn lines<S: Subscriber>(subscriber: &mut S, max: usize) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        match subscriber.poll_encoded(&mut Context::from_waker(Waker::noop()), &Wire, max) {
            Poll::Ready(EncodedDelivery::Events(events)) => {
                all.extend(std::str::from_utf8(&events.bytes).unwrap().lines().map(str::to_owned));
            }
            Poll::Ready(EncodedDelivery::Gap(gap)) => all.push(format!("gap {} {}", gap.cursor, gap.snapshot)),
            Poll::Ready(EncodedDelivery::End(end)) => {
                all.push(format!("{end:?}"));
                return all;
            }
            Poll::Pending => return all,
            Poll::Ready(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_gap_is_followed_by_the_state_and_what_it_has_is_stepped_over() {
    let feed = Feed::new(EPOCH);
    feed.event("a", "one");
    feed.gap(GapReason::Overflow, Some(3));
    for text in ["in it", "in it too", "after it"] {
        feed.event("a", text);
    }
    let mut subscriber = mended(&feed, Some(state(3).with_cursor(at(4))));
    let expected = ["7.1 a one", "gap 0.0 true", "0.0 state 0", "0.0 state 1", "7.4 state 2", "7.5 a after it"];
    assert_eq!(lines(&mut subscriber, 1), expected);
    assert_eq!(subscriber.cursor(), Some(at(5)));
}

#[test]
fn what_is_not_mended_is_told_as_it_is() {
    for (state, why) in [(None, "there is none"), (Some(state(2).with_cursor(at(1))), "it has not got what is missing")]
    {
        let feed = Feed::new(EPOCH);
        feed.event("a", "one");
        feed.gap(GapReason::Evicted, None);
        feed.event("a", "three");
        assert_eq!(lines(&mut mended(&feed, state), 100), ["7.1 a one", "gap 7.2 false", "7.3 a three"], "{why}");
    }
}

#[test]
fn an_empty_state_is_over_with_its_gap() {
    let feed = Feed::new(EPOCH);
    feed.gap(GapReason::Overflow, None);
    feed.event("a", "in it");
    feed.event("a", "after it");
    let mut subscriber = mended(&feed, Some(state(0).with_cursor(at(2))));
    assert_eq!(lines(&mut subscriber, 100), ["gap 7.2 true", "7.3 a after it"]);
    // And where nothing was missing, nothing is said.
    let mut subscriber = mended(&feed, None).with_snapshot(state(0).with_cursor(at(2)));
    assert_eq!(lines(&mut subscriber, 100), ["7.3 a after it"]);
}

#[test]
fn a_client_that_begins_with_state_keeps_its_cursor_until_it_has_it() {
    for (start, held) in [(Start::Now, "-".to_owned()), (Start::After(at(0)), "7.0".to_owned())] {
        let feed = Feed::new(EPOCH);
        feed.event("a", "in it");
        let mut subscriber = feed
            .reader()
            .recover_with(|_: &Gap| async { None })
            .with_start(start)
            .with_snapshot(state(2).with_cursor(at(1)));
        assert_eq!(subscriber.cursor().map_or("-".into(), |cursor| cursor.to_string()), held);
        assert_eq!(lines(&mut subscriber, 1), [format!("{held} state 0"), "7.1 state 1".into()]);
    }
}

#[test]
fn state_that_is_ahead_of_its_source_is_stepped_over_when_it_comes() {
    let feed = Feed::new(EPOCH);
    let mut subscriber = mended(&feed, None).with_snapshot(state(1).with_cursor(at(2)));
    assert_eq!(lines(&mut subscriber, 100), ["7.2 state 0"]);
    assert_eq!(subscriber.cursor(), Some(at(2)));
    for (text, expected) in [("one", None), ("two", None), ("three", Some("7.3 a three"))] {
        feed.event("a", text);
        assert_eq!(lines(&mut subscriber, 100), expected.as_slice());
    }
}

#[test]
fn a_source_without_cursors_has_nothing_stepped_over() {
    struct Once(Option<Event>);

    impl futures_core::Stream for Once {
        type Item = Event;

        fn poll_next(mut self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Event>> {
            Poll::Ready(self.0.take())
        }
    }

    let source = from_stream(Topic::new("a").unwrap(), Once(Some("one".into())));
    let mut subscriber = source.recover_with(|_: &Gap| async { None }).with_snapshot(state(2));
    assert_eq!(lines(&mut subscriber, 100), ["- state 0", "- state 1", "- a one", "Finished"]);
}

#[test]
fn what_came_with_what_was_stepped_over_comes_in_pieces() {
    let feed = Feed::new(EPOCH);
    for number in 1..=9 {
        feed.event("a", number.to_string());
    }
    let mut subscriber = mended(&feed, None).with_snapshot(state(1).with_cursor(at(3)));
    let mut cx = Context::from_waker(Waker::noop());
    let mut ends = Vec::new();
    while let Poll::Ready(EncodedDelivery::Events(events)) = subscriber.poll_encoded(&mut cx, &Wire, 17) {
        let text = std::str::from_utf8(&events.bytes).unwrap().to_owned();
        assert!(text.len() <= 17, "{text}");
        // Nothing further back, nothing further on.
        let last = text.lines().last().unwrap().split(' ').next().unwrap().to_owned();
        assert_eq!(subscriber.cursor().unwrap().to_string(), last);
        ends.push(last);
    }
    assert_eq!(ends, ["7.3", "7.5", "7.7", "7.9"]);
}

#[test]
fn while_state_is_on_its_way_the_client_is_where_it_was() {
    for (reason, start, expected) in [
        (GapReason::Evicted, Start::After(at(0)), at(0)),
        (GapReason::Evicted, Start::Now, nowhere()),
        // Sooner or later the hub would be there, and would tell nobody.
        (GapReason::Invalid, Start::After(at(9)), nowhere()),
        (GapReason::Invalid, Start::Unreadable, nowhere()),
        (GapReason::Epoch, Start::After("zz.5".parse().unwrap()), "zz.5".parse().unwrap()),
    ] {
        let feed = Feed::new(EPOCH);
        feed.gap(reason, None);
        let mut subscriber =
            feed.reader().recover_with(|_: &Gap| std::future::pending::<Option<Snapshot>>()).with_start(start);
        assert!(!subscriber.is_recovering());
        assert!(lines(&mut subscriber, 100).is_empty());
        assert!(subscriber.is_recovering());
        assert_eq!(subscriber.cursor(), Some(expected), "{reason:?} {start:?}");
    }
}

#[test]
fn who_fails_ends_it_and_moves_nobody_on() {
    let feed = Feed::new(EPOCH);
    feed.gap(GapReason::Evicted, None);
    feed.event("a", "two");
    let mut subscriber = feed
        .reader()
        .recover_with(|_: &Gap| async { Err::<Option<Snapshot>, _>(SubscriptionEnd::Failed) })
        .with_start(Start::After(at(0)));
    for _ in 0..2 {
        assert_eq!(lines(&mut subscriber, 100), ["Failed"]);
        assert_eq!(subscriber.cursor(), Some(at(0)));
    }
    let next = Task::new().with(|cx| subscriber.poll_next(cx));
    assert!(matches!(next, Poll::Ready(Delivery::End(SubscriptionEnd::Failed))));
}

#[test]
fn state_is_asked_for_once_a_gap_and_not_for_one_that_is_mended() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let feed = Feed::new(EPOCH);
    feed.gap(GapReason::Overflow, None);
    feed.gap(GapReason::Overflow, None);
    feed.event("a", "in it");
    feed.gap(GapReason::Overflow, None);
    let inner = feed.reader().recover_with(move |_: &Gap| {
        count.fetch_add(1, Ordering::Relaxed);
        async { Some(state(1).with_cursor(at(3))) }
    });
    let mut outer = inner.recover_with(|_: &Gap| async { Some(state(0)) });
    // The second gap is in the state, and the fourth is not; the outer one has to do with that alone.
    assert_eq!(lines(&mut outer, 100), ["gap 0.0 true", "7.3 state 0", "gap 7.4 true"]);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

/// A client that is cut off at any byte of a gap's mending comes to the same counts.
#[test]
fn p2_a_cut_at_any_byte_begins_anew() {
    for cut in 0.. {
        let board = Board::new(2);
        (0..40).for_each(|_| ["a", "b"].iter().for_each(|topic| board.count(topic)));
        let mut client = Client::new(false);
        client.cursor = Some("0.0".into());
        let was_cut = !visit(&board, &mut client, cut);
        if was_cut {
            client.cut();
            assert!(visit(&board, &mut client, usize::MAX));
        }
        assert!(client.has_base());
        for topic in ["a", "b"] {
            assert_eq!(client.counts.get(topic), board.counts().get(topic), "after {cut} bytes");
        }
        if !was_cut {
            assert!(cut > 40, "only {cut} bytes");
            break;
        }
    }
}

/// A visit from the client's cursor on; of the bytes it gets so many, and a gap is one. Whether that was all.
fn visit(board: &Board, client: &mut Client, mut left: usize) -> bool {
    let start = Start::After(client.cursor.as_deref().unwrap().parse().unwrap());
    let subscription = board.hub().subscribe(Subscribe::topics(["a", "b"]).start(start)).unwrap();
    let of = board.clone();
    let mut subscriber = subscription
        .recover_with(move |_: &Gap| {
            // There is always more than there was.
            of.count("a");
            let state = of.snapshot();
            of.count("b");
            async { Some(state) }
        })
        .with_start(start);
    loop {
        let taken = match subscriber.poll_encoded(&mut Context::from_waker(Waker::noop()), &Wire, 10) {
            Poll::Ready(EncodedDelivery::Events(events)) => {
                client.read(&events.bytes[..events.bytes.len().min(left)]);
                events.bytes.len()
            }
            Poll::Ready(EncodedDelivery::Gap(gap)) if left > 0 => {
                client.read_gap(&gap);
                1
            }
            Poll::Ready(_) => return false,
            Poll::Pending => return true,
        };
        match left.checked_sub(taken) {
            Some(rest) => left = rest,
            None => return false,
        }
    }
}

#[test]
fn a_hubs_gap_says_what_was_delivered_before_it() {
    for topics in [&["a"][..], &["a", "b"]] {
        let hub = LocalHub::builder().retain(Retention::count(2)).live_buffer(0).build();
        let publish = |times: usize| {
            let topic = Topic::new("a").unwrap();
            (0..times).for_each(|_| assert!(hub.publish_now(&topic, "x").is_ok()));
        };
        let mut late = hub.subscribe(Subscribe::topics(topics.iter().copied())).unwrap();
        publish(2);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(late.poll_next(&mut cx), Poll::Ready(Delivery::Events(_))));
        let before = late.cursor().unwrap();
        publish(1_000);
        let back = hub.subscribe(Subscribe::topics(topics.iter().copied()).start(Start::After(before))).unwrap();
        for (mut subscription, reason) in [(late, GapReason::Overflow), (back, GapReason::Evicted)] {
            loop {
                let before = subscription.cursor();
                match subscription.poll_next(&mut cx) {
                    Poll::Ready(Delivery::Gap(gap)) => {
                        assert_eq!((gap.after, gap.reason), (before, reason));
                        break;
                    }
                    Poll::Ready(Delivery::Events(_)) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}
