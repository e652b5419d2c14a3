use std::cell::Cell;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, mpsc};
use std::task::{Context, Wake};
use std::time::{Duration, Instant};

use http_body::Body as _;
use tidings::stats::EndpointStats;
use tidings::time::{Clock, Sleep, Timer};
use tidings::{Body, Endpoint};

use crate::support::http::{App, get};
use crate::support::{Task, VirtualTimer};

/// Application code that calls the endpoint each time that it runs.
#[derive(Clone, Default)]
struct Nosy(Arc<OnceLock<Endpoint>>);

impl Nosy {
    fn look(&self) {
        thread_local!(static LOOKING: Cell<bool> = const { Cell::new(false) });
        // The calls of the endpoint read the clock too.
        if let Some(endpoint) = self.0.get().filter(|_| !LOOKING.replace(true)) {
            assert!(endpoint.sessions().len() <= endpoint.session_count());
            endpoint.disconnect_where(|_| endpoint.stats() == EndpointStats::default());
            endpoint.revoke_where(|session| session.name() == Some("none"));
            LOOKING.set(false);
        }
    }
}

#[derive(Clone)]
struct NosyTimer(VirtualTimer, Nosy);

impl Clock for NosyTimer {
    fn now(&self) -> Instant {
        self.1.look();
        self.0.now()
    }
}

impl Timer for NosyTimer {
    fn sleep_until(&self, at: Instant) -> Pin<Box<dyn Sleep>> {
        self.1.look();
        self.0.sleep_until(at)
    }
}

struct NosyTask(Nosy);

impl Wake for NosyTask {
    fn wake(self: Arc<Self>) {
        self.0.look();
    }
}

impl Drop for NosyTask {
    fn drop(&mut self) {
        self.0.look();
    }
}

fn poll(body: &mut Body, nosy: &Nosy) {
    // A new task each time, so that the waker of the last one is dropped when it is replaced.
    let waker = Arc::new(NosyTask(nosy.clone())).into();
    let _ = Pin::new(body).poll_frame(&mut Context::from_waker(&waker));
}

#[test]
fn p11_application_code_never_runs_under_a_lock_of_the_sessions() {
    let (done, answer) = mpsc::channel();
    // In its own thread: a lock that is taken twice would block for ever.
    std::thread::spawn(move || {
        let (app, timer, nosy) = (App::with_limit_key(), VirtualTimer::new(), Nosy::default());
        let builder = app.builder().timer(NosyTimer(timer.clone(), nosy.clone()));
        let endpoint = builder.max_session_age(Duration::from_secs(300)).build();
        assert!(nosy.0.set(endpoint.clone()).is_ok());
        let (mut driver, task) = (Box::pin(endpoint.driver()), Task::new());
        let mut turn = |time| {
            timer.advance(time);
            let _ = task.poll(&mut driver);
        };
        let open = |target: &str| {
            let mut answer = Box::pin(endpoint.handle(get(target).body(String::new()).unwrap()));
            match Task::new().poll(&mut answer) {
                std::task::Poll::Ready(answer) => Ok(answer.into_body()),
                std::task::Poll::Pending => Err(answer),
            }
        };
        for round in 0..8 {
            let mut bodies =
                [open("/?transport=sse&lifetime=60000").ok().unwrap(), open("/?transport=chunked").ok().unwrap()];
            let mut held = open(&format!("/?wait=50&session=a&cursor={}", app.hub.cursor())).err().unwrap();
            assert!(open("/?session=b").is_ok());
            for body in &mut bodies {
                poll(body, &nosy);
                poll(body, &nosy);
            }
            let waker = Arc::new(NosyTask(nosy.clone())).into();
            let _ = held.as_mut().poll(&mut Context::from_waker(&waker));
            app.publish("one");
            match round {
                0 => turn(Duration::from_secs(20)),
                1 => turn(Duration::from_secs(100)),
                2 => assert_eq!(endpoint.disconnect_where(|_| true), 4),
                3 => assert!(endpoint.revoke_where(|_| true) >= 4),
                4 => turn(Duration::from_secs(1_000)),
                _ => drop(held),
            }
            for body in &mut bodies {
                poll(body, &nosy);
            }
            drop(bodies);
            turn(Duration::from_millis(200));
        }
        let mut drain = Box::pin(endpoint.drain());
        let waker = Arc::new(NosyTask(nosy)).into();
        let _ = drain.as_mut().poll(&mut Context::from_waker(&waker));
        turn(Duration::from_secs(20));
        let _ = drain.as_mut().poll(&mut Context::from_waker(&waker));
        done.send(endpoint.session_count()).unwrap();
    });
    assert_eq!(answer.recv_timeout(Duration::from_secs(60)), Ok(0));
}
