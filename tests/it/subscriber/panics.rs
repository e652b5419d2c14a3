//! Panics of the application's code between a hub and a client: the cursor does not move and no event is skipped.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use proptest::prelude::*;
use tidings::subscriber::{Delivery, EncodedDelivery, EventRef, Format, Recovery, Slot, SubscriberExt};
use tidings::{Gap, Start, Subscribe, Subscriber};

use crate::support::counting::{Counters, CursorLineFormat, TOPICS};

/// A counter that panics once, at the call after a set number of calls. A negative number means never.
#[derive(Debug, Clone)]
pub(super) struct PanicAfter(Arc<AtomicI32>);

impl PanicAfter {
    pub(super) fn new(after: i32) -> Self {
        Self(Arc::new(after.into()))
    }

    pub(super) fn set(&self, after: i32) {
        self.0.store(after, Ordering::Relaxed);
    }

    pub(super) fn call(&self) {
        assert_ne!(self.0.fetch_sub(1, Ordering::Relaxed), 0, "on request");
    }
}

/// [`CursorLineFormat`], which panics in the middle of an event.
pub(super) struct PanickingFormat {
    pub(super) panics: PanicAfter,
    pub(super) slot: Option<Slot>,
}

impl Format for PanickingFormat {
    fn slot(&self) -> Option<Slot> {
        self.slot
    }

    fn encode(&self, event: &EventRef<'_>, out: &mut BytesMut) {
        let whole = out.len();
        out.extend_from_slice(b"half of an event");
        self.panics.call();
        out.truncate(whole);
        CursorLineFormat.encode(event, out);
    }
}

/// Returns a source of snapshots whose call or future panics.
fn snapshots(counters: &Counters, panics: &PanicAfter, in_future: bool) -> impl Recovery + use<> {
    let (counters, panics) = (counters.clone(), panics.clone());
    move |_: &Gap| {
        if !in_future {
            panics.call();
        }
        let (counters, panics) = (counters.clone(), panics.clone());
        async move {
            std::future::ready(()).await;
            if in_future {
                panics.call();
            }
            Some(counters.snapshot())
        }
    }
}

/// Polls until it is pending, for a batch or for bytes as `encoded` returns each time. Returns the lines, with `gap` for a gap.
/// Checks that a panic does not move the cursor.
fn read<S: Subscriber>(
    subscriber: &mut S,
    format: &dyn Format,
    max: usize,
    encoded: &mut dyn FnMut() -> bool,
) -> Vec<String> {
    let (mut all, mut cx) = (Vec::new(), Context::from_waker(Waker::noop()));
    loop {
        let before = subscriber.cursor();
        let is_encoded = encoded();
        let polled = catch_unwind(AssertUnwindSafe(|| match is_encoded {
            true => subscriber.poll_encoded(&mut cx, format, max).map(|encoded| match encoded {
                EncodedDelivery::Events(events) => std::str::from_utf8(&events.bytes).unwrap().to_owned(),
                EncodedDelivery::Gap(gap) => format!("gap {} {}\n", gap.cursor, gap.snapshot),
                other => panic!("{other:?}"),
            }),
            false => subscriber.poll_next(&mut cx).map(|delivery| match delivery {
                Delivery::Events(batch) => {
                    let mut out = BytesMut::new();
                    batch.iter().for_each(|event| CursorLineFormat.encode(&event, &mut out));
                    String::from_utf8(out.to_vec()).unwrap()
                }
                Delivery::Gap(gap) => format!("gap {} {}\n", gap.cursor, gap.snapshot),
                other => panic!("{other:?}"),
            }),
        }));
        match polled {
            Err(_) => {
                // A client without a cursor has the cursor `0.0` after a gap.
                let nowhere = before.is_none().then(|| "0.0".parse().unwrap());
                let after = subscriber.cursor();
                assert!(after == before || after == nowhere, "{before:?} became {after:?} after {all:?}");
            }
            // An event of a batch has no cursor where encoded bytes have `0.0`.
            Ok(Poll::Ready(lines)) => all.extend(lines.lines().map(|line| match line.strip_prefix("0.0 ") {
                Some(rest) => format!("- {rest}"),
                None => line.to_owned(),
            })),
            Ok(Poll::Pending) => return all,
        }
    }
}

fn subscribe(counters: &Counters, start: Start, panics: &PanicAfter, in_future: bool) -> impl Subscriber + use<> {
    let subscription = counters.hub().subscribe(Subscribe::topics(TOPICS).start(start)).unwrap();
    let recovering = subscription.recover_with(snapshots(counters, panics, in_future)).with_start(start);
    if start == Start::Now { recovering.with_snapshot(counters.snapshot()) } else { recovering }
}

