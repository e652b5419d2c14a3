//! Snapshots over every transport of an endpoint, served on HTTP/1.1 and HTTP/2.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tidings::subscriber::{BoxSubscriber, Delivery, SubscriberExt};
use tidings::{Cursor, Endpoint, GapReason, Rejection, SubscribeRequest, Subscriber, Subscription, Transport};
use tokio::time::timeout;

use crate::clients::{ClientEnd, ClientKind, Seen, SeenData, SeenGap};
use crate::support::VirtualTimer;
use crate::support::counting::{Counters, CountingApp, Reader, Route, Server, SnapshotCall};

/// Time to wait for an item, enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test over each route, each with a new application.
async fn each_route(app: impl Fn() -> CountingApp, test: impl AsyncFn(&CountingApp, Route)) {
    for number in 0..ClientKind::ALL.len() * 2 {
        let app = app();
        let endpoint = app.builder().build();
        let route = Server::of(&endpoint).await.routes().nth(number).unwrap();
        timeout(PATIENCE, test(&app, route)).await.unwrap_or_else(|_| panic!("no item over {route:?}"));
    }
}

fn is_raw(route: Route) -> bool {
    route.kind == ClientKind::RawWebSocket
}

fn transport(route: Route) -> Transport {
    match route.kind {
        ClientKind::ShortPoll => Transport::ShortPoll,
        ClientKind::LongPoll => Transport::LongPoll,
        ClientKind::Chunked => Transport::Chunked,
        ClientKind::Sse | ClientKind::SseObjects => Transport::Sse,
        ClientKind::WebSocket | ClientKind::RawWebSocket => Transport::WebSocket,
    }
}

/// Checks that a client gets a gap that announces a snapshot, if its wire format has gaps, the snapshot, and later events.
async fn assert_recovers(app: &CountingApp, reader: &mut Reader, route: Route, reason: GapReason) {
    if !is_raw(route) {
        let Seen::Gap(gap) = reader.next_item().await.unwrap() else { panic!("no gap over {route:?}") };
        let expected = ("0.0", reason.as_str(), true);
        assert_eq!((&*gap.cursor, &*gap.reason, gap.snapshot), expected, "{route:?}");
    }
    reader.count_to(app.known()).await;
    assert_eq!(reader.counted.snapshots, 1);
    let (by, gap) = app.requests().pop().unwrap();
    assert_eq!((by, gap.reason), (transport(route), reason));
    let at = if is_raw(route) { None } else { Some(app.last()) };
    assert_eq!(reader.cursor(), at.as_deref(), "{route:?}");
    app.count(2);
    reader.count_to(app.known()).await;
    assert_eq!((reader.counted.snapshots, app.requests().len()), (1, 1), "{route:?}");
}

#[tokio::test]
async fn p2_resume_after_eviction_gets_a_snapshot() {
    each_route(
        || CountingApp::new(4),
        async |app, route| {
            app.count(1);
            let before = app.last();
            app.count(10);
            assert_recovers(app, &mut route.open(Some(&before)).await.unwrap(), route, GapReason::Evicted).await;
        },
    )
    .await;
}

#[tokio::test]
async fn p2_resume_from_another_epoch_gets_a_snapshot() {
    each_route(
        || CountingApp::new(4),
        async |app, route| {
            app.count(3);
            let before = app.last();
            app.counters().restart();
            // With and without events of the new epoch.
            app.count(usize::from(route.http == crate::clients::Http::One) * 6);
            assert_recovers(app, &mut route.open(Some(&before)).await.unwrap(), route, GapReason::Epoch).await;
        },
    )
    .await;
}

#[tokio::test]
async fn p2_unreadable_cursor_gets_a_snapshot() {
    each_route(
        || CountingApp::new(4),
        async |app, route| {
            app.count(3);
            assert_recovers(app, &mut route.open(Some("nonsense")).await.unwrap(), route, GapReason::Invalid).await;
        },
    )
    .await;
}

#[tokio::test]
async fn p2_lagging_client_gets_a_snapshot() {
    each_route(
        || CountingApp::new(4),
        async |app, route| {
            if !matches!(route.kind, ClientKind::ShortPoll | ClientKind::LongPoll) {
                let mut reader = route.open(None).await.unwrap();
                app.count(1);
                reader.count_to(1).await;
                // One burst between two polls of the subscriber.
                app.count(2_000);
                reader.count_to(2_000 + 1).await;
                assert_eq!((reader.counted.snapshots, app.requests().len()), (1, 1), "{route:?}");
                assert_eq!(app.requests()[0].1.reason, GapReason::Overflow);
                app.count(2);
                reader.count_to(app.known()).await;
            }
        },
    )
    .await;
}

