use std::time::Duration;

use tidings::{Message, SessionEnd, Transport};

use crate::support::http::{App, TestClient, To, get, pass, request, settle};

#[tokio::test(start_paused = true)]
async fn websocket_message_has_its_session() {
    let app = App::with_limit_key();
    let endpoint = app.endpoint();
    let mut clients = Vec::new();
    for number in 1..=3 {
        clients.push((number, TestClient::open(&endpoint, Transport::WebSocket, "/").await));
    }
    for (number, client) in &mut clients {
        client.send(1, number.to_string().as_bytes()).await;
    }
    let expected = [1, 2, 3].map(|number: u64| (Some(number), Message::Text(number.to_string())));
    assert_eq!(app.session_messages(), expected);
}

#[tokio::test(start_paused = true)]
async fn post_has_the_newest_session_of_its_name_and_key() {
    let app = App::with_limit_key();
    let endpoint = app.endpoint();
    let post = async |query: &str| {
        assert_eq!(request("POST", &format!("/{query}")).with("x", &endpoint).await.status(), 204);
        app.session_messages().last().unwrap().0
    };
    assert_eq!(post("?session=a").await, None);
    let first = get("/?transport=sse&session=a&key=k").to(&endpoint).await;
    let second = get("/?transport=chunked&session=a&key=k").to(&endpoint).await;
    get("/?session=b&key=k").to(&endpoint).await;
    assert_eq!(post("?session=a&key=k").await, Some(2));
    assert_eq!(post("?session=b&key=k").await, Some(3));
    for other in ["?session=a", "?session=a&key=other", "?key=k", "", "?session=c&key=k"] {
        assert_eq!(post(other).await, None, "{other}");
    }
    drop(second);
    assert_eq!(post("?session=a&key=k").await, Some(1));
    drop(first);
    assert_eq!(post("?session=a&key=k").await, None);
}

#[tokio::test(start_paused = true)]
async fn messages_above_max_message_rate_close_the_websocket() {
    let app = App::with_limit_key();
    let endpoint = app.builder().max_message_rate(5).build();
    let mut steady = TestClient::open(&endpoint, Transport::WebSocket, "/").await;
    for number in 0..20 {
        steady.send(1, b"x").await;
        if number >= 4 {
            pass(Duration::from_millis(200)).await;
        }
    }
    assert_eq!((app.session_messages().len(), steady.end()), (20, None));
    steady.disconnect().await;
    let mut fast = TestClient::open(&endpoint, Transport::WebSocket, "/").await;
    for _ in 0..6 {
        fast.send(1, b"x").await;
    }
    settle().await;
    assert_eq!(fast.finish().await, "1008 too many messages");
    assert_eq!(app.session_messages().len(), 25);
    assert_eq!(app.left().last().unwrap().1, SessionEnd::Refused);
}