#[test]
fn gap_is_delivered_after_a_panic_of_the_snapshot_call() {
    for in_future in [false, true] {
        for is_encoded in [true, false] {
            let (counters, panics) = (Counters::new(4), PanicAfter::new(0));
            counters.count("a");
            let cursor = counters.hub().cursor();
            (0..9).for_each(|_| counters.count("a"));
            let mut subscriber = subscribe(&counters, Start::After(cursor), &panics, in_future);
            let mut cx = Context::from_waker(Waker::noop());
            let panicked = catch_unwind(AssertUnwindSafe(|| match is_encoded {
                true => drop(subscriber.poll_encoded(&mut cx, &CursorLineFormat, 100)),
                false => drop(subscriber.poll_next(&mut cx)),
            }));
            assert!(panicked.is_err());
            assert_eq!(subscriber.cursor(), Some(cursor));
            let all = read(&mut subscriber, &CursorLineFormat, 100, &mut || is_encoded);
            let epoch = cursor.to_string().split('.').next().unwrap().to_owned();
            let state = ["- a reset".to_owned(), "- a =10".to_owned(), format!("{epoch}.b10 c done")];
            assert_eq!(all, [&["gap 0.0 true".to_owned()][..], &state].concat());
        }
    }
}

#[test]
fn events_are_delivered_again_after_a_panic_of_the_format() {
    for slot in [None, Some(Slot::APPLICATION[0])] {
        let counters = Counters::new(100);
        ["a", "a", "b", "c", "b"].into_iter().for_each(|topic| counters.count(topic));
        for after in 0..5 {
            let mut subscriber = counters.hub().subscribe(Subscribe::topics(TOPICS).start(Start::Oldest)).unwrap();
            let format = PanickingFormat { panics: PanicAfter::new(after), slot };
            let all = read(&mut subscriber, &format, 1_000, &mut || true);
            let texts: Vec<_> = all.iter().map(|line| line.split_once(' ').unwrap().1).collect();
            assert_eq!(texts, ["a 1", "a 2", "b 1", "c 1", "b 2"], "after {after}");
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Count {
        topic: usize,
        times: usize,
    },
    Read {
        max: usize,
    },
    /// Sets the number of events and snapshot calls before the next panic.
    Panic {
        after: i32,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..TOPICS.len(), 0..80_usize).prop_map(|(topic, times)| Step::Count { topic, times }),
        3 => (0..TOPICS.len(), 0..5_usize).prop_map(|(topic, times)| Step::Count { topic, times }),
        4 => (0..120_usize).prop_map(|max| Step::Read { max }),
        3 => (0..6_i32).prop_map(|after| Step::Panic { after }),
    ]
}

proptest! {
    #![proptest_config(crate::support::cases(300))]

    /// A subscriber with panics reads the same as one without.
    #[test]
    fn panics_of_format_or_snapshot_call_skip_no_event(
        retain in 0..6_usize,
        start in 0..3_u8,
        in_future: bool,
        slot in prop::sample::select(vec![None, Some(Slot::APPLICATION[0])]),
        kinds in prop::collection::vec(any::<bool>(), 8),
        steps in prop::collection::vec(step(), 1..25),
    ) {
        let counters = Counters::new(retain);
        (0..7).for_each(|number| counters.count(TOPICS[number % 2]));
        let first = counters.hub().cursor().epoch();
        let start = match start {
            0 => Start::Now,
            1 => Start::Unreadable,
            _ => Start::After(tidings::Cursor::new(first, 1)),
        };
        let (panics, never) = (PanicAfter::new(-1), PanicAfter::new(-1));
        let mut panicking = subscribe(&counters, start, &panics, in_future);
        let mut steady = subscribe(&counters, start, &never, in_future);
        let format = PanickingFormat { panics: panics.clone(), slot };
        let (mut read_by_panicking, mut read_by_steady) = (Vec::new(), Vec::new());
        let mut kinds = kinds.into_iter().cycle();
        for step in steps.into_iter().chain([Step::Read { max: 100 }]) {
            match step {
                Step::Count { topic, times } => (0..times).for_each(|_| counters.count(TOPICS[topic])),
                Step::Panic { after } => panics.set(after),
                Step::Read { max } => {
                    read_by_panicking.extend(read(&mut panicking, &format, max, &mut || kinds.next().unwrap()));
                    read_by_steady.extend(read(&mut steady, &CursorLineFormat, max, &mut || true));
                }
            }
        }
        prop_assert_eq!(&read_by_panicking, &read_by_steady);
        prop_assert_eq!(panicking.cursor(), steady.cursor());
    }
}
