use std::time::Duration;

use tidings::{Endpoint, SessionEnd, Transport};

use crate::support::http::{App, HELD, TestClient, pass, settle};

/// Runs `end` on a session of each transport that holds one. Checks the reason of the session's end and the text that
/// its
/// client got; `None` accepts any text.
async fn each<'a>(
    end: impl AsyncFn(&App, &Endpoint, &mut TestClient),
    expected: impl Fn(Transport) -> (SessionEnd, Option<&'a str>),
    query: &str,
) {
    for transport in HELD {
        let app = App::with_limit_key();
        let endpoint = app.endpoint();
        let mut client = TestClient::open(&endpoint, transport, &format!("/{query}")).await;
        assert_eq!(endpoint.session_count(), 1, "{transport:?}");
        assert_eq!(app.session_events().len(), 1, "{transport:?}");
        end(&app, &endpoint, &mut client).await;
        let (why, saw) = expected(transport);
        let seen = client.finish().await;
        assert_eq!(app.end_reason(), why, "{transport:?}");
        assert!(saw.is_none_or(|saw| saw == seen), "{transport:?} saw {seen:?}");
        assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (0, 0), "{transport:?}");
        let stats = endpoint.stats();
        assert_eq!((stats.joined, stats.left_for(why), stats.live()), (1, 1, 0), "{transport:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn p15_disconnected_client_leaves() {
    for transport in HELD {
        let app = App::with_limit_key();
        let endpoint = app.endpoint();
        let client = TestClient::open(&endpoint, transport, "/").await;
        app.publish(if transport == Transport::LongPoll { "" } else { "one" });
        settle().await;
        if transport != Transport::LongPoll {
            client.disconnect().await;
            assert_eq!(app.end_reason(), SessionEnd::Gone, "{transport:?}");
        }
        assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (0, 0), "{transport:?}");
    }
    let app = App::with_limit_key();
    let endpoint = app.endpoint();
    TestClient::open(&endpoint, Transport::LongPoll, "/").await.disconnect().await;
    assert_eq!(app.end_reason(), SessionEnd::Gone);
}

#[tokio::test(start_paused = true)]
async fn long_poll_without_a_name_is_a_session_until_its_answer() {
    let app = App::with_limit_key();
    let endpoint = app.endpoint();
    let poll = TestClient::open(&endpoint, Transport::LongPoll, "/").await;
    app.publish("one");
    settle().await;
    assert!(poll.text().contains("one"));
    assert_eq!(app.end_reason(), SessionEnd::Silent);
    TestClient::open(&endpoint, Transport::ShortPoll, "/").await;
    assert_eq!(app.session_events().len(), 2, "a short one is none");
}

#[tokio::test(start_paused = true)]
async fn finished_source_ends_its_sessions() {
    let saw = |transport| match transport {
        Transport::WebSocket => "1000 finished",
        _ => "200",
    };
    each(async |app, _, _| app.hub.close(), |transport| (SessionEnd::Finished, Some(saw(transport))), "").await;
}

#[tokio::test(start_paused = true)]
async fn drain_ends_all_sessions() {
    let saw = |transport| match transport {
        Transport::WebSocket => "1012 restart",
        Transport::LongPoll => "200",
        _ => "Ended",
    };
    each(async |_, endpoint, _| drop(endpoint.drain()), |transport| (SessionEnd::Drained, Some(saw(transport))), "")
        .await;
}

#[tokio::test(start_paused = true)]
async fn disconnect_sends_ready_events_before_the_end() {
    let saw = |transport| match transport {
        Transport::WebSocket => "1012 disconnected",
        Transport::LongPoll => "200",
        _ => "Ended",
    };
    let end = async |app: &App, endpoint: &Endpoint, client: &mut TestClient| {
        let id = endpoint.sessions()[0].session.id();
        app.publish("the last");
        assert!(endpoint.disconnect(id));
        assert!(!endpoint.disconnect(id), "once");
        settle().await;
        assert!(client.text().contains("the last"));
    };
    each(end, |transport| (SessionEnd::Disconnected, Some(saw(transport))), "").await;
}

