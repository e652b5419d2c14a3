//! Starts that a client without a cursor asks for: `?last=N` and `?start=`.

use std::time::Duration;

use http::StatusCode;
use proptest::prelude::*;
use tidings::{EndReason, Endpoint, EndpointBuilder, LocalHub, Start, SubscribeRequest, Transport};
use tokio::time::Instant;

use crate::support::http::{
    App, RawClient, TestClient, To, get, header, pass, piece, request, serve_http1, text, upgrade_request,
};

#[tokio::test]
async fn last_and_start_of_a_query_select_the_start() {
    let app = App::new();
    let endpoint = app.endpoint();
    let cursor = || Start::After("a.a2".parse().unwrap());
    for (query, headers, expected) in [
        ("last=3", &[][..], Start::Last(3)),
        ("last=003", &[], Start::Last(3)),
        ("l%61st=%33", &[], Start::Last(3)),
        ("last=1000", &[], Start::Last(1_000)),
        ("last=1001", &[], Start::Last(1_000)),
        ("last=18446744073709551616", &[], Start::Last(1_000)),
        ("last=0", &[], Start::Now),
        ("start=oldest", &[], Start::Oldest),
        ("start=now", &[], Start::Now),
        // An empty value counts as absent, and the first of several counts.
        ("last=", &[], Start::Now),
        ("last=&start=oldest", &[], Start::Oldest),
        ("last=&last=4&last=5", &[], Start::Last(4)),
        ("start=&start=oldest&start=now", &[], Start::Oldest),
        // Unreadable values.
        ("last=x", &[], Start::Now),
        ("last=-1", &[], Start::Now),
        ("last=%2B1", &[], Start::Now),
        ("last=1.5", &[], Start::Now),
        ("last=%FF", &[], Start::Now),
        ("last", &[], Start::Now),
        ("start=Oldest", &[], Start::Now),
        ("start=7", &[], Start::Now),
        ("start=%FF", &[], Start::Now),
        ("Last=3&LAST=3&lasts=3&Start=oldest", &[], Start::Now),
        // `last` counts before `start`, readable or not.
        ("start=oldest&last=3", &[], Start::Last(3)),
        ("last=x&start=oldest", &[], Start::Now),
        ("last=0&start=oldest", &[], Start::Now),
        // A cursor counts before both, readable or not.
        ("last=3&cursor=a.a2&start=oldest", &[], cursor()),
        ("last=3&lastEventId=a.a2", &[], cursor()),
        ("last=3", &[("last-event-id", "a.a2")], cursor()),
        ("start=oldest", &[("if-none-match", "\"a.a2\"")], cursor()),
        ("last=3&cursor=x", &[], Start::Unreadable),
        ("last=3&cursor=", &[("last-event-id", ""), ("if-none-match", "*")], Start::Last(3)),
    ] {
        for transport in ["short-poll", "long-poll&wait=0", "chunked", "sse"] {
            let request = get(&format!("/events?{query}&transport={transport}"));
            let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            let status = request.to(&endpoint).await.status();
            assert_eq!((status, app.last_subscribe().1), (StatusCode::OK, expected), "{query} {headers:?} {transport}");
        }
        for method in ["GET", "POST"] {
            let request = request(method, &format!("/events?{query}"));
            let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            let (parts, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(SubscribeRequest::read(&parts).unwrap().start(), expected, "{method} {query} {headers:?}");
        }
    }
}

#[tokio::test]
async fn last_is_limited_by_max_last() {
    for (max, query, expected) in [
        (2, "last=3", Start::Last(2)),
        (2, "last=1", Start::Last(1)),
        (0, "last=3", Start::Now),
        (0, "start=oldest", Start::Oldest),
        (usize::MAX, "last=5000", Start::Last(5_000)),
    ] {
        let app = App::new();
        let endpoint = app.builder().max_last(max).build();
        get(&format!("/events?{query}")).to(&endpoint).await;
        assert_eq!(app.last_subscribe().1, expected, "{max} {query}");
    }
}

/// Returns a hub with three events of `a` and three of `b`, and their texts.
fn hub() -> LocalHub {
    let hub = LocalHub::new();
    for (topic, text) in [("a", "A1"), ("b", "B1"), ("a", "A2"), ("a", "A3"), ("b", "B2"), ("b", "B3")] {
        hub.publish_now(topic, text).unwrap();
    }
    hub
}

const TEXTS: [&str; 7] = ["A1", "B1", "A2", "A3", "B2", "B3", "live"];

/// Returns the texts of the events in a part of a response, in their order.
fn texts(wire: &str) -> Vec<&'static str> {
    let mut found: Vec<_> = TEXTS.into_iter().filter_map(|text| Some((wire.find(text)?, text))).collect();
    found.sort_unstable();
    found.into_iter().map(|(_, text)| text).collect()
}

