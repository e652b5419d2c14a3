//! Panics of the application's code on the way from a hub to a client: the cursor stays, and nothing is passed over.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use proptest::prelude::*;
use tidings::subscriber::{Delivery, EncodedDelivery, EventRef, Format, Recovery, Slot, SubscriberExt};
use tidings::{Gap, Start, Subscribe, Subscriber};

use super::board::{Board, TOPICS, Wire};

/// Panics once, after it was burnt so many times. Below zero: never.
#[derive(Debug, Clone)]
struct Fuse(Arc<AtomicI32>);

impl Fuse {
    fn new(after: i32) -> Self {
        Self(Arc::new(after.into()))
    }

    fn set(&self, after: i32) {
        self.0.store(after, Ordering::Relaxed);
    }

    fn burn(&self) {
        assert_ne!(self.0.fetch_sub(1, Ordering::Relaxed), 0, "on request");
    }
}

/// [`Wire`], which panics in the middle of an event.
struct Unsteady {
    fuse: Fuse,
    slot: Option<Slot>,
}

impl Format for Unsteady {
    fn slot(&self) -> Option<Slot> {
        self.slot
    }

    fn encode(&self, event: &EventRef<'_>, out: &mut BytesMut) {
        let whole = out.len();
        out.extend_from_slice(b"half of an event");
        self.fuse.burn();
        out.truncate(whole);
        Wire.encode(event, out);
    }
}

/// Returns a source of a board's snapshots, whose call panics, or whose future.
fn snapshots(board: &Board, fuse: &Fuse, in_future: bool) -> impl Recovery + use<> {
    let (board, fuse) = (board.clone(), fuse.clone());
    move |_: &Gap| {
        if !in_future {
            fuse.burn();
        }
        let (board, fuse) = (board.clone(), fuse.clone());
        async move {
            std::future::ready(()).await;
            if in_future {
                fuse.burn();
            }
            Some(board.snapshot())
        }
    }
}

/// Polls until it is pending, by either method, as `encoded` says each time: the lines, with `gap` for a gap. A panic must
/// leave the cursor where it was.
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
                    batch.iter().for_each(|event| Wire.encode(&event, &mut out));
                    String::from_utf8(out.to_vec()).unwrap()
                }
                Delivery::Gap(gap) => format!("gap {} {}\n", gap.cursor, gap.snapshot),
                other => panic!("{other:?}"),
            }),
        }));
        match polled {
            Err(_) => {
                // A client without a cursor that has met a gap is nowhere.
                let nowhere = before.is_none().then(|| "0.0".parse().unwrap());
                let after = subscriber.cursor();
                assert!(after == before || after == nowhere, "{before:?} became {after:?} after {all:?}");
            }
            // A batch has no cursor where bytes have that of nowhere.
            Ok(Poll::Ready(lines)) => all.extend(lines.lines().map(|line| match line.strip_prefix("0.0 ") {
                Some(rest) => format!("- {rest}"),
                None => line.to_owned(),
            })),
            Ok(Poll::Pending) => return all,
        }
    }
}

fn attach(board: &Board, start: Start, fuse: &Fuse, in_future: bool) -> impl Subscriber + use<> {
    let subscription = board.hub().subscribe(Subscribe::topics(TOPICS).start(start)).unwrap();
    let mended = subscription.recover_with(snapshots(board, fuse, in_future)).with_start(start);
    if start == Start::Now { mended.with_snapshot(board.snapshot()) } else { mended }
}

#[test]
fn gap_is_met_again_after_a_panic_of_the_call_for_state() {
    for in_future in [false, true] {
        for is_encoded in [true, false] {
            let (board, fuse) = (Board::new(4), Fuse::new(0));
            board.count("a");
            let cursor = board.hub().cursor();
            (0..9).for_each(|_| board.count("a"));
            let mut subscriber = attach(&board, Start::After(cursor), &fuse, in_future);
            let mut cx = Context::from_waker(Waker::noop());
            let panicked = catch_unwind(AssertUnwindSafe(|| match is_encoded {
                true => drop(subscriber.poll_encoded(&mut cx, &Wire, 100)),
                false => drop(subscriber.poll_next(&mut cx)),
            }));
            assert!(panicked.is_err());
            assert_eq!(subscriber.cursor(), Some(cursor));
            let all = read(&mut subscriber, &Wire, 100, &mut || is_encoded);
            let epoch = cursor.to_string().split('.').next().unwrap().to_owned();
            let state = ["- a reset".to_owned(), "- a =10".to_owned(), format!("{epoch}.10 c done")];
            assert_eq!(all, [&["gap 0.0 true".to_owned()][..], &state].concat());
        }
    }
}

#[test]
fn events_of_a_hub_come_again_after_a_panic_of_the_format() {
    for slot in [None, Some(Slot::APPLICATION[0])] {
        let board = Board::new(100);
        ["a", "a", "b", "c", "b"].into_iter().for_each(|topic| board.count(topic));
        for after in 0..5 {
            let mut subscriber = board.hub().subscribe(Subscribe::topics(TOPICS).start(Start::Oldest)).unwrap();
            let format = Unsteady { fuse: Fuse::new(after), slot };
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
    /// Panics at the so-manieth event, or call for state, from here on.
    Fuse {
        after: i32,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..TOPICS.len(), 0..80_usize).prop_map(|(topic, times)| Step::Count { topic, times }),
        3 => (0..TOPICS.len(), 0..5_usize).prop_map(|(topic, times)| Step::Count { topic, times }),
        4 => (0..120_usize).prop_map(|max| Step::Read { max }),
        3 => (0..6_i32).prop_map(|after| Step::Fuse { after }),
    ]
}

proptest! {
    #![proptest_config(crate::support::cases(300))]

    /// A client whose code panics here and there reads what another one reads.
    #[test]
    fn panics_pass_over_nothing(
        retain in 0..6_usize,
        start in 0..3_u8,
        in_future: bool,
        slot in prop::sample::select(vec![None, Some(Slot::APPLICATION[0])]),
        kinds in prop::collection::vec(any::<bool>(), 8),
        steps in prop::collection::vec(step(), 1..25),
    ) {
        let board = Board::new(retain);
        (0..7).for_each(|number| board.count(TOPICS[number % 2]));
        let first = board.hub().cursor().epoch();
        let start = match start {
            0 => Start::Now,
            1 => Start::Unreadable,
            _ => Start::After(tidings::Cursor::new(first, 1)),
        };
        let (fuse, steady) = (Fuse::new(-1), Fuse::new(-1));
        let mut shaky = attach(&board, start, &fuse, in_future);
        let mut calm = attach(&board, start, &steady, in_future);
        let format = Unsteady { fuse: fuse.clone(), slot };
        let (mut read_by_shaky, mut read_by_calm) = (Vec::new(), Vec::new());
        let mut kinds = kinds.into_iter().cycle();
        for step in steps.into_iter().chain([Step::Read { max: 100 }]) {
            match step {
                Step::Count { topic, times } => (0..times).for_each(|_| board.count(TOPICS[topic])),
                Step::Fuse { after } => fuse.set(after),
                Step::Read { max } => {
                    read_by_shaky.extend(read(&mut shaky, &format, max, &mut || kinds.next().unwrap()));
                    read_by_calm.extend(read(&mut calm, &Wire, max, &mut || true));
                }
            }
        }
        prop_assert_eq!(&read_by_shaky, &read_by_calm);
        prop_assert_eq!(shaky.cursor(), calm.cursor());
    }
}
