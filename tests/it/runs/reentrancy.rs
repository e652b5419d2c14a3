//! Code of the application that calls the runs from inside: streams, wakers, and payloads that are dropped.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use tidings::EndReason::{Done, Stopped};
use tidings::runs::{RunError, Runs};
use tidings::subscriber::Delivery;
use tidings::{Event, Subscribe, Subscriber};

use super::script::Script;
use super::world::{World, read};

/// Stream that stops its own run, and has one more item.
struct Stopping(Runs);

impl Stream for Stopping {
    type Item = &'static str;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<&'static str>> {
        self.0.stop("runs/7");
        Poll::Ready(Some("too late"))
    }
}

#[test]
fn item_of_a_run_that_is_stopped_while_it_is_polled_is_not_published() {
    for (max_ended, is_read) in [(0, false), (0, true), (1, false), (1, true)] {
        let world = World::with(|runs| runs.max_ended(max_ended));
        let runs = world.runs.clone();
        world.runs.start("runs/7", || Stopping(runs)).unwrap();
        let reader = is_read.then(|| world.reader("runs/7"));
        world.tasks.run();
        if let Some(mut reader) = reader {
            assert_eq!(read(&mut reader), (vec![], Some(Stopped)));
        }
        assert_eq!(world.hub.stats().published, 0, "not even after the topic was freed");
        assert!(world.failures().is_empty());
        assert_eq!(world.is_gone("runs/7"), max_ended == 0);
        assert_eq!(world.hub.stats().topics, 0);
    }
}

/// Payload that starts the run of its topic when it is dropped.
struct Restarting(Runs, Arc<Mutex<Vec<RunError>>>);

impl AsRef<[u8]> for Restarting {
    fn as_ref(&self) -> &[u8] {
        b"payload"
    }
}

impl Drop for Restarting {
    fn drop(&mut self) {
        let script = Script::default();
        let started = self.0.start("runs/7", || script.stream());
        self.1.lock().unwrap().extend(started.err());
        assert!(self.0.list().is_empty());
        panic!("in the drop of a payload");
    }
}

/// Stream of one event.
struct One(Option<Event>);

impl Stream for One {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Event>> {
        Poll::Ready(self.0.take())
    }
}

#[test]
fn topic_is_not_free_before_its_history_is_dropped_and_a_panic_of_a_payload_is_reported() {
    let (world, refused) = (World::with(|runs| runs.linger(Duration::from_secs(60))), Arc::<Mutex<Vec<_>>>::default());
    let payload = Restarting(world.runs.clone(), Arc::clone(&refused));
    let event = Event::binary(Bytes::from_owner(payload));
    world.runs.start("runs/7", || One(Some(event))).unwrap();
    world.tasks.run();
    world.advance(Duration::from_secs(60));
    assert_eq!(*refused.lock().unwrap(), [RunError::Ended(crate::support::topic("runs/7"))]);
    let failures = world.failures();
    assert!(matches!(&failures[..], [(_, text)] if text == "in the drop of a payload"), "{failures:?}");
    assert_eq!((world.tasks.count(), world.hub.stats().topics), (0, 0));
    assert!(world.started("runs/7", &Script::of(["again"])).is_new());
    assert_eq!(world.read("runs/7"), (vec!["again".into()], Some(Done)));
}

const DAY: Duration = Duration::from_secs(86_400);

/// Returns a world with an ended run whose end the hub has forgotten. The next reader makes it publish the end again.
fn forgotten_end() -> World {
    let world = World::with(|runs| runs.linger(10 * DAY));
    world.started("runs/7", &Script::of(["one"]));
    world.advance(DAY + Duration::from_secs(1));
    world.hub.sweep();
    assert_eq!(world.hub.stats().finished_topics, 0);
    world
}

/// Calls the runs and keeps the number of live ones, when it is woken or dropped.
struct Listing(Runs, Arc<Mutex<Vec<usize>>>);

impl Listing {
    fn list(&self) {
        self.1.lock().unwrap().push(self.0.list().len());
    }
}

impl Wake for Listing {
    fn wake(self: Arc<Self>) {
        self.list();
    }
}

/// Payload that calls the runs when it is dropped.
struct ListingPayload(Listing);

impl AsRef<[u8]> for ListingPayload {
    fn as_ref(&self) -> &[u8] {
        b"payload"
    }
}

impl Drop for ListingPayload {
    fn drop(&mut self) {
        self.0.list();
    }
}

#[test]
fn waker_that_an_end_wakes_again_may_call_the_runs() {
    let (world, listed) = (forgotten_end(), Arc::<Mutex<Vec<_>>>::default());
    let mut plain = world.hub.subscribe(Subscribe::topics(["runs/7"])).unwrap();
    let waker = Waker::from(Arc::new(Listing(world.runs.clone(), Arc::clone(&listed))));
    assert!(plain.poll_next(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(world.read("runs/7"), (vec!["one".into()], Some(Done)));
    assert_eq!(*listed.lock().unwrap(), [0]);
}

#[test]
fn payload_that_an_end_drops_when_it_is_published_again_may_call_the_runs() {
    let (world, listed) = (forgotten_end(), Arc::<Mutex<Vec<_>>>::default());
    let payload = ListingPayload(Listing(world.runs.clone(), Arc::clone(&listed)));
    world.hub.publish_now("elsewhere", Event::binary(Bytes::from_owner(payload))).unwrap();
    world.advance(2 * DAY);
    assert!(listed.lock().unwrap().is_empty());
    assert_eq!(world.read("runs/7"), (vec!["one".into()], Some(Done)));
    assert_eq!(*listed.lock().unwrap(), [0], "the end swept the payload");
}

/// Waker that lets the runs forget their ended runs.
struct Forgetting(World);

impl Wake for Forgetting {
    fn wake(self: Arc<Self>) {
        self.0.timer.advance(20 * DAY);
        self.0.runs.stop("unknown");
        let started = self.0.start("runs/7", &Script::default());
        assert!(started.is_ok_and(|run| !run.is_new()), "the topic is not free");
    }
}

#[test]
fn run_whose_end_is_published_again_is_forgotten_after_it_and_not_meanwhile() {
    let world = Arc::new(Forgetting(forgotten_end()));
    let World { hub, runs, .. } = &world.0;
    let mut plain = hub.subscribe(Subscribe::topics(["runs/7"])).unwrap();
    let waker = Waker::from(Arc::clone(&world));
    assert!(plain.poll_next(&mut Context::from_waker(&waker)).is_pending());
    let reader = runs.subscribe_from("runs/7", tidings::Start::Oldest);
    assert!(matches!(reader, Err(RunError::Gone(_))), "its linger time is over: {reader:?}");
    assert!(world.0.failures().is_empty());
    assert_eq!(crate::support::poll(&mut plain).map(|end| matches!(end, Delivery::TopicEnd(_))), Poll::Ready(true));
    assert!(world.0.started("runs/7", &Script::of(["again"])).is_new());
}
