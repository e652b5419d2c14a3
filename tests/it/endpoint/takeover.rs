//! A driver that ends with its runtime, by an abort or by a panic: sessions of another runtime start the next one.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::StatusCode;
use tidings::time::{Clock, Sleep, Timer, TokioTimer};
use tidings::{Body, Endpoint, SessionEnd, Transport};
use tokio::runtime::Builder;
use tokio::task::AbortHandle;

use crate::support::http::{App, TestClient, To, get, pass, piece, runtime, stream, text};

const MINUTE: Duration = Duration::from_secs(60);

/// Waits for the next piece, which is due within a minute of virtual time.
async fn due(body: &mut Body) -> String {
    tokio::time::timeout(MINUTE, piece(body)).await.expect("no driver keeps the time").unwrap().unwrap()
}

#[test]
fn streams_of_another_runtime_go_on_when_the_driver_runtime_ends() {
    for (target, keep_alive) in [("/?transport=sse", ":\n"), ("/?transport=chunked", "\n")] {
        let (endpoint, first, second) = (App::new().endpoint(), runtime(), runtime());
        first.block_on(async { drop(get("/events").to(&endpoint).await) });
        let mut body = second.block_on(stream(&endpoint, target));
        drop(first);
        second.block_on(async {
            for _ in 0..3 {
                assert_eq!(due(&mut body).await, keep_alive);
            }
        });
    }
}

#[test]
fn long_poll_of_another_runtime_is_answered_when_the_driver_runtime_ends() {
    let (app, first, second) = (App::new(), runtime(), runtime());
    let (endpoint, cursor) = (app.endpoint(), app.publish("one"));
    first.block_on(async { drop(get("/events").to(&endpoint).await) });
    let target = format!("/events?wait=20&cursor={cursor}");
    let held = second.block_on(async {
        let mut held = Box::pin(get(&target).to(&endpoint));
        assert!(tokio::time::timeout(Duration::from_secs(5), &mut held).await.is_err());
        first.shutdown_background();
        tokio::time::timeout(MINUTE, held).await
    });
    assert_eq!(held.expect("no driver keeps the time").status(), StatusCode::OK);
}

#[test]
fn hanging_publisher_times_out_when_the_driver_runtime_ends() {
    let (endpoint, first, second) = (App::new().endpoint(), runtime(), runtime());
    first.block_on(async { drop(get("/events").to(&endpoint).await) });
    second.block_on(async {
        let mut asked = Box::pin(get("/wait").to(&endpoint));
        assert!(tokio::time::timeout(Duration::from_secs(5), &mut asked).await.is_err());
        first.shutdown_background();
        let answer = tokio::time::timeout(MINUTE, asked).await.expect("no driver keeps the time");
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    });
}

#[test]
fn alarms_that_became_due_without_a_running_driver_fire_when_its_runtime_is_dropped() {
    let (endpoint, first, second) = (App::new().endpoint(), runtime(), runtime());
    first.block_on(async { drop(get("/events").to(&endpoint).await) });
    second.block_on(async {
        let mut body = stream(&endpoint, "/?transport=sse").await;
        // The first runtime is kept and does not run, so it wakes nothing.
        assert!(tokio::time::timeout(MINUTE, piece(&mut body)).await.is_err());
        first.shutdown_background();
        let at = tokio::time::Instant::now();
        assert_eq!(due(&mut body).await, ":\n");
        assert!(at.elapsed() < Duration::from_millis(10), "it was due: {:?}", at.elapsed());
    });
}

/// Keep-alives and pings are off, since they have alarms of their own.
#[test]
fn session_with_one_alarm_ends_in_time_when_the_driver_runtime_ends() {
    for transport in [Transport::Chunked, Transport::Sse, Transport::WebSocket] {
        for (target, why) in [("/?lifetime=20000", SessionEnd::Revoked), ("/", SessionEnd::Disconnected)] {
            let (app, first, second) = (App::with_limit_key(), runtime(), runtime());
            let builder = app.builder().keep_alive(Duration::MAX).ping(Duration::MAX, MINUTE);
            let endpoint = builder.max_session_age(Duration::from_secs(30)).build();
            first.block_on(async { drop(get("/?transport=short-poll").to(&endpoint).await) });
            let client = second.block_on(TestClient::open(&endpoint, transport, target));
            assert_eq!(endpoint.session_count(), 1);
            drop(first);
            second.block_on(pass(MINUTE));
            assert_eq!(app.left().iter().map(|&(_, left)| left).collect::<Vec<_>>(), [why], "{transport:?}");
            drop(client);
        }
    }
}

