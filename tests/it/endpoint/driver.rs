use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::Body as _;
use tidings::{Body, BodyError, Endpoint};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::http::{App, To, get, pass, runtime, text};
use crate::support::{Task, VirtualTimer};

/// Returns the output of a future that is ready at its first poll.
fn now<T>(future: impl Future<Output = T>) -> T {
    match Task::new().poll(&mut pin!(future)) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

fn next(task: &Task, body: &mut Body) -> Poll<Option<Result<Bytes, BodyError>>> {
    task.with(|cx| Pin::new(body).poll_frame(cx)).map(|frame| frame.map(|frame| frame.map(|f| f.into_data().unwrap())))
}

#[test]
fn request_without_a_driver_is_answered_with_the_reason() {
    let app = App::new();
    for endpoint in [app.endpoint(), app.builder().timer(VirtualTimer::new()).build()] {
        for request in [get("/events"), get("/?transport=sse"), get("/?wait=5")] {
            let response = now(request.to(&endpoint));
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert!(now(text(response)).contains("no driver"));
        }
    }
    assert_eq!(app.subscribes(), 0);
}

#[test]
fn endpoint_runs_on_an_injected_timer() {
    let (app, timer, task, reader) = (App::new(), VirtualTimer::new(), Task::new(), Task::new());
    let endpoint = app.builder().timer(timer.clone()).build();
    let mut driver = Box::pin(endpoint.driver());
    // A driver runs already, so another one ends at once.
    now(endpoint.driver());
    let mut body = now(get("/?transport=sse").to(&endpoint)).into_body();
    assert!(next(&reader, &mut body).is_ready(), "the hello");
    assert!(next(&reader, &mut body).is_pending());
    assert!(task.poll(&mut driver).is_pending());
    let mut keep_alives = 0;
    while timer.elapsed() < Duration::from_secs(60) {
        assert_eq!(timer.sleeping(), 1, "one timer of the runtime for all");
        timer.advance_to_next();
        while task.wakes() + reader.wakes() > 0 {
            assert!(task.poll(&mut driver).is_pending());
            while next(&reader, &mut body).is_ready() {
                keep_alives += 1;
            }
        }
    }
    assert!((4..=8).contains(&keep_alives), "{keep_alives}");

    // The driver of an endpoint without alarms sleeps without a deadline.
    drop(body);
    while timer.advance_to_next().is_some() {
        assert_eq!(task.wakes(), 1);
        assert!(task.poll(&mut driver).is_pending());
    }
    assert_eq!((timer.sleeping(), task.wakes()), (0, 0));
    drop(endpoint);
    assert_eq!(task.wakes(), 1);
    assert!(task.poll(&mut driver).is_ready());
}

#[test]
fn driver_can_be_replaced_after_it_was_dropped() {
    let endpoint = App::new().builder().timer(VirtualTimer::new()).build();
    drop(endpoint.driver());
    let _driver = endpoint.driver();
    assert_eq!(now(get("/events").to(&endpoint)).status(), StatusCode::OK);
}

#[test]
fn application_spawner_starts_one_driver() {
    let tasks: Arc<Mutex<Vec<_>>> = Arc::default();
    let spawner = tasks.clone();
    let app = App::new();
    let builder = app.builder().timer(VirtualTimer::new()).spawn(move |task| spawner.lock().unwrap().push(task));
    let endpoint = builder.build();
    assert_eq!(now(get("/events").to(&endpoint)).status(), StatusCode::OK);
    assert_eq!(now(get("/events").to(&endpoint)).status(), StatusCode::OK);
    assert_eq!(tasks.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn periodic_jobs_run_on_after_one_panics() {
    let (app, done) = (App::new(), Arc::new(AtomicUsize::new(0)));
    let counted = done.clone();
    let endpoint = app
        .builder()
        .run_every(Duration::from_secs(2), || panic!("in a job"))
        .run_every(Duration::from_secs(3), move || {
            counted.fetch_add(1, Ordering::Relaxed);
        })
        .build();
    get("/events").to(&endpoint).await;
    pass(Duration::from_secs(31)).await;
    assert_eq!(done.load(Ordering::Relaxed), 10);
}

#[test]
fn endpoint_works_after_its_first_runtime_ended() {
    let app = App::new();
    let endpoint: Endpoint = app.endpoint();
    for _ in 0..2 {
        let runtime = runtime();
        runtime.block_on(async {
            let poll = get("/?wait=5").to(&endpoint).await;
            assert_eq!(poll.status(), StatusCode::OK);
        });
    }
}

#[test]
fn endpoint_timer_wakes_sleeps_of_the_application_and_of_hyper() {
    let (timer, task) = (VirtualTimer::new(), Task::new());
    let endpoint = App::new().builder().timer(timer.clone()).build();
    let mut driver = Box::pin(endpoint.driver());
    let time = endpoint.timer();
    let start = tidings::time::Clock::now(&time);
    let mut ours = tidings::time::Timer::sleep_until(&time, start + Duration::from_secs(3));
    let mut hypers = hyper::rt::Timer::sleep_until(&time, start + Duration::from_secs(5));
    let (mut at, mut ends) = ([None, None], 0);
    while ends < 2 {
        assert!(task.poll(&mut driver).is_pending());
        let now = timer.elapsed();
        if at[0].is_none() && task.poll(&mut ours).is_ready() {
            (at[0], ends) = (Some(now), ends + 1);
            hyper::rt::Timer::reset(&time, &mut hypers, start + Duration::from_secs(9));
        }
        if at[1].is_none() && task.poll(&mut hypers).is_ready() {
            (at[1], ends) = (Some(now), ends + 1);
        }
        assert!(task.poll(&mut driver).is_pending());
        timer.advance_to_next();
    }
    let late = |at: Option<Duration>, secs| at.unwrap().checked_sub(Duration::from_secs(secs)).expect("early");
    assert!(late(at[0], 3) < Duration::from_millis(5), "{at:?}");
    assert!(late(at[1], 9) < Duration::from_millis(5), "{at:?}");
}

#[tokio::test(start_paused = true)]
async fn unfinished_request_head_times_out_on_the_endpoint_timer() {
    let endpoint = App::new().builder().build();
    let (client, server) = tokio::io::duplex(1024);
    let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let endpoint = endpoint.clone();
        async move { Ok::<_, Infallible>(endpoint.handle(request).await) }
    });
    let time = App::new().builder().build().timer();
    let start = tidings::time::Clock::now(&time);
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(time.clone())
        .header_read_timeout(Duration::from_secs(30))
        .serve_connection(hyper_util::rt::TokioIo::new(server), service);
    let (mut read, mut write) = tokio::io::split(client);
    let begun = tokio::time::Instant::now();
    let client = async {
        let heads = [&b"GET /events HTTP/1.1\r\nhost: app.example\r\n\r\n"[..], b"GET /events HTTP/1.1\r\nho"];
        for (head, secs) in heads.into_iter().zip([20, 40]) {
            tidings::time::Timer::sleep_until(&time, start + Duration::from_secs(secs)).await;
            write.write_all(head).await.unwrap();
        }
        let mut all = Vec::new();
        read.read_to_end(&mut all).await.unwrap();
        all
    };
    let (ended, got) = tokio::join!(connection, client);
    assert!(ended.is_err_and(|error| error.is_timeout()));
    assert!(got.starts_with(b"HTTP/1.1 200 OK\r\n"));
    // The time of the second head begins when the first request was answered.
    assert!((50_000..50_010).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
}
