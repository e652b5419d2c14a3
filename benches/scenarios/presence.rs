//! Sessions that come and go, with presence and without. No executor, one thread, time that passes by hand.

use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use http::Request;
use tidings::time::{Clock, Sleep, Timer};
use tidings::{Accepted, Endpoint, EndpointBuilder, LocalHub, Retention, Session, Subscribe, Subscriber, Subscription};

/// Sessions of a round. With presence, each makes two changes.
pub(crate) const SESSIONS: usize = 1_000;

/// Endpoint whose sessions come and go. One subscription reads the topic of the presence.
pub(crate) struct Crowd {
    endpoint: Endpoint,
    driver: Pin<Box<dyn Future<Output = ()>>>,
    clock: ByHand,
    people: Subscription,
}

impl Crowd {
    pub(crate) fn new(is_present: bool) -> Self {
        let hub = LocalHub::builder().retain_for("people", Retention::latest_per_key()).build();
        let clock = ByHand(Arc::new(Mutex::new(Instant::now())));
        let builder = EndpointBuilder::from_fn(&hub, async |request| {
            let user = request.query("user").unwrap_or_default().into_owned();
            Ok(Accepted::new(request.subscribe_to(["news"])).with_data(user))
        });
        let builder = match is_present {
            true => builder.presence(&hub, |session: &Session| {
                let user = session.data::<String>()?;
                Some(("people", user.clone(), user.clone()))
            }),
            false => builder,
        };
        let endpoint = builder.timer(clock.clone()).reconnect_grace(Duration::from_secs(1)).build();
        let people = hub.subscribe(Subscribe::topics(["people"])).expect("open");
        Self { driver: Box::pin(endpoint.driver()), endpoint, clock, people }
    }

    /// Begins the sessions, ends them, and lets the removals be published.
    pub(crate) fn round(&mut self) {
        let cx = &mut Context::from_waker(Waker::noop());
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|user| {
                let request = Request::get(format!("/?transport=sse&user={user}")).header("host", "localhost");
                let mut answer = Box::pin(self.endpoint.handle(request.body(String::new()).expect("a request")));
                let answer = answer.as_mut().poll(cx);
                if let Poll::Ready(answer) = answer { Some(answer) } else { None }.expect("the answer is ready at once")
            })
            .collect();
        drop(sessions);
        // The rest of the time is for the changes that one turn of the driver leaves to the next.
        for step in [1_100, 10, 10, 10, 10, 1_000, 10, 10, 10, 10] {
            *self.clock.0.lock().expect("no panic") += Duration::from_millis(step);
            let _driver = self.driver.as_mut().poll(cx);
        }
        while let Poll::Ready(delivery) = self.people.poll_next(cx) {
            black_box(delivery);
        }
        let stats = self.endpoint.stats();
        assert_eq!((stats.live(), stats.present_keys, stats.refused_presence), (0, 0, 0));
    }
}

/// Timer whose time passes by hand. A sleep wakes no task: the driver is polled after each step.
#[derive(Clone)]
struct ByHand(Arc<Mutex<Instant>>);

impl Clock for ByHand {
    fn now(&self) -> Instant {
        *self.0.lock().expect("no panic")
    }
}

impl Timer for ByHand {
    fn sleep_until(&self, at: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(ByHandSleep { clock: self.clone(), at })
    }
}

struct ByHandSleep {
    clock: ByHand,
    at: Instant,
}

impl Future for ByHandSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.at <= self.clock.now() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Sleep for ByHandSleep {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.at = at;
    }
}