/// The polls of a session are woken together for a driver, and the first one that runs starts it.
#[test]
fn each_poll_of_a_session_ends_at_once_after_the_driver_runtime_ended() {
    let (app, first, second) = (App::with_limit_key(), runtime(), runtime());
    let endpoint = app.builder().max_session_age(60 * MINUTE).build();
    let target = format!("/events?session=tab&wait=20&cursor={}", app.publish("one"));
    first.block_on(async { drop(get("/?transport=short-poll").to(&endpoint).await) });
    let polls = second.block_on(async {
        let poll = |endpoint: Endpoint, target: String| async move { get(&target).to(&endpoint).await.status() };
        let polls = [(); 3].map(|()| tokio::spawn(poll(endpoint.clone(), target.clone())));
        pass(Duration::from_secs(1)).await;
        polls
    });
    assert_eq!(endpoint.session_count(), 1);
    drop(first);
    second.block_on(async {
        pass(Duration::from_secs(1)).await;
        let at = tokio::time::Instant::now();
        assert_eq!(endpoint.revoke_where(|_| true), 1);
        for poll in polls {
            assert_eq!(poll.await.unwrap(), StatusCode::UNAUTHORIZED);
        }
        assert!(at.elapsed() < Duration::from_secs(1), "a poll was not woken: {:?}", at.elapsed());
    });
}

#[test]
fn jobs_go_on_in_another_runtime_when_the_driver_runtime_ends() {
    let (runs, first, second) = (Arc::new(AtomicUsize::new(0)), runtime(), runtime());
    let counted = runs.clone();
    let job = move || {
        counted.fetch_add(1, Ordering::Relaxed);
    };
    let endpoint = App::new().builder().run_every(Duration::from_secs(1), job).build();
    first.block_on(async { drop(get("/events").to(&endpoint).await) });
    second.block_on(async {
        let mut body = stream(&endpoint, "/?transport=sse").await;
        first.shutdown_background();
        due(&mut body).await;
    });
    assert!((14..=15).contains(&runs.load(Ordering::Relaxed)), "{runs:?} in 15 s");
}

#[test]
fn driver_moves_to_each_next_runtime() {
    let endpoint = App::new().endpoint();
    let mut last = runtime();
    last.block_on(async { drop(get("/events").to(&endpoint).await) });
    for _ in 0..3 {
        let next = runtime();
        let mut body = next.block_on(stream(&endpoint, "/?transport=sse"));
        drop(std::mem::replace(&mut last, next));
        last.block_on(async { assert_eq!(due(&mut body).await, ":\n") });
    }
}

