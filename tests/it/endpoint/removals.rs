//! Removals on the transports that leave them out.

use http_body_util::BodyExt;
use tidings::{Body, Endpoint, Event, LocalHub, Retention, Subscribe};

use crate::support::http::{Frame, RawClient, To, get, piece, serve_http1, upgrade_request};

const OFF: &str = "/?transport=sse&controls=off";

fn board() -> (LocalHub, Endpoint) {
    let hub = LocalHub::builder().retain_for("cars", Retention::latest_per_key()).build();
    (hub.clone(), Endpoint::public(&hub, ["cars"]))
}

fn put(hub: &LocalHub, key: &str, text: &str) {
    hub.publish_now("cars", Event::text(text).with_key(key).unwrap()).unwrap();
}

fn remove(hub: &LocalHub, key: &str) {
    hub.publish_now("cars", Event::removal(key).unwrap()).unwrap();
}

/// Each WebSocket counts the removals that it does not send. Those with objects send them.
#[tokio::test]
async fn raw_websockets_leave_removals_out_and_count_them() {
    let (hub, endpoint) = board();
    let address = serve_http1(&endpoint).await;
    let mut clients = Vec::new();
    for extra in ["", "", "Sec-WebSocket-Protocol: tidings.v1\r\n"] {
        let mut client = RawClient::connect(address).await;
        client.send(upgrade_request("/", extra)).await;
        assert!(client.head().await.starts_with("http/1.1 101 "));
        if !extra.is_empty() {
            client.frame().await;
        }
        clients.push(client);
    }
    put(&hub, "42", "here");
    remove(&hub, "42");
    put(&hub, "42", "there");
    let [raw, other, objects] = &mut clients[..] else { unreachable!() };
    for raw in [raw, other] {
        assert_eq!(raw.frame().await, Frame(0x81, b"here".to_vec()));
        assert_eq!(raw.frame().await, Frame(0x81, b"there".to_vec()));
    }
    for part in [r#""data":"here""#, r#""key":"42","removed":true}"#, r#""data":"there""#] {
        let Frame(0x81, object) = objects.frame().await else { panic!("no object") };
        assert!(String::from_utf8(object).unwrap().contains(part), "{part}");
    }
    assert_eq!(endpoint.stats().unsent_removals, 2);
}

/// A WebSocket counts removals of a topic that the application has added.
#[tokio::test]
async fn raw_websocket_counts_removals_after_a_change_of_topics() {
    let hub = LocalHub::builder().retain_for("cars", Retention::latest_per_key()).build();
    let endpoint = Endpoint::public(&hub, ["news"]);
    let mut client = RawClient::connect(serve_http1(&endpoint).await).await;
    client.send(upgrade_request("/", "")).await;
    assert!(client.head().await.starts_with("http/1.1 101 "));
    hub.publish_now("news", "first").unwrap();
    assert_eq!(client.frame().await, Frame(0x81, b"first".to_vec()));
    let id = endpoint.sessions()[0].session.id();
    endpoint.resubscribe(id, hub.subscribe(Subscribe::topics(["cars"])).unwrap()).unwrap();
    put(&hub, "42", "here");
    assert_eq!(client.frame().await, Frame(0x81, b"here".to_vec()));
    remove(&hub, "42");
    put(&hub, "42", "there");
    assert_eq!(client.frame().await, Frame(0x81, b"there".to_vec()));
    assert_eq!(endpoint.stats().unsent_removals, 1);
}

/// A removal that is ready before the head is no event, and the clients share the bytes of the events.
#[tokio::test(start_paused = true)]
async fn streams_without_controls_leave_removals_out_and_share_bytes() {
    let (hub, endpoint) = board();
    put(&hub, "1", "one");
    remove(&hub, "1");
    let target = format!("{OFF}&cursor={}", hub.cursor());
    remove(&hub, "2");
    let mut bodies = Vec::new();
    for _ in 0..2 {
        let mut body = get(&target).to(&endpoint).await.into_body();
        assert_eq!(piece(&mut body).await, Some(Ok(":\n".to_owned())));
        bodies.push(body);
    }
    put(&hub, "2", "two");
    let mut places = Vec::new();
    for body in &mut bodies {
        // The first block is copied, because it has a `retry:` line.
        let first = piece(body).await.unwrap().unwrap();
        assert!(first.ends_with(&format!("\ndata: two\nid: {}\n\n", hub.cursor())), "{first}");
    }
    remove(&hub, "2");
    put(&hub, "2", "three");
    for body in &mut bodies {
        let data = next_data(body).await;
        assert_eq!(data, format!("data: three\nid: {}\n\n", hub.cursor()));
        places.push(data.as_ptr());
    }
    assert_eq!(places[0], places[1], "encoded once");
}

async fn next_data(body: &mut Body) -> bytes::Bytes {
    body.frame().await.unwrap().unwrap().into_data().unwrap()
}
