//! Subscriptions that begin while events are published and leave memory.

use std::cell::RefCell;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tidings::disk::DiskHub;
use tidings::subscriber::Delivery;
use tidings::time::Clock;
use tidings::{Cursor, LocalHub, Retention, Start, Subscribe, Subscriber};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::LIMIT;
use crate::files::Directory;

/// Events that are published before a subscription begins, and while it begins.
const EVENTS: usize = 6;

type ClockAction = Option<Box<dyn FnOnce()>>;

thread_local! {
    /// Calls of the clock on this thread before an action, and the action.
    static ACTION: RefCell<(usize, ClockAction)> = RefCell::default();
}

/// Clock that carries out [`ACTION`]. A hub reads its clock while a subscription begins, and holds no lock then.
struct ActingClock;

impl Clock for ActingClock {
    fn now(&self) -> Instant {
        let action = ACTION.with_borrow_mut(|(calls, action)| match calls.checked_sub(1) {
            Some(left) => {
                *calls = left;
                None
            }
            None => action.take(),
        });
        action.into_iter().for_each(|action| action());
        Instant::now()
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Publishes events to two topics in turn.
fn publish(hub: &DiskHub, name: &str) -> Vec<String> {
    let texts: Vec<_> = (1..=EVENTS).map(|number| format!("{name} {number}")).collect();
    for (place, text) in texts.iter().enumerate() {
        runtime().block_on(hub.publish(["a", "b"][place % 2], text.clone())).unwrap();
    }
    texts
}

/// Calls `begin` while events are published at the given call of the clock. Returns `None` if it makes fewer calls.
fn during<T>(hub: &DiskHub, call: usize, begin: impl FnOnce() -> T) -> Option<T> {
    let publishing = hub.clone();
    ACTION.set((call, Some(Box::new(move || drop(publish(&publishing, "meanwhile"))))));
    let begun = begin();
    ACTION.take().1.is_none().then_some(begun)
}

/// Returns the texts of a delivery, which must be of events.
fn texts_of(delivery: Delivery) -> Vec<String> {
    match delivery {
        Delivery::Events(batch) => batch.iter().filter_map(|event| event.event.as_str().map(str::to_owned)).collect(),
        other => panic!("{other:?}"),
    }
}

/// Publishes a last event to topic `b` and reads up to it.
fn read_all(hub: &DiskHub, mut subscription: impl Subscriber) -> Vec<String> {
    runtime().block_on(async {
        hub.publish("b", "last").await.unwrap();
        let mut texts = Vec::new();
        while texts.last().is_none_or(|text| text != "last") {
            let delivery = timeout(LIMIT, poll_fn(|cx| subscription.poll_next(cx))).await;
            texts.extend(texts_of(delivery.expect("the last event is delivered")));
        }
        texts
    })
}

fn open(directory: &Directory) -> DiskHub {
    let memory = LocalHub::builder().retain(Retention::count(1)).live_buffer(0).clock(ActingClock);
    DiskHub::builder(&directory.0).memory(memory).open().unwrap()
}

/// Returns the events of `names` that are to be read: those before, those that were published meanwhile, and the last.
fn expected(names: &[&str], before: Vec<String>) -> Vec<String> {
    let all = before.into_iter().chain((1..=EVENTS).map(|number| format!("meanwhile {number}")));
    let is_read = |place: &usize| names != ["b"] || place % 2 == 1;
    let read = all.enumerate().filter(|(place, _)| is_read(place)).map(|(_, text)| text);
    read.chain(["last".to_owned()]).collect()
}

/// Checks a start at each call of the clock that a subscription makes while it begins.
fn begins(start: impl Fn(Cursor) -> Start) {
    // A subscription of patterns reads the clock only where it resumes.
    for names in [&["b"][..], &["a", "b"], &["a", "b", "c/*"], &["*"]] {
        for call in 0.. {
            let directory = Directory::new();
            let hub = open(&directory);
            let cursor = hub.cursor();
            let before = publish(&hub, "before");
            let what = Subscribe::patterns(names).start(start(cursor));
            let Some(subscription) = during(&hub, call, || hub.subscribe(what).unwrap()) else {
                assert!(call > 0 || names == ["*"], "{names:?}: a subscription reads the clock");
                break;
            };
            assert_eq!(read_all(&hub, subscription), expected(names, before), "{names:?}, call {call}");
        }
    }
}

#[test]
fn resume_while_events_leave_memory_has_no_gap() {
    begins(Start::After);
}

#[test]
fn start_at_the_oldest_event_while_events_leave_memory_has_no_gap() {
    begins(|_| Start::Oldest);
}

#[test]
fn subscription_that_is_too_slow_for_memory_while_more_events_leave_it_has_no_gap() {
    for names in [&["b"][..], &["a", "b"], &["*"]] {
        for call in 0.. {
            let directory = Directory::new();
            let hub = open(&directory);
            let mut subscription = hub.subscribe(Subscribe::patterns(names)).unwrap();
            let before = publish(&hub, "before");
            // The subscription begins again in memory.
            let mut cx = Context::from_waker(Waker::noop());
            let Some(polled) = during(&hub, call, || subscription.poll_next(&mut cx)) else {
                assert!(call > 0 || names == ["*"], "{names:?}: a subscription reads the clock");
                break;
            };
            let mut read = match polled {
                Poll::Ready(delivery) => texts_of(delivery),
                Poll::Pending => Vec::new(),
            };
            read.extend(read_all(&hub, subscription));
            assert_eq!(read, expected(names, before), "{names:?}, call {call}");
        }
    }
}

#[test]
fn start_now_while_events_leave_memory_has_no_gap() {
    for names in [&["b"][..], &["a", "b"], &["*"]] {
        for call in 0.. {
            let directory = Directory::new();
            let hub = open(&directory);
            let before = publish(&hub, "before");
            let Some(subscription) = during(&hub, call, || hub.subscribe(Subscribe::patterns(names)).unwrap()) else {
                assert!(call > 0 || names == ["*"], "{names:?}: a subscription reads the clock");
                break;
            };
            let read = read_all(&hub, subscription);
            assert!(expected(names, before).ends_with(&read), "{names:?}, call {call}: {read:?}");
        }
    }
}