#[tokio::test]
async fn p2_client_that_starts_with_a_snapshot_continues_from_it() {
    each_route(
        || CountingApp::new(4).starts_with_snapshot(),
        async |app, route| {
            app.count(10);
            let mut reader = route.open(None).await.unwrap();
            reader.count_to(10).await;
            app.count(2);
            reader.count_to(12).await;
            assert_eq!((reader.counted.snapshots, app.requests().len()), (1, 0), "{route:?}");
            if !is_raw(route) {
                let cursor = reader.cursor().map(str::to_owned);
                let mut again = route.open(cursor.as_deref()).await.unwrap();
                app.count(1);
                assert!(matches!(again.next_item().await, Ok(Seen::Event(_))), "{route:?}");
                again.count_to(13).await;
                assert_eq!(again.counted.snapshots, 0);
            }
        },
    )
    .await;
}

/// The snapshot is larger than a batch, a reply and the buffer of a socket.
#[tokio::test]
async fn snapshot_of_1_mib_is_sent_whole() {
    for is_gap in [true, false] {
        each_route(
            || CountingApp::new(4).starts_with_snapshot().with_snapshot_bytes(1024 * 1024),
            async |app, route| {
                app.count(10);
                let mut reader = route.open(is_gap.then_some("nonsense")).await.unwrap();
                reader.count_to(10).await;
                app.count(2);
                reader.count_to(12).await;
                assert_eq!((reader.counted.snapshots, app.requests().len()), (1, usize::from(is_gap)), "{route:?}");
            },
        )
        .await;
    }
}

/// A poll reply that has events also has the snapshot of a gap, although it is full.
#[tokio::test]
async fn snapshot_after_a_full_reply_is_sent_whole() {
    for kind in [ClientKind::ShortPoll, ClientKind::LongPoll] {
        let app = CountingApp::new(0).with_snapshot_bytes(200 * 1024);
        let endpoint = app.builder().max_batch_bytes(150).build();
        let route = Server::of(&endpoint).await.routes().find(|route| route.kind == kind).unwrap();
        app.count(1);
        let mut reader = route.open(Some("0.0")).await.unwrap();
        timeout(PATIENCE, reader.count_to(1)).await.unwrap();
        assert_eq!((reader.counted.snapshots, app.requests().len()), (1, 1));
    }
}

#[tokio::test]
async fn gap_without_a_snapshot_is_sent_unchanged() {
    each_route(
        || CountingApp::new(4).with_snapshot_call(SnapshotCall::None),
        async |app, route| {
            app.count(3);
            let mut reader = route.open(Some("nonsense")).await.unwrap();
            match reader.next_item().await.unwrap() {
                Seen::End(ClientEnd::Gap) if is_raw(route) => {}
                Seen::Gap(SeenGap { cursor, snapshot: false, .. }) => {
                    assert_eq!(cursor, app.last());
                    app.count(2);
                    reader.count_to(5).await;
                }
                seen => panic!("{seen:?} over {route:?}"),
            }
            assert_eq!(app.requests().len(), 1);
        },
    )
    .await;
}

/// Only the session whose snapshot call panicked ends, and its client gets the end of its transport.
#[tokio::test]
async fn panicking_snapshot_call_ends_its_session_only() {
    let app = CountingApp::new(4);
    let endpoint = app.builder().build();
    let server = Server::of(&endpoint).await;
    let mut others = Vec::new();
    for route in server.routes() {
        others.push(route.open(None).await.unwrap());
    }
    app.count(3);
    app.with_snapshot_call(SnapshotCall::Panic);
    for route in server.routes() {
        let seen = match route.open(Some("nonsense")).await {
            Ok(mut reader) => timeout(PATIENCE, reader.next_item()).await.unwrap(),
            Err(error) => Err(error),
        };
        match (route.kind, seen) {
            (ClientKind::ShortPoll | ClientKind::LongPoll, Err(error)) => assert!(error.starts_with("500"), "{error}"),
            (ClientKind::Chunked | ClientKind::Sse | ClientKind::SseObjects, Ok(Seen::End(ClientEnd::Later))) => {}
            (ClientKind::WebSocket | ClientKind::RawWebSocket, Err(error)) => {
                assert!(error.contains("1011"), "{error}")
            }
            (_, seen) => panic!("{seen:?} over {route:?}"),
        }
        assert_eq!(app.running().0, 0);
    }
    app.count(1);
    for mut reader in others {
        timeout(PATIENCE, reader.count_to(4)).await.unwrap();
    }
}

/// A panic does not move the cursor, so the client resumes at the gap that it did not get.
#[tokio::test]
async fn client_whose_snapshot_call_panicked_resumes_at_the_same_gap() {
    each_route(
        || CountingApp::new(4).with_snapshot_call(SnapshotCall::Panic),
        async |app, route| {
            app.count(1);
            let before = app.last();
            app.count(10);
            let cursor = cursor_after_failure(route, &before).await;
            app.with_snapshot_call(SnapshotCall::Snapshot);
            let mut reader = route.open(Some(&cursor)).await.unwrap();
            reader.count_to(11).await;
            assert_eq!((reader.counted.snapshots, app.requests().len()), (1, 2), "{route:?}");
            assert!(app.requests().iter().all(|(_, gap)| gap.reason == GapReason::Evicted));
        },
    )
    .await;
}