#[test]
fn multi_thread_runtime_may_end_while_another_serves() {
    let (endpoint, second) = (App::new().endpoint(), runtime());
    let first = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let streams = first.block_on(async {
        let streams = (0..50).map(|_| {
            let endpoint = endpoint.clone();
            tokio::spawn(async move {
                let mut body = stream(&endpoint, "/?transport=sse").await;
                while piece(&mut body).await.is_some() {}
            })
        });
        let streams: Vec<_> = streams.collect();
        while endpoint.session_count() < 50 {
            tokio::task::yield_now().await;
        }
        streams
    });
    let mut body = second.block_on(stream(&endpoint, "/?transport=sse"));
    drop((first, streams));
    second.block_on(async { assert_eq!(due(&mut body).await, ":\n") });
    assert_eq!(endpoint.session_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn application_spawner_restarts_an_aborted_driver() {
    let tasks: Arc<Mutex<Vec<AbortHandle>>> = Arc::default();
    let spawned = tasks.clone();
    let spawn = move |task| spawned.lock().unwrap().push(tokio::spawn(task).abort_handle());
    let endpoint = App::new().builder().spawn(spawn).build();
    let mut body = stream(&endpoint, "/?transport=sse").await;
    for round in 1..4 {
        assert_eq!(due(&mut body).await, ":\n");
        let driver = tasks.lock().unwrap().pop().unwrap();
        driver.abort();
        assert_eq!(due(&mut body).await, ":\n", "after abort {round}");
        assert_eq!(tasks.lock().unwrap().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn runtime_replaces_a_dropped_driver_of_the_application() {
    let endpoint = App::new().endpoint();
    let mut driver = Box::pin(endpoint.driver());
    let mut body = stream(&endpoint, "/?transport=sse").await;
    tokio::select! {
        () = &mut driver => panic!("the endpoint is there"),
        next = due(&mut body) => assert_eq!(next, ":\n"),
    }
    drop(driver);
    assert_eq!(due(&mut body).await, ":\n");
}

#[test]
fn driver_moved_from_an_ended_runtime_goes_on_in_another() {
    let (endpoint, first, second) = (App::new().endpoint(), runtime(), runtime());
    let mut driver = Box::pin(endpoint.driver());
    let mut body = first.block_on(async {
        let mut body = stream(&endpoint, "/?transport=sse").await;
        tokio::select! {
            () = &mut driver => panic!("the endpoint is there"),
            next = due(&mut body) => assert_eq!(next, ":\n"),
        }
        body
    });
    drop(first);
    second.block_on(async {
        tokio::select! {
            () = &mut driver => panic!("the endpoint is there"),
            next = due(&mut body) => assert_eq!(next, ":\n"),
        }
    });
}

/// Tokio's timer, with sleeps that panic while `panics` is set.
#[derive(Clone, Default)]
struct Faulty {
    panics: Arc<AtomicBool>,
    /// Number of sleeps that were created.
    made: Arc<AtomicUsize>,
}

struct FaultySleep(Pin<Box<dyn Sleep>>, Arc<AtomicBool>);

impl Clock for Faulty {
    fn now(&self) -> Instant {
        TokioTimer::default().now()
    }
}

impl Timer for Faulty {
    fn sleep_until(&self, at: Instant) -> Pin<Box<dyn Sleep>> {
        self.made.fetch_add(1, Ordering::Relaxed);
        Box::pin(FaultySleep(TokioTimer::default().sleep_until(at), self.panics.clone()))
    }
}

impl Future for FaultySleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        assert!(!self.1.load(Ordering::Relaxed), "the timer is out of order");
        self.0.as_mut().poll(cx)
    }
}

impl Sleep for FaultySleep {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.0.as_mut().reset(at);
    }
}

#[tokio::test(start_paused = true)]
async fn driver_with_a_panicking_timer_is_not_restarted() {
    let timer = Faulty::default();
    let endpoint = App::new().builder().timer(timer.clone()).build();
    let mut body = stream(&endpoint, "/?transport=sse").await;
    assert_eq!(due(&mut body).await, ":\n");
    timer.panics.store(true, Ordering::Relaxed);
    assert!(tokio::time::timeout(MINUTE, piece(&mut body)).await.is_err());
    assert!(timer.made.load(Ordering::Relaxed) < 20, "{:?}", timer.made);
    // The next request is answered with the reason, and starts a driver nevertheless.
    let reported = get("/events").to(&endpoint).await;
    assert_eq!(reported.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(text(reported).await.contains("timer panics"));
    timer.panics.store(false, Ordering::Relaxed);
    assert_eq!(due(&mut body).await, ":\n");
    assert_eq!(get("/events").to(&endpoint).await.status(), StatusCode::OK);
}

#[test]
fn request_in_a_runtime_without_time_is_answered_with_the_reason() {
    let endpoint = App::new().endpoint();
    let untimed = Builder::new_current_thread().build().unwrap();
    untimed.block_on(async {
        for target in ["/events", "/?transport=sse", "/?wait=5"] {
            let response = get(target).to(&endpoint).await;
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert!(text(response).await.contains("enable_time"));
        }
    });
    // A request in a runtime with time is served, and its driver serves the other one.
    let timed = runtime();
    let mut body = timed.block_on(stream(&endpoint, "/?transport=sse"));
    untimed.block_on(async { assert_eq!(get("/events").to(&endpoint).await.status(), StatusCode::OK) });
    timed.block_on(async { assert_eq!(due(&mut body).await, ":\n") });
}

#[test]
fn request_is_answered_with_the_reason_if_the_spawner_panics_or_drops_its_task() {
    let panics: fn(Pin<Box<dyn Future<Output = ()> + Send>>) = |_| panic!("no runtime");
    for spawn in [panics, drop] {
        let endpoint = App::new().builder().spawn(spawn).build();
        runtime().block_on(async {
            for _ in 0..2 {
                let response = get("/?transport=sse").to(&endpoint).await;
                assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
                assert!(text(response).await.contains("no driver"));
            }
        });
    }
}