/// Reads the events over a transport, up to one that is published after the client has subscribed. Polls get none of it.
async fn read(endpoint: &Endpoint, hub: &LocalHub, transport: &str, query: &str) -> Vec<&'static str> {
    let target = format!("/events?{query}");
    if transport.starts_with("websocket") {
        let mut client = RawClient::connect(serve_http1(endpoint).await).await;
        let offer = if transport == "websocket" { "Sec-WebSocket-Protocol: tidings.v1\r\n" } else { "" };
        client.send(upgrade_request(&target, offer)).await;
        assert!(client.head().await.starts_with("http/1.1 101 "), "{transport} {query}");
        hub.publish_now("a", "live").unwrap();
        let mut wire = String::new();
        while !wire.contains("live") {
            wire += std::str::from_utf8(&client.frame().await.1).unwrap();
        }
        return texts(&wire);
    }
    let response = get(&format!("{target}&transport={transport}")).to(endpoint).await;
    if transport.contains("poll") {
        return texts(&text(response).await);
    }
    hub.publish_now("a", "live").unwrap();
    let (mut body, mut wire) = (response.into_body(), String::new());
    while !wire.contains("live") {
        wire += &piece(&mut body).await.unwrap().unwrap();
    }
    texts(&wire)
}

/// Transports with and without a subprotocol.
const TRANSPORTS: [&str; 6] = ["short-poll", "long-poll&wait=9", "chunked", "sse", "websocket", "websocket, raw"];

#[tokio::test]
async fn history_that_a_client_asks_for_comes_before_live_events_on_every_transport() {
    for (query, history) in [
        ("topic=a&last=2", &["A2", "A3"][..]),
        ("topic=a&last=9", &["A1", "A2", "A3"]),
        ("topic=a&topic=b&last=1", &["A3", "B3"]),
        ("topic=a&start=oldest", &["A1", "A2", "A3"]),
        ("topic=a&topic=b&start=oldest", &["A1", "B1", "A2", "A3", "B2", "B3"]),
        ("topic=a&last=x", &[]),
        ("topic=a&start=now", &[]),
    ] {
        for transport in TRANSPORTS {
            let hub = hub();
            let endpoint = Endpoint::public(&hub, ["a", "b"]);
            if history.is_empty() && transport.starts_with("long-poll") {
                continue; // It is held for 1 s.
            }
            let mut expected = history.to_vec();
            expected.extend(if transport.contains("poll") { None } else { Some("live") });
            assert_eq!(read(&endpoint, &hub, transport, query).await, expected, "{transport} {query}");
        }
    }
}

#[tokio::test]
async fn last_and_start_are_ignored_for_patterns_with_a_wildcard() {
    for query in ["last=2", "start=oldest", "last=2&start=oldest"] {
        for transport in TRANSPORTS.into_iter().filter(|transport| !transport.starts_with("long-poll")) {
            for (public, history) in [(["*", "c"], &[][..]), (["c", "**"], &[]), (["a", "c"], &["A2", "A3"])] {
                let hub = hub();
                let endpoint = Endpoint::public(&hub, public);
                let seen = read(&endpoint, &hub, transport, query).await;
                let history =
                    if query == "start=oldest" && !history.is_empty() { &["A1", "A2", "A3"] } else { history };
                let live = if transport.contains("poll") { &[][..] } else { &["live"] };
                assert_eq!(seen, [history, live].concat(), "{transport} {query} {public:?}");
            }
        }
    }
}

#[tokio::test]
async fn publisher_may_choose_another_start() {
    let hub = hub();
    let endpoint = Endpoint::from_fn(&hub, async |request| Ok(request.subscribe_to(["a"]).start(Start::Last(1))));
    for transport in ["short-poll", "chunked", "sse"] {
        let seen = read(&endpoint, &hub, transport, "start=oldest").await;
        assert_eq!(seen.first(), Some(&if transport == "short-poll" { "A3" } else { "live" }), "{transport}");
        if transport == "short-poll" {
            // The following clients get it as the last event.
            hub.publish_now("a", "live").unwrap();
        }
    }
}

