use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt;
use tidings::{BodyError, Endpoint, Rejection, SubscribeRequest};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::support::http::{App, To, get, header, pass, piece, request, text};

#[tokio::test(start_paused = true)]
async fn drain_sends_a_retry_time_on_each_transport() {
    let app = App::new();
    let endpoint = app.builder().retry(Duration::from_millis(1500)..=Duration::from_millis(1500)).build();
    let cursor = app.publish("one");
    let mut sse = get("/?transport=sse").to(&endpoint).await.into_body();
    let mut chunked = get("/?transport=chunked").to(&endpoint).await.into_body();
    let poll = tokio::spawn(endpoint.handle(get(&format!("/?wait=50&cursor={cursor}")).body(String::new()).unwrap()));
    let sse = tokio::spawn(async move {
        assert!(piece(&mut sse).await.unwrap().unwrap().contains("retry: 1500\n"));
        let bye = piece(&mut sse).await;
        let said = Instant::now();
        (bye, piece(&mut sse).await, said.elapsed(), piece(&mut sse).await.is_none())
    });
    let chunked = tokio::spawn(async move {
        piece(&mut chunked).await;
        let bye = piece(&mut chunked).await;
        let said = Instant::now();
        (bye, piece(&mut chunked).await, said.elapsed())
    });
    pass(Duration::from_secs(1)).await;
    assert_eq!(endpoint.session_count(), 3);

    let begin = Instant::now();
    endpoint.drain().await;
    assert!(begin.elapsed() < Duration::from_millis(300), "few sessions need no window: {:?}", begin.elapsed());
    assert_eq!(endpoint.session_count(), 0);
    let poll = poll.await.unwrap();
    assert_eq!(header(&poll, "tidings-retry-ms"), "1500");
    assert_eq!(text(poll).await, format!(r#"{{"cursor":"{cursor}","events":[]}}"#));
    let (bye, end, air, is_over) = sse.await.unwrap();
    let block = format!("event: tidings.retry\nretry: 1500\ndata: {{\"retry_ms\":1500}}\nid: {cursor}\n\n");
    assert_eq!((bye.unwrap().unwrap(), end, is_over), (block, Some(Err(BodyError::Ended)), true));
    assert!(air >= Duration::from_millis(100));
    let (bye, end, air) = chunked.await.unwrap();
    assert_eq!(bye.unwrap().unwrap(), "{\"tidings\":\"bye\",\"retry_ms\":1500}\n");
    assert_eq!(end, Some(Err(BodyError::Ended)));
    assert!(air >= Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn request_during_a_drain_is_refused_with_a_retry_time() {
    let app = App::new();
    let endpoint = app.endpoint();
    drop(endpoint.drain());
    let sse = get("/?transport=sse").to(&endpoint).await;
    assert_eq!(sse.status(), StatusCode::OK);
    assert!(piece(&mut sse.into_body()).await.unwrap().unwrap().starts_with("event: tidings.retry\n"));
    for target in ["/?transport=chunked", "/?wait=5", "/events"] {
        assert_eq!(get(target).to(&endpoint).await.status(), StatusCode::SERVICE_UNAVAILABLE, "{target}");
    }
    assert_eq!(request("POST", "/events").to(&endpoint).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(app.subscribes(), 0);
}

/// Starts readers of one endpoint. Each returns the time of its end and the text that it read.
async fn readers(app: &App, endpoint: &Endpoint, count: usize) -> tokio::task::JoinSet<(Instant, String)> {
    let mut readers = tokio::task::JoinSet::new();
    for number in 0..count {
        let target = if number % 2 == 0 { "/?transport=sse" } else { "/?transport=chunked" };
        let mut body = get(target).to(endpoint).await.into_body();
        readers.spawn(async move {
            let mut read = String::new();
            while let Some(Ok(frame)) = body.frame().await {
                read.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
            }
            (Instant::now(), read)
        });
    }
    assert_eq!(app.subscribes(), count);
    readers
}

#[tokio::test(start_paused = true)]
async fn drain_spreads_ends_over_its_timeout_and_loses_no_event() {
    let app = App::new();
    let endpoint = app.endpoint();
    let mut readers = readers(&app, &endpoint, 1000).await;
    app.publish("said before the drain");
    let begin = Instant::now();
    endpoint.drain().await;
    let window = begin.elapsed();
    assert!(window <= Duration::from_secs(10) && endpoint.session_count() == 0, "{window:?}");
    let mut seconds = [0; 11];
    while let Some(reader) = readers.join_next().await {
        let (at, read) = reader.unwrap();
        seconds[usize::try_from((at - begin).as_secs()).unwrap()] += 1;
        assert!(read.contains("said before the drain") && read.ends_with('\n'), "{read}");
    }
    assert!(seconds.iter().all(|&ends| ends <= 150), "{seconds:?}");
}

#[tokio::test(start_paused = true)]
async fn drain_cuts_remaining_sessions_at_its_timeout() {
    let app = App::new();
    let endpoint = app.builder().drain_timeout(Duration::from_secs(5)).build();
    let mut stalled = get("/?transport=chunked").to(&endpoint).await.into_body();
    piece(&mut stalled).await;
    let begin = Instant::now();
    endpoint.drain().await;
    assert_eq!(begin.elapsed().as_millis() / 100, 50);
    assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (0, 0));
    assert_eq!(piece(&mut stalled).await, Some(Err(BodyError::Ended)));
}

#[tokio::test(start_paused = true)]
async fn drain_runs_with_any_number_of_waiters() {
    let app = App::new();
    let endpoint = app.endpoint();
    let mut readers = readers(&app, &endpoint, 4).await;
    let (signal, stopped) = tokio::sync::oneshot::channel::<()>();
    let waiting = tokio::spawn(endpoint.drain_on(stopped));
    pass(Duration::from_secs(60)).await;
    assert!(!waiting.is_finished() && endpoint.session_count() == 4);
    signal.send(()).unwrap();
    tokio::task::yield_now().await;
    drop(endpoint.drain());
    endpoint.drain().await;
    waiting.await.unwrap();
    while let Some(reader) = readers.join_next().await {
        reader.unwrap();
    }
    assert_eq!(endpoint.session_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn retry_times_during_a_drain_are_spread_by_the_number_of_sessions() {
    const WINDOW: Duration = Duration::from_secs(10);
    for (sessions, spread) in [(500, Duration::from_secs(8)), (10, Duration::from_millis(1_000))] {
        let app = App::new();
        let endpoint =
            app.builder().drain_timeout(WINDOW).retry(Duration::from_secs(1)..=Duration::from_secs(2)).build();
        let mut held = Vec::new();
        for _ in 0..sessions {
            held.push(get("/?transport=sse").to(&endpoint).await);
        }
        // Polls of a busy topic: none is held when the drain begins, and all arrive at about the same time.
        drop(endpoint.drain());
        let (mut reported, mut seconds) = (Vec::new(), vec![0; 9]);
        for _ in 0..sessions {
            let poll = get("/?wait=5").to(&endpoint).await;
            assert_eq!(poll.status(), StatusCode::SERVICE_UNAVAILABLE);
            reported.push(header(&poll, "retry-after").parse::<u64>().unwrap());
        }
        reported.iter().for_each(|&after| seconds[(after as usize).saturating_sub(2)] += 1);
        assert!(
            reported.iter().all(|&after| Duration::from_secs(after) <= Duration::from_secs(1) + spread),
            "{reported:?}"
        );
        if sessions == 500 {
            // About 62 in each of eight seconds. Within the two seconds of `retry` it would be 250.
            assert!(seconds.iter().all(|&count| count < 100), "{seconds:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn subscribe_that_finishes_during_a_drain_is_refused() {
    let gate = Arc::new(Notify::new());
    let (app, opened) = (App::new(), gate.clone());
    let hub = app.hub.clone();
    let endpoint = Endpoint::new(move |request: SubscribeRequest| {
        let (hub, opened) = (hub.clone(), opened.clone());
        async move {
            opened.notified().await;
            Ok::<_, Rejection>(hub.subscribe(request.subscribe_to(["news"]))?)
        }
    });
    let attaches: Vec<_> = ["/?transport=sse", "/?transport=chunked", "/?wait=5"]
        .into_iter()
        .map(|target| tokio::spawn(endpoint.handle(get(target).body(String::new()).unwrap())))
        .collect();
    pass(Duration::from_millis(1)).await;
    endpoint.drain().await;
    gate.notify_waiters();
    let mut reported = Vec::new();
    for attach in attaches {
        reported.push(text_of_first(attach.await.unwrap()).await);
    }
    assert!(reported[0].starts_with("event: tidings.retry\n"), "{reported:?}");
    assert_eq!(&reported[1..], [r#"{"error":"server is busy: retry later"}"#; 2]);
    assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (0, 0));
}

async fn text_of_first(response: http::Response<tidings::Body>) -> String {
    piece(&mut response.into_body()).await.unwrap().unwrap()
}
