use std::time::Duration;

use tidings::{Message, SessionEnd, Transport};

use super::guest::{Guest, settle};
use super::house::House;
use crate::endpoint::world::{To, get, pass, request};

#[tokio::test(start_paused = true)]
async fn a_websockets_messages_come_with_its_session() {
    let house = House::new();
    let endpoint = house.endpoint();
    let mut guests = Vec::new();
    for number in 1..=3 {
        guests.push((number, Guest::come(&endpoint, Transport::WebSocket, "/").await));
    }
    for (number, guest) in &mut guests {
        guest.send(1, number.to_string().as_bytes()).await;
    }
    let expected = [1, 2, 3].map(|number: u64| (Some(number), Message::Text(number.to_string())));
    assert_eq!(house.messages(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_post_comes_with_the_newest_session_of_its_name_and_key() {
    let house = House::new();
    let endpoint = house.endpoint();
    let post = async |query: &str| {
        assert_eq!(request("POST", &format!("/{query}")).with("x", &endpoint).await.status(), 204);
        house.messages().last().unwrap().0
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
async fn a_client_that_sends_too_fast_is_closed() {
    let house = House::new();
    let endpoint = house.builder().max_message_rate(5).build();
    let mut steady = Guest::come(&endpoint, Transport::WebSocket, "/").await;
    for number in 0..20 {
        steady.send(1, b"x").await;
        if number >= 4 {
            pass(Duration::from_millis(200)).await;
        }
    }
    assert_eq!((house.messages().len(), steady.end()), (20, None));
    steady.go().await;
    let mut fast = Guest::come(&endpoint, Transport::WebSocket, "/").await;
    for _ in 0..6 {
        fast.send(1, b"x").await;
    }
    settle().await;
    assert_eq!(fast.see_out().await, "1008 too many messages");
    assert_eq!(house.messages().len(), 25);
    assert_eq!(house.left().last().unwrap().1, SessionEnd::Refused);
}