/// Returns the cursor of a client after its session failed. A client of raw frames keeps the one that it started with.
async fn cursor_after_failure(route: Route, start: &str) -> String {
    let Ok(mut reader) = route.open(Some(start)).await else { return start.to_owned() };
    let seen = timeout(PATIENCE, reader.next_item()).await.unwrap();
    assert!(matches!(seen, Err(_) | Ok(Seen::End(_))), "{seen:?} over {route:?}");
    reader.cursor().unwrap_or(start).to_owned()
}

/// A subscriber that panics after it took events, like one whose format panics.
struct PanickingSubscriber {
    inner: Subscription,
    panics: Arc<AtomicBool>,
}

impl Subscriber for PanickingSubscriber {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        let polled = self.inner.poll_next(cx);
        let has_events = matches!(polled, Poll::Ready(Delivery::Events(_)));
        assert!(!has_events || !self.panics.swap(false, Ordering::Relaxed), "on request");
        polled
    }

    fn cursor(&self) -> Option<Cursor> {
        self.inner.cursor()
    }
}

/// The client resumes at the events that were lost in a panic.
#[tokio::test]
async fn client_whose_events_were_lost_in_a_panic_gets_them_after_resume() {
    check_resume_after_panic(|counters, panics, request| {
        let inner = counters.hub().subscribe(request.subscribe_to(["a"]))?;
        Ok(PanickingSubscriber { inner, panics }.boxed())
    })
    .await;
}

/// A panic of a predicate ends one session. Its client resumes at the events that it did not get.
#[tokio::test]
async fn client_whose_predicate_panicked_gets_the_events_after_resume() {
    check_resume_after_panic(|counters, panics, request| {
        let subscribe = request.subscribe_to(["a"]).filter(move |_| {
            assert!(!panics.swap(false, Ordering::Relaxed), "on request");
            true
        });
        Ok(counters.hub().subscribe(subscribe)?.boxed())
    })
    .await;
}

/// Checks on each route that a client whose session panicked gets the events of the panic after it resumes.
async fn check_resume_after_panic(
    subscribe: fn(&Counters, Arc<AtomicBool>, SubscribeRequest) -> Result<BoxSubscriber, Rejection>,
) {
    for number in 0..ClientKind::ALL.len() * 2 {
        let (counters, panics) = (Counters::new(100), Arc::new(AtomicBool::new(true)));
        let endpoint = Endpoint::new({
            let (counters, panics) = (counters.clone(), panics.clone());
            move |request: SubscribeRequest| {
                let subscriber = subscribe(&counters, panics.clone(), request);
                async move { subscriber }
            }
        });
        let route = Server::of(&endpoint).await.routes().nth(number).unwrap();
        counters.count("a");
        let before = counters.hub().cursor().to_string();
        (0..3).for_each(|_| counters.count("a"));
        let cursor = cursor_after_failure(route, &before).await;
        assert!(!panics.load(Ordering::Relaxed), "{route:?}");
        let mut reader = route.open(Some(&cursor)).await.unwrap();
        let Seen::Event(first) = timeout(PATIENCE, reader.next_item()).await.unwrap().unwrap() else {
            panic!("no event over {route:?}")
        };
        assert_eq!(first.data, SeenData::Text("2".to_owned()), "{route:?}");
        timeout(PATIENCE, reader.count_to(4)).await.unwrap();
    }
}

/// Poll replies, streams and WebSockets continue when the snapshot call has returned, and not before.
#[tokio::test]
async fn replies_and_streams_wait_for_the_snapshot_call() {
    for late in [false, true] {
        let app = CountingApp::new(4).with_snapshot_call(SnapshotCall::Wait);
        let timer = VirtualTimer::new();
        let endpoint = app.builder().timer(timer.clone()).max_long_poll_timeout(Duration::from_secs(60)).build();
        let server = Server::of(&endpoint).await;
        app.count(3);
        for (number, route) in server.routes().enumerate() {
            let client = tokio::spawn(async move {
                let mut reader = route.open(Some("nonsense")).await.unwrap();
                let seen = reader.next_item().await.unwrap();
                (seen, reader)
            });
            while app.requests().len() == number {
                tokio::task::yield_now().await;
            }
            timer.advance(Duration::from_millis(9_900));
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            assert!(!client.is_finished() && app.running().0 == 1, "{route:?}");
            match late {
                false => app.release(),
                true => timer.advance(Duration::from_millis(200)),
            }
            let (seen, mut reader) = timeout(PATIENCE, client).await.unwrap().unwrap();
            assert_eq!(app.running().0, 0);
            match seen {
                Seen::Gap(gap) => assert_eq!(gap.snapshot, !late, "{route:?}"),
                Seen::End(ClientEnd::Gap) if late && is_raw(route) => {}
                Seen::Event(_) if !late && is_raw(route) => {}
                seen => panic!("{seen:?} over {route:?}"),
            }
            if !late {
                timeout(PATIENCE, reader.count_to(3)).await.unwrap();
            }
        }
    }
}
