//! Rows 9, 11, 12, 16 and 27: slow readers, frequent requests and large messages cost no more than is configured.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tidings::stats::SessionState;
use tidings::subscriber::{Delivery, SubscriberExt};
use tidings::{GapReason, LocalHub, Message, Retention, Subscribe, Topic, Transport};

use crate::support::Task;
use crate::support::http::{App, TestClient, To, get, header, pass, request, text};

/// A reader that takes nothing has a position in a log and no queue: the hub holds its retention for any number of
/// readers.
#[test]
fn row_09_slow_reader_has_no_queue_and_gets_a_gap() {
    const PUBLISHED: u64 = 50_000;
    for readers in [1, 100] {
        let hub = LocalHub::builder().retain(Retention::count(50)).build();
        let (news, task) = (Topic::new("news").unwrap(), Task::new());
        let mut slow: Vec<_> = (0..readers).map(|_| hub.subscribe(Subscribe::topics([&news])).unwrap()).collect();
        slow.iter_mut().for_each(|reader| assert!(task.poll(&mut reader.next()).is_pending()));
        for number in 0..PUBLISHED {
            hub.publish_now(&news, number.to_string()).unwrap();
            let stats = hub.stats();
            assert!(stats.retained <= 50 && stats.retained_bytes <= 50 * 6);
        }
        assert_eq!(task.wakes(), readers, "woken once, and not again until it looks");
        for reader in &mut slow {
            let Poll::Ready(Delivery::Gap(gap)) = task.poll(&mut reader.next()) else { panic!("no gap") };
            let mut delivered = 0;
            while let Poll::Ready(Delivery::Events(batch)) = task.poll(&mut reader.next()) {
                delivered += batch.iter().count() as u64;
            }
            assert_eq!((gap.reason, gap.missed), (GapReason::Overflow, Some(PUBLISHED - delivered)));
        }
    }
}

/// Each poll has a deadline, and a poll is dropped with its request.
#[tokio::test(start_paused = true)]
async fn row_11_held_poll_has_a_deadline() {
    let app = App::new();
    let endpoint = app.endpoint();
    for (asked, at_most) in
        [("transport=long-poll", 28), ("wait=1", 1), ("wait=55", 55), ("wait=18446744073709551616", 55)]
    {
        let begin = tokio::time::Instant::now();
        let response = get(&format!("/events?{asked}&cursor={}", app.hub.cursor())).to(&endpoint).await;
        assert_eq!(response.status(), 200);
        let held = begin.elapsed();
        let (most, least) = (Duration::from_secs(at_most), Duration::from_secs(at_most).mul_f64(0.8));
        assert!(least <= held && held <= most + Duration::from_millis(10), "{asked}: {held:?}");
    }
    let target = format!("/events?wait=50&cursor={}", app.hub.cursor());
    let held = tokio::spawn(endpoint.handle(get(&target).body(String::new()).unwrap()));
    pass(Duration::from_secs(1)).await;
    assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (1, 1));
    held.abort();
    assert!(held.await.unwrap_err().is_cancelled());
    assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (0, 0));
}

/// The limit holds, and each counter is decremented however the request ends.
#[tokio::test(start_paused = true)]
async fn row_12_sessions_are_limited_and_no_count_leaks() {
    let app = App::new();
    let endpoint = app.builder().max_sessions(10).max_concurrent_calls(2).max_soft_rejects(3).build();
    for _ in 0..20 {
        let mut bodies = Vec::new();
        for number in 0..1_000 {
            let target =
                ["/events?transport=sse", "/events?transport=chunked", "/forbidden", "/busy?transport=sse"][number % 4];
            bodies.push(get(target).to(&endpoint).await);
            assert!(endpoint.session_count() <= 10 && endpoint.stats().soft_rejects <= 3);
            assert!(app.hub.stats().subscriptions <= 10);
        }
        assert_eq!((endpoint.session_count(), endpoint.stats().soft_rejects), (10, 3));
        drop(bodies);
        assert_eq!((endpoint.session_count(), endpoint.stats().soft_rejects), (0, 0));
        assert_eq!(app.hub.stats().subscriptions, 0);
    }
}

