//! Row 7: a forged cursor is never an error. The client gets a gap with the reason, and events go on.

use std::time::Duration;

use http::HeaderValue;
use proptest::prelude::*;
use serde_json::Value;
use tidings::Cursor;

use crate::support::SseReader;
use crate::support::http::{
    App, Frame, RawClient, To, get, header, piece, runtime, serve_http1, text, upgrade_request,
};

/// Gap that a client with a cursor gets, and the events after it.
type Expected = (Option<&'static str>, &'static [&'static str]);

/// Returns cursors that a client may send to an application that has published "one" and "two".
fn forgeries(first: &str, last: &str) -> Vec<(Vec<u8>, Expected)> {
    let (epoch, invalid) = (first.split_once('.').unwrap().0, (Some("invalid"), &[][..]));
    let foreign = (Some("epoch"), &["one", "two"][..]);
    let forged = |text: String, reported: Expected| (text.into_bytes(), reported);
    vec![
        // Valid ones.
        forged(first.to_owned(), (None, &["two"])),
        forged(last.to_owned(), (None, &[])),
        forged(format!("{epoch}.0"), (None, &["one", "two"])),
        // Ahead of the hub.
        forged(format!("{epoch}.a3"), invalid),
        forged(format!("{epoch}.t{}", u64::MAX), invalid),
        forged(format!("{epoch}.s{}", i64::MAX), invalid),
        // Of another epoch.
        forged("0.0".to_owned(), foreign),
        forged(format!("{}.a1", &epoch[1..].trim_start_matches('0')), foreign),
        forged(format!("3w5e11264sgsf.t{}", u64::MAX), foreign),
        // Not cursors.
        forged(format!("{epoch}.t18446744073709551616"), invalid),
        forged("3w5e11264sgsg.a1".to_owned(), invalid),
        forged(epoch.to_owned(), invalid),
        forged(format!("{epoch}."), invalid),
        forged(".a1".to_owned(), invalid),
        forged(format!("{epoch}0.a1"), invalid),
        forged(format!("{epoch}.a1."), invalid),
        forged(format!("{epoch}.a1.z.z"), invalid),
        forged(format!("{epoch}.1"), invalid),
        forged(format!("{epoch}.b1"), invalid),
        forged(format!("{epoch}.b01"), invalid),
        forged(format!("{epoch}.a01"), invalid),
        forged(format!("{epoch}.a0"), invalid),
        forged(format!("{epoch}.A1"), invalid),
        forged(format!("{epoch}.b+1"), invalid),
        forged(format!("{epoch}.b-1"), invalid),
        forged(format!("{epoch}.c1e9"), invalid),
        forged(format!("{epoch}.0x1"), invalid),
        forged(format!("{epoch} .a1"), invalid),
        forged(format!("{epoch}.a1,{last}"), invalid),
        forged(first.to_ascii_uppercase(), invalid),
        forged("x".repeat(65), invalid),
        forged("9".repeat(8 * 1024), invalid),
        forged("../../etc/passwd".to_owned(), invalid),
        forged("'; DROP TABLE cursors; --".to_owned(), invalid),
        (b"\xff\xfe.a1".to_vec(), invalid),
        ("é中.a1".into(), invalid),
        (vec![b'1'; 1 << 20], invalid),
    ]
}

#[tokio::test(start_paused = true)]
async fn row_07_forged_cursor_gets_a_gap_and_no_error() {
    let app = App::new();
    let (first, last) = (app.publish("one"), app.publish("two"));
    let endpoint = app.builder().max_request_head(4 << 20).build();
    for (cursor, (gap, events)) in forgeries(&first, &last) {
        let value = HeaderValue::from_bytes(&cursor).unwrap();
        let name = format!("{:?}", String::from_utf8_lossy(&cursor[..cursor.len().min(80)]));
        let query: String = form_urlencoded::byte_serialize(&cursor).collect();
        for by_header in [true, false] {
            for transport in ["short-poll", "long-poll&wait=1", "chunked", "sse&format=object"] {
                // The `http` crate takes no URI of 1 MiB, so no client can send one.
                if !by_header && query.len() > 60_000 {
                    continue;
                }
                let request = match by_header {
                    true => get(&format!("/?transport={transport}")).header("last-event-id", &value),
                    false => get(&format!("/?transport={transport}&cursor={query}")),
                };
                let response = request.to(&endpoint).await;
                assert_eq!(response.status(), 200, "{transport} {name}");
                let mut reported = objects(transport, response).await.into_iter();
                if let Some(gap) = gap {
                    assert_eq!(reported.next().unwrap()["gap"]["reason"], *gap, "{transport} {name}");
                }
                let texts: Vec<_> = reported.map(|object| object["data"].as_str().unwrap().to_owned()).collect();
                assert_eq!(texts, events, "{transport} {name}");
            }
        }
    }
}

/// Returns the event objects that are ready at once.
async fn objects(transport: &str, response: http::Response<tidings::Body>) -> Vec<Value> {
    let poll = transport.contains("poll");
    if poll {
        let reply: Value = serde_json::from_str(&text(response).await).unwrap();
        return reply["events"].as_array().unwrap().clone();
    }
    let (mut body, mut wire) = (response.into_body(), String::new());
    while let Ok(Some(more)) = tokio::time::timeout(Duration::from_secs(1), piece(&mut body)).await {
        wire += &more.unwrap();
    }
    let mut reader = SseReader::default();
    reader.read(wire.as_bytes());
    let lines: Vec<_> = match transport.starts_with("sse") {
        true => reader.events.iter().map(|event| event.data.clone()).collect(),
        false => wire.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect(),
    };
    lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|it: &Value| it.get("tidings").is_none())
        .collect()
}

#[tokio::test]
async fn row_07_forged_cursor_on_a_websocket_gets_a_gap_or_a_close_code() {
    let app = App::new();
    let (first, last) = (app.publish("one"), app.publish("two"));
    let address = serve_http1(&app.builder().max_request_head(4 << 20).build()).await;
    for (cursor, (gap, events)) in forgeries(&first, &last) {
        // hyper's own buffer does not hold this cursor.
        if cursor.len() > 100_000 {
            continue;
        }
        let query: String = form_urlencoded::byte_serialize(&cursor).collect();
        let (target, name) = (format!("/?cursor={query}"), String::from_utf8_lossy(&cursor));
        let mut client = RawClient::connect(address).await;
        client.send(upgrade_request(&target, "Sec-WebSocket-Protocol: tidings.v1\r\n")).await;
        assert!(client.head().await.starts_with("http/1.1 101 "), "{name}");
        client.frame().await;
        if let Some(gap) = gap {
            let object: Value = serde_json::from_slice(&client.frame().await.1).unwrap();
            assert_eq!(object["gap"]["reason"], *gap, "{name}");
        }
        for text in events {
            let object: Value = serde_json::from_slice(&client.frame().await.1).unwrap();
            assert_eq!(object["data"], *text, "{name}");
        }
        // Raw frames cannot express a gap.
        let mut client = RawClient::connect(address).await;
        client.send(upgrade_request(&target, "")).await;
        client.head().await;
        if gap.is_some() {
            assert_eq!(client.frame().await, Frame::close(1013, "gap"), "{name}");
        }
    }
}

/// After the gap, the client gets the next event: the hub does not wait for a cursor ahead of it.
#[tokio::test(start_paused = true)]
async fn row_07_cursor_ahead_of_the_hub_does_not_delay_events() {
    let app = App::new();
    let endpoint = app.endpoint();
    let epoch = app.publish("one").split_once('.').unwrap().0.to_owned();
    for ahead in ["a2", "a3", "t18446744073709551615"] {
        let target = format!("/?transport=chunked&cursor={epoch}.{ahead}");
        let mut body = get(&target).to(&endpoint).await.into_body();
        let mut wire = String::new();
        while !wire.contains("invalid") {
            wire += &piece(&mut body).await.unwrap().unwrap();
        }
        let cursor = app.publish("live");
        let live = piece(&mut body).await.unwrap().unwrap();
        assert_eq!(live, format!("{{\"id\":\"{cursor}\",\"topic\":\"news\",\"data\":\"live\"}}\n"), "{ahead}");
        if ahead == "a2" {
            // Now an event has this cursor.
            assert_eq!(cursor, format!("{epoch}.a2"));
        }
    }
}

/// RFC 9110 §5.3: a repeated header that may not repeat has no value that can be trusted.
#[tokio::test]
async fn row_07_differing_cursor_headers_are_invalid() {
    let app = App::new();
    let (first, last) = (app.publish("one"), app.publish("two"));
    let endpoint = app.endpoint();
    for (headers, query, expected) in [
        (&[&*first, &*first][..], "", "two"),
        (&["", &*first, ""], "", "two"),
        (&[&*first, &*last], "", "invalid"),
        (&[&*last, &*first], "", "invalid"),
        (&[&*first, "x"], "", "invalid"),
        (&["x", &*first], &*last, "invalid"),
        // Header, query, tag: in this order.
        (&[&*first], &*last, "two"),
        (&[""], &*first, "two"),
        (&[], &*first, "two"),
    ] {
        let request = get(&format!("/?cursor={query}&cursor={last}")).header("if-none-match", format!("\"{last}\""));
        let request = headers.iter().fold(request, |request, id| request.header("last-event-id", *id));
        let response = request.to(&endpoint).await;
        assert_eq!(response.status(), 200);
        let body = text(response).await;
        assert!(body.contains(&format!("\"{expected}\"")), "{headers:?} {query:?}: {body}");
    }
}

proptest! {
    /// Any bytes that a header can have are a cursor, or an invalid one, and the response is 200.
    #[test]
    fn row_07_cursor_of_any_bytes_gets_200(bytes in prop_oneof![
        prop::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff], 1..90),
        "[0-9a-z]{0,14}\\.[0-9]{0,21}(\\.[0-9a-z]{0,14})?".prop_map(String::into_bytes),
    ]) {
        let app = App::new();
        app.publish("one");
        let value = HeaderValue::from_bytes(&bytes).unwrap();
        let absent = value.is_empty();
        let (status, etag, body) = runtime().block_on(async {
            let response = get("/events").header("last-event-id", value).to(&app.endpoint()).await;
            (response.status(), header(&response, "etag").to_owned(), text(response).await)
        });
        prop_assert_eq!(status, 200);
        let reply: Value = serde_json::from_str(&body).unwrap();
        prop_assert_eq!(format!("\"{}\"", reply["cursor"].as_str().unwrap()), etag);
        let reason = reply["events"][0]["gap"]["reason"].as_str();
        // The hub's epoch is random, so a valid cursor is of another epoch.
        let expected = if Cursor::parse(&bytes).is_ok() { Some("epoch") } else { Some("invalid") };
        prop_assert_eq!(reason, expected.filter(|_| !absent), "{}", body);
    }
}
