//! An endpoint's driver as the notifier of a hub.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use http_body::Body as _;
use tidings::{Body, Endpoint, LocalHub, Subscribe, Subscriber, Subscription};

use crate::support::http::{App, To, get};
use crate::support::{Task, VirtualTimer};

type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

fn endpoint(app: &App) -> (Endpoint, Driver) {
    let endpoint = app.builder().timer(VirtualTimer::new()).notifier(&app.hub).build();
    let driver = Box::pin(endpoint.driver());
    (endpoint, driver)
}

fn now<T>(future: impl Future<Output = T>) -> T {
    match Task::new().poll(&mut pin!(future)) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits"),
    }
}

/// A stream of server-sent events and the task that waits for its next piece.
struct Client {
    body: Body,
    task: Task,
}

impl Client {
    fn new(endpoint: &Endpoint) -> Self {
        let mut client = Self { body: now(get("/?transport=sse").to(endpoint)).into_body(), task: Task::new() };
        client.read();
        client
    }

    /// Reads everything that is ready, and registers for more. Returns the number of pieces.
    fn read(&mut self) -> usize {
        let Self { body, task } = self;
        std::iter::from_fn(|| Some(task.with(|cx| Pin::new(&mut *body).poll_frame(cx))).filter(Poll::is_ready)).count()
    }
}

/// Polls the driver until it waits.
fn run(driver: &mut Driver, task: &Task) {
    assert!(task.poll(driver).is_pending());
    while task.wakes() > 0 {
        assert!(task.poll(driver).is_pending());
    }
}

#[test]
fn publish_to_waiting_streams_leaves_their_wakes_to_the_driver() {
    let app = App::new();
    let (endpoint, mut driver) = endpoint(&app);
    let driving = Task::new();
    run(&mut driver, &driving);
    let mut clients: Vec<_> = (0..300).map(|_| Client::new(&endpoint)).collect();
    run(&mut driver, &driving); // their keep-alives
    app.publish("one");
    assert!(clients.iter().all(|client| client.task.wakes() == 0), "a publish wakes the driver alone");
    assert_eq!(driving.wakes(), 1);
    run(&mut driver, &driving);
    assert!(clients.iter().all(|client| client.task.wakes() == 1));
    assert!(clients.iter_mut().all(|client| client.read() == 1));
}

#[test]
fn publish_without_a_driver_wakes_waiting_streams_itself() {
    let app = App::new();
    let (endpoint, mut driver) = endpoint(&app);
    let driving = Task::new();
    run(&mut driver, &driving);
    let mut client = Client::new(&endpoint);
    app.publish("one");
    drop(driver);
    // Woken by the notifier, and by the stream to start another driver: for its keep-alive and for its session's alarm.
    assert_eq!(client.task.wakes(), 3, "a driver that ends wakes those that it still had to");
    assert_eq!(client.read(), 1);
    app.publish("two");
    assert_eq!(client.task.wakes(), 1);
    assert_eq!(client.read(), 1);
}

#[test]
fn second_endpoint_takes_over_the_notifier_when_the_driver_of_the_first_ends() {
    let app = App::new();
    let ((first, mut first_driver), (second, mut second_driver)) = (endpoint(&app), endpoint(&app));
    let (driving, waiting) = (Task::new(), Task::new());
    run(&mut first_driver, &driving);
    run(&mut second_driver, &waiting);
    run(&mut second_driver, &waiting);
    let mut clients = [Client::new(&first), Client::new(&second)];
    run(&mut first_driver, &driving);
    run(&mut second_driver, &waiting);
    app.publish("one");
    assert_eq!((driving.wakes(), waiting.wakes()), (1, 0));
    run(&mut first_driver, &driving);
    assert!(clients.iter_mut().all(|client| client.task.wakes() == 1 && client.read() == 1));

    drop(first_driver);
    assert_eq!(waiting.wakes(), 1, "the driver is woken once");
    assert_eq!(clients.each_ref().map(|client| client.task.wakes()), [2, 0], "a stream may start another driver");
    run(&mut second_driver, &waiting);
    app.publish("two");
    assert!(clients.iter().all(|client| client.task.wakes() == 0));
    run(&mut second_driver, &waiting);
    assert!(clients.iter_mut().all(|client| client.task.wakes() == 1 && client.read() == 1));
}

#[test]
fn driver_takes_over_from_the_applications_notifier_and_gives_it_back() {
    let app = App::new();
    let own = app.hub.notifier().unwrap();
    let (_endpoint, mut driver) = endpoint(&app);
    let driving = Task::new();
    run(&mut driver, &driving);
    drop(own);
    run(&mut driver, &driving);
    assert!(app.hub.notifier().is_none(), "the driver is the notifier");
    drop(driver);
    assert!(app.hub.notifier().is_some());
}

#[test]
fn dropped_driver_that_waited_for_the_notifier_is_not_woken() {
    let app = App::new();
    let own = app.hub.notifier().unwrap();
    let (_endpoint, mut driver) = endpoint(&app);
    let driving = Task::new();
    run(&mut driver, &driving);
    drop(driver);
    drop(own);
    assert_eq!(driving.wakes(), 0);
}

#[test]
fn driver_of_an_endpoint_with_a_closed_hub_goes_on() {
    let app = App::new();
    let (endpoint, mut driver) = endpoint(&app);
    let driving = Task::new();
    run(&mut driver, &driving);
    app.hub.close();
    assert_eq!(driving.wakes(), 1);
    run(&mut driver, &driving);
    drop((app, endpoint));
    assert!(driving.poll(&mut driver).is_ready());
}

#[test]
fn endpoint_with_a_notifier_does_not_keep_its_hub_open() {
    let (hub, app) = (LocalHub::new(), App::new());
    let endpoint = app.builder().timer(VirtualTimer::new()).notifier(&hub).build();
    let (mut driver, driving): (Driver, _) = (Box::pin(endpoint.driver()), Task::new());
    run(&mut driver, &driving);
    let mut subscription = hub.subscribe(Subscribe::topics(["news"])).unwrap();
    assert!(subscription.poll_next(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(hub);
    assert!(subscription.poll_next(&mut Context::from_waker(Waker::noop())).is_ready(), "the hub is closed");
    assert_eq!(driving.wakes(), 1);
    run(&mut driver, &driving);
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("as a test");
    }
}

#[test]
fn driver_survives_a_waker_that_panics_and_wakes_the_others() {
    let app = App::new();
    let (endpoint, mut driver) = endpoint(&app);
    let driving = Task::new();
    run(&mut driver, &driving);
    let mut before = Client::new(&endpoint);
    let mut bad: Subscription = app.hub.subscribe(Subscribe::topics(["news"])).unwrap();
    assert!(bad.poll_next(&mut Context::from_waker(&Waker::from(Arc::new(Panics)))).is_pending());
    let mut after = Client::new(&endpoint);
    app.publish("one");
    assert!(catch_unwind(AssertUnwindSafe(|| run(&mut driver, &driving))).is_ok());
    assert!([&mut before, &mut after].into_iter().all(|client| client.task.wakes() == 1 && client.read() == 1));
    drop(bad);
    app.publish("two");
    assert_eq!(before.task.wakes(), 0, "the driver is the notifier again");
    run(&mut driver, &driving);
    assert!([&mut before, &mut after].into_iter().all(|client| client.task.wakes() == 1 && client.read() == 1));
}