/// Holds on every transport and for every end of a session: no counter keeps a count, and each place is free again.
#[tokio::test(start_paused = true)]
async fn row_12_counters_are_0_after_the_last_close_on_every_transport() {
    for &transport in Transport::ALL {
        let app = App::with_limit_key();
        let endpoint = app
            .builder()
            .max_sessions(4)
            .max_sessions_per_key(4)
            .max_concurrent_calls(2)
            .max_concurrent_calls_per_key(1)
            .close_timeout(Duration::from_secs(1))
            .build();
        for round in 0..8 {
            let mut here = Vec::new();
            for number in 0..6 {
                let mut client =
                    TestClient::open(&endpoint, transport, &format!("/?key=k&session={round}-{number}")).await;
                if transport == Transport::WebSocket && client.end().is_none() {
                    client.send(1, b"a message").await;
                }
                here.push(client);
            }
            assert_eq!((endpoint.session_count(), endpoint.stats().live()), (4, 4), "{transport:?}");
            match round % 4 {
                0 => app.publish("one").to_string(),
                1 => endpoint.disconnect_where(|_| true).to_string(),
                2 => endpoint.revoke_where(|_| true).to_string(),
                _ => String::new(),
            };
            pass(Duration::from_millis(300)).await;
            for client in here {
                client.disconnect().await;
            }
            // Longer than the timeout of a session of polls.
            pass(Duration::from_secs(60)).await;
            let stats = endpoint.stats();
            let in_states = SessionState::ALL.iter().map(|&state| stats.sessions_in(state)).sum::<usize>();
            assert_eq!((stats.live(), in_states, stats.soft_rejects), (0, 0, 0), "{transport:?} {round}");
            assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (0, 0), "{transport:?} {round}");
            assert_eq!(stats.joined, stats.left());
            assert_eq!(request("POST", "/?key=k").to(&endpoint).await.status(), 204, "a message's place");
            assert_eq!(get("/?key=k").to(&endpoint).await.status(), 200, "a call's place");
        }
    }
}

/// Clients that were disconnected together reconnect at different times.
#[tokio::test(start_paused = true)]
async fn row_16_retry_times_differ_between_clients() {
    let app = App::new();
    let endpoint = app.endpoint();
    for (target, reported) in
        [("/events", "a poll"), ("/events?transport=sse", "a refused stream"), ("/events?wait=1", "a refused poll")]
    {
        if reported != "a poll" {
            drop(endpoint.drain());
        }
        let mut retries = Vec::new();
        for _ in 0..50 {
            let response = get(target).to(&endpoint).await;
            let retry = header(&response, "tidings-retry-ms").to_owned();
            let retry = if retry.is_empty() {
                let block = crate::support::http::piece(&mut response.into_body()).await.unwrap().unwrap();
                block.lines().find_map(|line| line.strip_prefix("retry: ")).unwrap().to_owned()
            } else {
                retry
            };
            retries.push(retry.parse::<u64>().unwrap());
        }
        assert!(retries.iter().all(|retry| (1_000..=5_000).contains(retry)), "{reported}: {retries:?}");
        retries.sort_unstable();
        retries.dedup();
        assert!(retries.len() > 25, "{reported}: {retries:?}");
    }
}

/// A body of newlines that counts the bytes that are read of it.
struct Newlines {
    left: usize,
    taken: Arc<AtomicUsize>,
    size: usize,
}

impl Body for Newlines {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let size = self.size.min(self.left);
        self.left -= size;
        self.taken.fetch_add(size, Ordering::Relaxed);
        Poll::Ready((size > 0).then(|| Ok(Frame::data(Bytes::from(vec![b'\n'; size])))))
    }
}

/// A message is one, with any number of lines. Bytes above its limit are not read.
#[tokio::test]
async fn row_27_message_is_not_split_and_not_read_beyond_its_limit() {
    let app = App::new();
    let endpoint = app.endpoint();
    for (total, size, length, expected) in [
        (8 << 20, 16 * 1024, true, (413, 0)),
        (8 << 20, 16 * 1024, false, (413, 80 * 1024)),
        (8 << 20, 1, false, (413, 64 * 1024 + 1)),
        (64 * 1024 + 1, 1_000, false, (413, 64 * 1024 + 1)),
        (64 * 1024, 1_000, true, (204, 64 * 1024)),
    ] {
        let taken = Arc::<AtomicUsize>::default();
        let mut post = request("POST", "/events").header("content-type", "text/plain");
        if length {
            post = post.header("content-length", total);
        }
        let body = Newlines { left: total, taken: taken.clone(), size };
        let response = endpoint.handle(post.body(body).unwrap()).await;
        assert_eq!((response.status().as_u16(), taken.load(Ordering::Relaxed)), expected, "{total} by {size}");
        let reported =
            if expected.0 == 413 { r#"{"error":"message is too large: max_message is 65536 bytes"}"# } else { "" };
        assert_eq!(text(response).await, reported);
    }
    assert_eq!(app.messages(), [Message::Text("\n".repeat(64 * 1024))], "one message");
}
