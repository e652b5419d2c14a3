//! Cursors that clients are known to have.

use std::time::Duration;

use http::header::IF_NONE_MATCH;
use tidings::{Cursor, Endpoint, Transport};

use crate::support::http::{
    App, RawClient, TestClient, To, frame, get, pass, piece, serve_pipe, text, upgrade_request,
};

const SECOND: Duration = Duration::from_secs(1);

/// Returns the acknowledged cursor of the only session.
fn acknowledged(endpoint: &Endpoint) -> Option<String> {
    let sessions = endpoint.sessions();
    let [info] = &sessions[..] else { panic!("{sessions:?}") };
    info.acknowledged.map(|cursor| cursor.to_string())
}

#[tokio::test(start_paused = true)]
async fn stream_acknowledges_the_cursor_with_which_it_resumed() {
    let app = App::new();
    let (endpoint, first) = (app.endpoint(), app.publish("one"));
    app.publish("two");
    for transport in [Transport::Sse, Transport::Chunked, Transport::WebSocket] {
        let client = TestClient::open(&endpoint, transport, "/").await;
        assert_eq!(acknowledged(&endpoint), None, "{transport:?}");
        app.publish("three");
        pass(SECOND).await;
        assert_eq!(acknowledged(&endpoint), None, "{transport:?}");
        client.disconnect().await;

        let client = TestClient::open(&endpoint, transport, &format!("/?cursor={first}")).await;
        assert_eq!(acknowledged(&endpoint).as_deref(), Some(&*first), "{transport:?}");
        assert!(endpoint.sessions()[0].cursor.unwrap().to_string() > first);
        client.disconnect().await;
    }
    let sse = get("/?transport=sse").header("last-event-id", &first).to(&endpoint).await;
    assert_eq!(acknowledged(&endpoint), Some(first));
    drop(sse);
}

