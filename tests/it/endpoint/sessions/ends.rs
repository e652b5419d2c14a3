use std::time::Duration;

use tidings::{Endpoint, SessionEnd, Transport};

use super::guest::{Guest, HELD, settle};
use super::house::House;
use crate::endpoint::world::pass;

/// Runs `end` on a session of each transport that holds one. Checks the reason of the session's end and the text that
/// its
/// client got; `None` accepts any text.
async fn each<'a>(
    end: impl AsyncFn(&House, &Endpoint, &mut Guest),
    expected: impl Fn(Transport) -> (SessionEnd, Option<&'a str>),
    query: &str,
) {
    for transport in HELD {
        let house = House::new();
        let endpoint = house.endpoint();
        let mut guest = Guest::come(&endpoint, transport, &format!("/{query}")).await;
        assert_eq!(endpoint.session_count(), 1, "{transport:?}");
        assert_eq!(house.lines().len(), 1, "{transport:?}");
        end(&house, &endpoint, &mut guest).await;
        let (why, saw) = expected(transport);
        let seen = guest.see_out().await;
        assert_eq!(house.why(), why, "{transport:?}");
        assert!(saw.is_none_or(|saw| saw == seen), "{transport:?} saw {seen:?}");
        assert_eq!((endpoint.session_count(), house.hub.stats().subscriptions), (0, 0), "{transport:?}");
        let stats = endpoint.stats();
        assert_eq!((stats.joined, stats.left_for(why), stats.states), (1, 1, [0; 3]), "{transport:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn p15_a_client_that_goes_has_left() {
    for transport in HELD {
        let house = House::new();
        let endpoint = house.endpoint();
        let guest = Guest::come(&endpoint, transport, "/").await;
        house.publish(if transport == Transport::LongPoll { "" } else { "one" });
        settle().await;
        if transport != Transport::LongPoll {
            guest.go().await;
            assert_eq!(house.why(), SessionEnd::Gone, "{transport:?}");
        }
        assert_eq!((endpoint.session_count(), house.hub.stats().subscriptions), (0, 0), "{transport:?}");
    }
    let house = House::new();
    let endpoint = house.endpoint();
    Guest::come(&endpoint, Transport::LongPoll, "/").await.go().await;
    assert_eq!(house.why(), SessionEnd::Gone);
}

#[tokio::test(start_paused = true)]
async fn a_poll_without_a_name_is_a_session_until_it_is_answered() {
    let house = House::new();
    let endpoint = house.endpoint();
    let poll = Guest::come(&endpoint, Transport::LongPoll, "/").await;
    house.publish("one");
    settle().await;
    assert!(poll.text().contains("one"));
    assert_eq!(house.why(), SessionEnd::Silent);
    Guest::come(&endpoint, Transport::ShortPoll, "/").await;
    assert_eq!(house.lines().len(), 2, "a short one is none");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_finished_ends_its_sessions() {
    let saw = |transport| match transport {
        Transport::WebSocket => "1000 finished",
        _ => "200",
    };
    each(async |house, _, _| house.hub.close(), |transport| (SessionEnd::Finished, Some(saw(transport))), "").await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_its_sessions() {
    let saw = |transport| match transport {
        Transport::WebSocket => "1012 restart",
        Transport::LongPoll => "200",
        _ => "Ended",
    };
    each(async |_, endpoint, _| drop(endpoint.drain()), |transport| (SessionEnd::Drained, Some(saw(transport))), "")
        .await;
}

#[tokio::test(start_paused = true)]
async fn who_is_disconnected_gets_what_is_ready_and_a_goodbye() {
    let saw = |transport| match transport {
        Transport::WebSocket => "1012 disconnected",
        Transport::LongPoll => "200",
        _ => "Ended",
    };
    let end = async |house: &House, endpoint: &Endpoint, guest: &mut Guest| {
        let id = endpoint.sessions()[0].session.id();
        house.publish("the last");
        assert!(endpoint.disconnect(id));
        assert!(!endpoint.disconnect(id), "once");
        settle().await;
        assert!(guest.text().contains("the last"));
    };
    each(end, |transport| (SessionEnd::Disconnected, Some(saw(transport))), "").await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_subscriber_ends_its_session_and_no_other() {
    let end = async |house: &House, endpoint: &Endpoint, _: &mut Guest| {
        let mut other = Guest::connect(endpoint, "/?transport=websocket", 1 << 16).await;
        house.publish("panic");
        settle().await;
        assert_eq!(other.text(), "panic");
        other.send(8, &1000_u16.to_be_bytes()).await;
        settle().await;
    };
    for transport in HELD {
        let house = House::new();
        let endpoint = house.endpoint();
        let guest = Guest::come(&endpoint, transport, "/?panic").await;
        end(&house, &endpoint, &mut { guest }).await;
        let mut left = house.left();
        left.sort_unstable_by_key(|&(id, _)| id);
        let reasons: Vec<_> = left.into_iter().map(|(_, why)| why).collect();
        assert_eq!(reasons, [SessionEnd::Panicked, SessionEnd::Gone], "{transport:?}");
        assert_eq!(endpoint.session_count(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn p15_a_panic_in_joined_or_left_harms_nobody() {
    for transport in HELD {
        let house = House::new();
        house.panic_from_now_on();
        let endpoint = house.endpoint();
        let guest = Guest::come(&endpoint, transport, "/").await;
        house.publish("one");
        settle().await;
        assert!(guest.text().contains("one"), "{transport:?}");
        let other = Guest::come(&endpoint, transport, "/").await;
        guest.go().await;
        other.go().await;
        assert_eq!((house.lines().len(), house.left().len()), (4, 2), "{transport:?}");
        assert_eq!((endpoint.session_count(), endpoint.stats().joined), (0, 2));
        endpoint.drain().await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_falls_behind_is_told_so_by_its_reason() {
    for (transport, query, expected) in [
        (Transport::Sse, "?overflow=disconnect", "Ended"),
        (Transport::Chunked, "?overflow=disconnect", "Ended"),
        (Transport::LongPoll, "?overflow=disconnect", "200"),
        (Transport::WebSocket, "?overflow=disconnect", "1013 too slow"),
        (Transport::WebSocket, "", "1013 gap"),
    ] {
        let house = House::forgetful();
        let endpoint = house.endpoint();
        let mut guest = Guest::come(&endpoint, transport, &format!("/{query}")).await;
        for number in 0..5_000 {
            house.publish(&number.to_string());
        }
        assert_eq!(guest.see_out().await, expected, "{transport:?}");
        assert_eq!(house.why(), SessionEnd::TooSlow, "{transport:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn p9_who_takes_nothing_has_stalled() {
    for transport in [Transport::Sse, Transport::Chunked] {
        let house = House::new();
        let endpoint = house.endpoint();
        let target = format!("/?transport={}", transport.as_str());
        let body = endpoint.handle(crate::endpoint::world::get(&target).body(String::new()).unwrap()).await;
        pass(Duration::from_secs(13)).await;
        assert_eq!(
            (house.why(), endpoint.session_count(), house.hub.stats().subscriptions),
            (SessionEnd::Stalled, 0, 0)
        );
        drop(body);
        assert_eq!(house.lines().len(), 2);
    }
    let house = House::new();
    let endpoint = house.endpoint();
    // Pings are sent, and pongs never come.
    let guest = Guest::come(&endpoint, Transport::WebSocket, "/").await;
    pass(Duration::from_secs(40)).await;
    assert_eq!((house.why(), guest.end().as_deref()), (SessionEnd::Stalled, Some("lost")));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_breaks_the_rules_or_is_refused_is_refused() {
    for (opcode, payload, saw, why) in [
        (3, &b"x"[..], "1002 ", SessionEnd::Refused),
        (1, b"\xff", "1007 ", SessionEnd::Refused),
        (1, b"no", "1008 forbidden", SessionEnd::Refused),
        (1, b"panic", "1011 internal error", SessionEnd::Panicked),
        (8, &1000_u16.to_be_bytes(), "1000 ", SessionEnd::Gone),
    ] {
        let house = House::new();
        let endpoint = house.endpoint();
        let mut guest = Guest::come(&endpoint, Transport::WebSocket, "/").await;
        guest.send(opcode, payload).await;
        let seen = guest.see_out().await;
        assert!(seen.starts_with(saw), "{seen}");
        assert_eq!(house.why(), why, "{seen}");
    }
}

#[tokio::test(start_paused = true)]
async fn p9_whatever_is_dropped_when_has_left_once() {
    // A request whose handling is cancelled at any step, and a response that is not read.
    for transport in HELD {
        for steps in 0..6 {
            let house = House::new();
            let endpoint = house.endpoint();
            let target = format!("/?transport={}&wait=50&cursor={}", transport.as_str(), house.hub.cursor());
            let mut request = crate::endpoint::world::get(&target);
            if transport == Transport::WebSocket {
                for (name, value) in [
                    ("upgrade", "websocket"),
                    ("connection", "upgrade"),
                    ("sec-websocket-version", "13"),
                    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
                ] {
                    request = request.header(name, value);
                }
            }
            let mut answer = Box::pin(endpoint.handle(request.body(String::new()).unwrap()));
            for _ in 0..steps {
                let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(answer.as_mut().poll(cx))).await;
                if polled.is_ready() {
                    break;
                }
            }
            drop(answer);
            settle().await;
            let (joined, left) = (house.lines().len() - house.left().len(), house.left().len());
            assert_eq!(joined, left, "{transport:?} after {steps}: {:?}", house.lines());
            assert_eq!((endpoint.session_count(), house.hub.stats().subscriptions), (0, 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn joined_is_before_the_first_event_and_left_after_the_last() {
    for transport in Transport::ALL {
        let house = House::new();
        let endpoint = house.endpoint();
        house.publish("one");
        let guest = Guest::come(&endpoint, transport, "/?oldest&session=a").await;
        assert!(guest.text().contains("one"), "{transport:?}");
        house.publish("two");
        settle().await;
        endpoint.drain().await;
        house.publish("three");
        settle().await;
        let (at, now) = house.deliveries();
        assert_eq!((at[0], at[1]), (0, now), "{transport:?}");
        assert!(now > 0 && house.left().len() == 1, "{transport:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_has_never_joined() {
    for transport in Transport::ALL {
        let house = House::new();
        let endpoint = house.builder().max_sessions(0).build();
        Guest::come(&endpoint, transport, "/?session=a").await;
        Guest::come(&house.endpoint(), transport, "/forbidden?session=a").await;
        assert!(house.lines().is_empty(), "{transport:?}");
    }
}
