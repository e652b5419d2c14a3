use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tidings::time::{Clock, Sleep, Timer, TokioTimer};
use tidings::{SessionEnd, Transport};

use crate::support::Task;
use crate::support::http::{App, HELD, SessionEvent, TestClient, To, get, text};

#[tokio::test(start_paused = true)]
async fn session_ended_during_joined_leaves_after_it() {
    for transport in HELD {
        for (revoked, why) in [(true, SessionEnd::Revoked), (false, SessionEnd::Disconnected)] {
            let app = App::with_limit_key();
            let endpoint = app.endpoint();
            let (seen, by) = (app.clone(), endpoint.clone());
            app.on_joined(move |session| {
                assert!(if revoked { by.revoke(session.id()) } else { by.disconnect(session.id()) });
                assert!(!by.disconnect(session.id()));
                assert_eq!((seen.left(), by.session_count()), (vec![], 1));
            });
            app.publish("one");
            let mut client = TestClient::open(&endpoint, transport, "/?oldest").await;
            client.finish().await;
            assert_eq!((app.end_reason(), client.text().contains("one")), (why, !revoked), "{transport:?}");
            assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (0, 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn session_drained_during_joined_leaves_after_it() {
    for transport in HELD {
        let app = App::with_limit_key();
        let endpoint = app.builder().drain_timeout(Duration::ZERO).build();
        let (seen, by) = (app.clone(), endpoint.clone());
        app.on_joined(move |_| {
            let mut drain = Box::pin(by.drain());
            assert!(Task::new().poll(&mut drain).is_ready());
            assert_eq!((seen.left(), by.session_count()), (vec![], 1));
        });
        app.publish("one");
        let mut client = TestClient::open(&endpoint, transport, "/?oldest").await;
        client.finish().await;
        assert_eq!(app.end_reason(), SessionEnd::Drained, "{transport:?}");
        assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (0, 0));
        assert!(!client.text().contains("one"), "{transport:?}: {}", client.text());
    }
}

#[tokio::test(start_paused = true)]
async fn poll_session_revoked_during_joined_ends() {
    let app = App::with_limit_key();
    let endpoint = app.endpoint();
    let by = endpoint.clone();
    app.on_joined(move |session| assert!(by.revoke(session.id())));
    let client = TestClient::open(&endpoint, Transport::ShortPoll, "/?session=a").await;
    assert_eq!((client.end().as_deref(), app.end_reason()), (Some("401 with a challenge"), SessionEnd::Revoked));
}

/// A gate at which threads wait.
#[derive(Default)]
struct Gate(Mutex<bool>, Condvar);

impl Gate {
    fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }

    fn wait(&self) {
        let shut = self.1.wait_while(self.0.lock().unwrap(), |open| !*open).unwrap();
        drop(shut);
    }
}

#[test]
fn no_poll_of_a_session_is_answered_before_joined_returns() {
    let (app, inside, gate) = (App::with_limit_key(), Arc::<Gate>::default(), Arc::<Gate>::default());
    app.publish("one");
    let endpoint = app.endpoint();
    app.on_joined({
        let (inside, gate) = (inside.clone(), gate.clone());
        move |_| {
            inside.open();
            gate.wait();
        }
    });
    let tab = || {
        let endpoint = endpoint.clone();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async { text(get("/?session=a&oldest").to(&endpoint).await).await })
        })
    };
    let first = tab();
    inside.wait();
    let second = tab();
    // The second poll may arrive early or late, but it must not be answered.
    for _ in 0..1_000 {
        thread::yield_now();
        assert!(!second.is_finished() && app.deliveries().1 == 0);
    }
    thread::park_timeout(Duration::from_millis(20));
    assert!(!second.is_finished() && app.deliveries().1 == 0);
    gate.open();
    for tab in [first, second] {
        assert!(tab.join().unwrap().contains("one"));
    }
    assert_eq!(app.session_events(), [SessionEvent::Joined(1)]);
}

/// Tokio's timer, whose clock panics once after it is armed.
#[derive(Clone, Default)]
struct FaultyClock(Arc<AtomicBool>);

impl Clock for FaultyClock {
    fn now(&self) -> Instant {
        assert!(!self.0.swap(false, Ordering::Relaxed), "the clock is out of order");
        TokioTimer::default().now()
    }
}

impl Timer for FaultyClock {
    fn sleep_until(&self, at: Instant) -> Pin<Box<dyn Sleep>> {
        TokioTimer::default().sleep_until(at)
    }
}

#[tokio::test(start_paused = true)]
async fn session_leaves_if_the_clock_panics_after_joined() {
    let (app, clock) = (App::with_limit_key(), FaultyClock::default());
    let endpoint = app.builder().timer(clock.clone()).max_session_age(Duration::from_secs(60)).build();
    app.on_joined(move |_| clock.0.store(true, Ordering::Relaxed));
    for transport in ["chunked", "sse"] {
        let by = endpoint.clone();
        let target = format!("/?transport={transport}");
        // The request is answered with an error, or its task panics.
        let _ = tokio::spawn(async move { drop(get(&target).to(&by).await) }).await;
        assert_eq!(endpoint.session_count(), 0, "{transport}");
    }
    assert_eq!((app.session_events().len(), app.left().len()), (4, 2), "{:?}", app.session_events());
}