/// Without an explicit start, a client of an ended topic gets the end only.
#[tokio::test(start_paused = true)]
async fn history_of_an_ended_topic_comes_before_its_end_on_every_transport() {
    let hub = hub();
    hub.finish("a", EndReason::Done).unwrap();
    let endpoint = Endpoint::public(&hub, ["a", "b"]);
    for (query, history) in [
        ("last=2", &["A2", "A3"][..]),
        ("start=oldest", &["A1", "A2", "A3"]),
        ("last=x", &[]),
        ("start=now", &[]),
        ("topic=a", &[]),
    ] {
        let target = format!("/events?topic=a&{query}");
        for transport in ["short-poll", "long-poll&wait=9", "chunked", "sse"] {
            let body = text(get(&format!("{target}&transport={transport}")).to(&endpoint).await).await;
            assert_eq!(texts(&body), history, "{transport} {query}: {body}");
            let end = r#""end":{"topic":"a","reason":"done"}"#;
            let at = body.find(end).unwrap_or_else(|| panic!("no end by {transport} {query}: {body}"));
            assert_eq!(texts(&body[at..]), [""; 0], "{transport} {query}: {body}");
        }
        for offer in ["Sec-WebSocket-Protocol: tidings.v1\r\n", ""] {
            let client = TestClient::open_websocket_of(&endpoint, &target, offer, 1 << 16).await;
            let end = async {
                loop {
                    pass(Duration::from_millis(100)).await;
                    if let Some(end) = client.end() {
                        return end;
                    }
                }
            };
            assert_eq!(tokio::time::timeout(Duration::from_secs(20), end).await.unwrap(), "1000 finished", "{query}");
            let wire = client.text();
            assert_eq!(texts(&wire), history, "{offer:?} {query}: {wire}");
            assert_eq!(wire.contains(r#""end":{"topic":"a","reason":"done"}"#), !offer.is_empty(), "{offer:?} {query}");
        }
    }
}

/// The client has no cursor yet, so its poll is held as briefly as one without `last`.
#[tokio::test(start_paused = true)]
async fn long_poll_for_history_that_is_empty_is_answered_within_a_second_with_a_cursor() {
    let hub = LocalHub::new();
    let endpoint = EndpointBuilder::public(&hub, ["news"]).build();
    for query in ["last=3", "start=oldest", "start=now"] {
        let begin = Instant::now();
        let response = get(&format!("/events?wait=20&{query}")).to(&endpoint).await;
        assert_eq!(header(&response, "etag"), format!("\"{}\"", hub.cursor()), "{query}");
        assert!(begin.elapsed() <= Duration::from_millis(1_010), "{query}: {:?}", begin.elapsed());
    }
}

#[tokio::test]
async fn resume_after_the_cursor_of_history_repeats_nothing() {
    let hub = hub();
    let endpoint = Endpoint::public(&hub, ["a", "b"]);
    let first = get("/events?topic=a&last=2").to(&endpoint).await;
    let cursor = header(&first, "etag").trim_matches('"').to_owned();
    assert_eq!(texts(&text(first).await), ["A2", "A3"]);
    for transport in ["short-poll", "chunked", "sse"] {
        let query = format!("topic=a&last=2&start=oldest&cursor={cursor}");
        let seen = read(&endpoint, &hub, transport, &query).await;
        assert!(seen.iter().all(|text| *text == "live"), "{transport}: {seen:?}");
    }
}

proptest! {
    /// Any values of the parameters: the status is 200, and the start is by the first parameter that is given.
    #[test]
    fn any_last_and_start_are_accepted(last in prop::option::of(".{0,6}|[0-9]{1,25}"), start in prop::option::of(".{0,6}|oldest")) {
        let app = App::new();
        let mut query = form_urlencoded::Serializer::new("/events?".to_owned());
        query.extend_pairs(last.iter().map(|last| ("last", last))).extend_pairs(start.iter().map(|start| ("start", start)));
        let target = query.finish();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let response = runtime.block_on(get(&target).to(&app.endpoint()));
        prop_assert_eq!(response.status(), StatusCode::OK);
        let expected = match (last.filter(|last| !last.is_empty()), start.as_deref()) {
            (Some(last), _) => match last.bytes().all(|byte| byte.is_ascii_digit()).then(|| last.parse::<u128>().unwrap()) {
                None | Some(0) => Start::Now,
                Some(count) => Start::Last(count.min(1_000) as usize),
            },
            (None, Some("oldest")) => Start::Oldest,
            (None, _) => Start::Now,
        };
        prop_assert_eq!(app.last_subscribe(), (Transport::ShortPoll, expected, vec![]), "{}", target);
    }
}
