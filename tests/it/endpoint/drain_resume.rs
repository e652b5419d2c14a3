//! P17: a publisher goes on while an endpoint drains, and a client that resumes at another endpoint of the hub loses
//! and
//! repeats no event.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tidings::{Cursor, Endpoint, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use crate::support::http::{App, HELD, To, get, pass, piece, settle, text, upgrade_request};

/// Text that a client received up to its end.
type Seen = Arc<Mutex<String>>;

/// Returns the published numbers in the text, in their order.
fn numbers(text: &str) -> Vec<u64> {
    text.split("\"data\":\"").skip(1).map(|rest| rest.split('"').next().unwrap().parse().unwrap()).collect()
}

/// Returns the cursor of the last event in the text, or `start`.
fn cursor(text: &str, start: Cursor) -> Cursor {
    let last = text.rsplit_once("\"id\":\"").map(|(_, rest)| rest.split('"').next().unwrap());
    last.map_or(start, |cursor| cursor.parse().unwrap())
}

/// Reads a stream or a WebSocket to its end.
async fn read(endpoint: Endpoint, transport: Transport, seen: Seen) {
    let target = format!("/events?transport={}&format=object", transport.as_str());
    if transport != Transport::WebSocket {
        let mut body = get(&target).to(&endpoint).await.into_body();
        while let Some(Ok(more)) = piece(&mut body).await {
            seen.lock().unwrap().push_str(&more);
        }
        return;
    }
    let (mut near, far) = duplex(1 << 16);
    let service = service_fn(move |request| {
        let answer = endpoint.handle(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(far), service);
    tokio::spawn(connection.with_upgrades());
    near.write_all(upgrade_request(&target, "Sec-WebSocket-Protocol: tidings.v1\r\n").as_bytes()).await.unwrap();
    let mut bytes = [0; 1024];
    while let Ok(read @ 1..) = near.read(&mut bytes).await {
        // Frame lengths are not text.
        seen.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..read]));
        if bytes[..read].contains(&0x88) {
            return;
        }
    }
}

/// Polls until the endpoint refuses.
async fn poll(endpoint: Endpoint, start: Cursor, seen: Seen) {
    loop {
        let after = cursor(&seen.lock().unwrap(), start);
        let response = get(&format!("/events?wait=50&cursor={after}")).to(&endpoint).await;
        if response.status() == 503 {
            return;
        }
        let reply = text(response).await;
        seen.lock().unwrap().push_str(&reply);
    }
}

#[tokio::test(start_paused = true)]
async fn p17_no_event_published_during_a_drain_is_lost_to_a_client_that_resumes_elsewhere() {
    const EVENTS: u64 = 600;
    let app = App::new();
    let (old, new) = (app.builder().drain_timeout(Duration::from_secs(3)).build(), app.endpoint());
    let start: Cursor = app.publish("0").parse().unwrap();
    let mut clients = Vec::new();
    for transport in HELD {
        for _ in 0..25 {
            let (endpoint, seen) = (old.clone(), Seen::default());
            let task = match transport {
                Transport::LongPoll => tokio::spawn(poll(endpoint, start, seen.clone())),
                _ => tokio::spawn(read(endpoint, transport, seen.clone())),
            };
            clients.push((transport, seen, task));
        }
    }
    settle().await;
    settle().await;
    assert_eq!(old.session_count(), 100);
    let (mut drain, mut during) = (None, 0);
    for number in 1..EVENTS {
        if number == 200 {
            drain = Some(tokio::spawn(old.drain()));
        }
        app.publish(&number.to_string());
        pass(Duration::from_millis(5)).await;
        during += u64::from(drain.as_ref().is_some_and(|drain| !drain.is_finished()));
    }
    assert!(during > 100, "{during} events were published while it drained");
    drain.unwrap().await.unwrap();
    for (transport, seen, task) in clients {
        task.await.unwrap();
        let mut all = numbers(&seen.lock().unwrap());
        assert!(all.len() > 150 && all.len() < EVENTS as usize - 1, "{transport:?} read {}", all.len());
        // The client resumes at its cursor over another transport.
        let mut after = cursor(&seen.lock().unwrap(), start);
        loop {
            let reply = text(get(&format!("/events?cursor={after}")).to(&new).await).await;
            assert!(!reply.contains("\"gap\""), "{transport:?}: {reply}");
            let more = numbers(&reply);
            after = cursor(&reply, after);
            all.extend(&more);
            if more.is_empty() {
                break;
            }
        }
        assert_eq!(all, (1..EVENTS).collect::<Vec<_>>(), "{transport:?}");
    }
}