/// A client may send any cursor. A cursor that the source does not continue from is not known to be the client's position.
#[tokio::test(start_paused = true)]
async fn cursor_that_is_not_of_the_source_is_not_acknowledged() {
    let app = App::new();
    let (endpoint, here) = (app.endpoint(), app.hub.cursor());
    app.publish("one");
    let future = Cursor::new(here.epoch(), 1_000_000);
    for cursor in
        [future.to_string(), "1.a1".to_owned(), "0.0".to_owned(), "lost".to_owned(), future.with_tag(7).to_string()]
    {
        for transport in [Transport::Sse, Transport::Chunked, Transport::WebSocket] {
            if transport == Transport::WebSocket {
                // Raw frames have no gap.
                continue;
            }
            let client = TestClient::open(&endpoint, transport, &format!("/?cursor={cursor}")).await;
            app.publish("two");
            pass(SECOND).await;
            assert!(client.text().contains("two"), "{}", client.text());
            assert_eq!(acknowledged(&endpoint), None, "{cursor} {transport:?}");
            client.disconnect().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn polls_acknowledge_the_cursor_with_which_they_come() {
    let app = App::with_limit_key();
    let endpoint = app.endpoint();
    let (start, first, second) = (app.hub.cursor().to_string(), app.publish("one"), app.publish("two"));
    let poll = |cursor: &str| format!("/?transport=short-poll&session=tab&cursor={cursor}");
    text(get("/?transport=short-poll&session=tab").to(&endpoint).await).await;
    assert_eq!(acknowledged(&endpoint), None);
    text(get(&poll(&start)).to(&endpoint).await).await;
    assert_eq!(acknowledged(&endpoint), Some(start.clone()));
    for (cursor, expected) in [(&first, &first), (&second, &second), (&first, &second), (&start, &second)] {
        text(get(&poll(cursor)).to(&endpoint).await).await;
        assert_eq!(acknowledged(&endpoint).as_deref(), Some(&**expected), "a poll at {cursor}");
    }
    let future = Cursor::new(app.hub.cursor().epoch(), 1_000);
    text(get(&poll(&future.to_string())).to(&endpoint).await).await;
    assert_eq!(acknowledged(&endpoint), Some(second.clone()), "a cursor beyond the hub's");

    let request = get("/?wait=20&session=tab").header(IF_NONE_MATCH, format!("\"{second}\""));
    let held = tokio::spawn(endpoint.handle(request.body(String::new()).unwrap()));
    pass(SECOND).await;
    assert_eq!(acknowledged(&endpoint), Some(second));
    let third = app.publish("three");
    held.await.unwrap();
    text(get(&poll(&third)).to(&endpoint).await).await;
    assert_eq!(acknowledged(&endpoint), Some(third));
}

#[tokio::test(start_paused = true)]
async fn long_poll_of_its_own_acknowledges_its_cursor() {
    let app = App::new();
    let (endpoint, cursor) = (app.endpoint(), app.publish("one"));
    let held = tokio::spawn(endpoint.handle(get(&format!("/?wait=20&cursor={cursor}")).body(String::new()).unwrap()));
    pass(SECOND).await;
    assert_eq!(acknowledged(&endpoint), Some(cursor));
    held.abort();
}

/// Opens a WebSocket. Returns the client after the answer.
async fn websocket(endpoint: &Endpoint, extra: &str) -> RawClient<tokio::io::DuplexStream> {
    let mut client = RawClient::over(serve_pipe(endpoint, 1 << 16));
    client.send(upgrade_request("/events", extra)).await;
    client.head().await;
    client
}

/// Returns the payload of the next ping.
async fn ping(client: &mut RawClient<tokio::io::DuplexStream>) -> Vec<u8> {
    loop {
        let frame = client.frame().await;
        if frame.0 == 0x89 {
            return frame.1;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn websocket_acknowledges_by_the_pong_of_its_ping() {
    for (is_raw, extra) in [(false, "Sec-WebSocket-Protocol: tidings.v1\r\n"), (true, "")] {
        let app = App::new();
        let endpoint = app.builder().raw_websocket_acknowledgements(is_raw).build();
        let mut client = websocket(&endpoint, extra).await;
        let first = app.publish("one");
        let payload = ping(&mut client).await;
        assert_eq!(payload[1..], *first.as_bytes());
        app.publish("two");
        pass(SECOND).await;
        assert_eq!(acknowledged(&endpoint), None);
        // A forged pong, and the answer.
        let forged = [&payload[..1], app.hub.cursor().to_string().as_bytes()].concat();
        client.send(frame(10, &forged)).await;
        pass(SECOND).await;
        assert_eq!(acknowledged(&endpoint), None);
        client.send(frame(10, &payload)).await;
        pass(SECOND).await;
        assert_eq!(acknowledged(&endpoint), Some(first));
        let payload = ping(&mut client).await;
        client.send(frame(10, &payload)).await;
        pass(SECOND).await;
        assert_eq!(acknowledged(&endpoint), Some(app.hub.cursor().to_string()));
    }
}

#[tokio::test(start_paused = true)]
async fn raw_websocket_acknowledges_nothing_by_default() {
    let app = App::new();
    let endpoint = app.endpoint();
    let mut client = websocket(&endpoint, "").await;
    app.publish("one");
    let payload = ping(&mut client).await;
    assert_eq!(payload.len(), 1);
    client.send(frame(10, &payload)).await;
    pass(SECOND).await;
    assert_eq!((acknowledged(&endpoint), endpoint.session_count()), (None, 1));
}

/// An unread part of a snapshot is no position: a client that is cut in it starts over.
#[tokio::test(start_paused = true)]
async fn gap_of_another_epoch_leaves_no_acknowledgement() {
    let app = App::new();
    let endpoint = app.endpoint();
    let mut body = get("/?transport=sse&cursor=1.a1").to(&endpoint).await.into_body();
    assert!(piece(&mut body).await.unwrap().unwrap().contains("id: 1.a1\n"));
    assert_eq!(acknowledged(&endpoint), None);
    assert!(piece(&mut body).await.unwrap().unwrap().contains("event: tidings.gap\n"));
    assert_eq!(acknowledged(&endpoint), None);
}