#[tokio::test(start_paused = true)]
async fn subscriber_panic_ends_its_session_and_no_other() {
    let end = async |app: &App, endpoint: &Endpoint, _: &mut TestClient| {
        let mut other = TestClient::open_websocket(endpoint, "/?transport=websocket", 1 << 16).await;
        app.publish("panic");
        settle().await;
        assert_eq!(other.text(), "panic");
        other.send(8, &1000_u16.to_be_bytes()).await;
        settle().await;
    };
    for transport in HELD {
        let app = App::with_limit_key();
        let endpoint = app.endpoint();
        let client = TestClient::open(&endpoint, transport, "/?panic").await;
        end(&app, &endpoint, &mut { client }).await;
        let mut left = app.left();
        left.sort_unstable_by_key(|&(id, _)| id);
        let reasons: Vec<_> = left.into_iter().map(|(_, why)| why).collect();
        assert_eq!(reasons, [SessionEnd::Panicked, SessionEnd::Gone], "{transport:?}");
        assert_eq!(endpoint.session_count(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn p15_panic_in_joined_or_left_affects_no_session() {
    for transport in HELD {
        let app = App::with_limit_key();
        app.panic_in_hooks();
        let endpoint = app.endpoint();
        let client = TestClient::open(&endpoint, transport, "/").await;
        app.publish("one");
        settle().await;
        assert!(client.text().contains("one"), "{transport:?}");
        let other = TestClient::open(&endpoint, transport, "/").await;
        client.disconnect().await;
        other.disconnect().await;
        assert_eq!((app.session_events().len(), app.left().len()), (4, 2), "{transport:?}");
        assert_eq!((endpoint.session_count(), endpoint.stats().joined), (0, 2));
        endpoint.drain().await;
    }
}

#[tokio::test(start_paused = true)]
async fn slow_subscription_ends_its_session_as_too_slow() {
    for (transport, query, expected) in [
        (Transport::Sse, "?overflow=disconnect", "Ended"),
        (Transport::Chunked, "?overflow=disconnect", "Ended"),
        (Transport::LongPoll, "?overflow=disconnect", "200"),
        (Transport::WebSocket, "?overflow=disconnect", "1013 too slow"),
        (Transport::WebSocket, "", "1013 gap"),
    ] {
        let app = App::with_short_history();
        let endpoint = app.endpoint();
        let mut client = TestClient::open(&endpoint, transport, &format!("/{query}")).await;
        for number in 0..5_000 {
            app.publish(&number.to_string());
        }
        assert_eq!(client.finish().await, expected, "{transport:?}");
        assert_eq!(app.end_reason(), SessionEnd::TooSlow, "{transport:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn p9_client_that_reads_nothing_is_stalled() {
    for transport in [Transport::Sse, Transport::Chunked] {
        let app = App::with_limit_key();
        let endpoint = app.endpoint();
        let target = format!("/?transport={}", transport.as_str());
        let body = endpoint.handle(crate::support::http::get(&target).body(String::new()).unwrap()).await;
        pass(Duration::from_secs(13)).await;
        assert_eq!(
            (app.end_reason(), endpoint.session_count(), app.hub.stats().subscriptions),
            (SessionEnd::Stalled, 0, 0)
        );
        drop(body);
        assert_eq!(app.session_events().len(), 2);
    }
    let app = App::with_limit_key();
    let endpoint = app.endpoint();
    // Pings are sent, and pongs never come.
    let client = TestClient::open(&endpoint, Transport::WebSocket, "/").await;
    pass(Duration::from_secs(40)).await;
    assert_eq!((app.end_reason(), client.end().as_deref()), (SessionEnd::Stalled, Some("lost")));
}

#[tokio::test(start_paused = true)]
async fn protocol_violation_or_closing_rejection_ends_as_refused() {
    for (opcode, payload, saw, why) in [
        (3, &b"x"[..], "1002 ", SessionEnd::Refused),
        (1, b"\xff", "1007 ", SessionEnd::Refused),
        (1, b"no", "1008 forbidden", SessionEnd::Refused),
        (1, b"panic", "1011 internal error", SessionEnd::Panicked),
        (8, &1000_u16.to_be_bytes(), "1000 ", SessionEnd::Gone),
    ] {
        let app = App::with_limit_key();
        let endpoint = app.endpoint();
        let mut client = TestClient::open(&endpoint, Transport::WebSocket, "/").await;
        client.send(opcode, payload).await;
        let seen = client.finish().await;
        assert!(seen.starts_with(saw), "{seen}");
        assert_eq!(app.end_reason(), why, "{seen}");
    }
}

#[tokio::test(start_paused = true)]
async fn p9_session_dropped_at_any_step_leaves_once() {
    // A request whose handling is cancelled at any step, and a response that is not read.
    for transport in HELD {
        for steps in 0..6 {
            let app = App::with_limit_key();
            let endpoint = app.endpoint();
            let target = format!("/?transport={}&wait=50&cursor={}", transport.as_str(), app.hub.cursor());
            let mut request = crate::support::http::get(&target);
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
            let (joined, left) = (app.session_events().len() - app.left().len(), app.left().len());
            assert_eq!(joined, left, "{transport:?} after {steps}: {:?}", app.session_events());
            assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (0, 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn joined_precedes_the_first_event_and_left_follows_the_last() {
    for &transport in Transport::ALL {
        let app = App::with_limit_key();
        let endpoint = app.endpoint();
        app.publish("one");
        let client = TestClient::open(&endpoint, transport, "/?oldest&session=a").await;
        assert!(client.text().contains("one"), "{transport:?}");
        app.publish("two");
        settle().await;
        endpoint.drain().await;
        app.publish("three");
        settle().await;
        let (at, now) = app.deliveries();
        assert_eq!((at[0], at[1]), (0, now), "{transport:?}");
        assert!(now > 0 && app.left().len() == 1, "{transport:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn refused_request_never_joins() {
    for &transport in Transport::ALL {
        let app = App::with_limit_key();
        let endpoint = app.builder().max_sessions(0).build();
        TestClient::open(&endpoint, transport, "/?session=a").await;
        TestClient::open(&app.endpoint(), transport, "/forbidden?session=a").await;
        assert!(app.session_events().is_empty(), "{transport:?}");
    }
}
