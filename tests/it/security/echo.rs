//! Rows 18 and 20: no header of a response and no line of a log contains text of a client.

use http::HeaderValue;
use proptest::prelude::*;
use tidings::{Cursor, Event, Message, Topic};

use crate::support::http::{App, RawClient, To, request, runtime, serve_http1};

/// Marks text of the client, in upper and lower case, which headers keep and no text of the crate contains.
const MARK: &str = "qZx7";

/// Names of headers that an endpoint reads, and others.
const NAMES: [&str; 16] = [
    "accept",
    "content-type",
    "cookie",
    "if-none-match",
    "last-event-id",
    "origin",
    "prefer",
    "sec-fetch-site",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "upgrade",
    "x-forwarded-host",
    "access-control-request-headers",
    "access-control-request-method",
];

fn any_text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        MARK,
        "\r\n",
        "\r",
        "\n",
        "\0",
        "Set-Cookie: a=b",
        "\u{1b}[31m",
        " ",
        ";",
        ",",
        "=",
        "wait=5",
        "\"",
        "https://",
        "1.a2",
        "é",
        "%0d%0a",
        "\u{85}",
    ]);
    prop::collection::vec(piece, 1..6).prop_map(|pieces| format!("{MARK}{}", pieces.concat()))
}

proptest! {
    /// For any target, headers and body: the head of the response contains none of their text.
    #[test]
    fn row_18_no_response_header_has_text_of_the_client(
        method in prop::sample::select(vec!["GET", "HEAD", "POST", "OPTIONS", "PUT"]),
        path in prop::sample::select(vec!["/events", "/busy", "/forbidden", "/unauthorized", "/panic"]),
        parameters in prop::collection::vec((prop::sample::select(
            vec!["transport", "topic", "cursor", "wait", "format", "heartbeat", "callback", MARK]), any_text()), 0..4),
        transport in prop::option::of(prop::sample::select(vec!["sse", "chunked", "short-poll", "long-poll"])),
        headers in prop::collection::vec((prop::sample::select(NAMES.to_vec()), any_text()), 0..5),
    ) {
        let mut query = form_urlencoded::Serializer::new(format!("{path}?"));
        transport.map(|transport| query.append_pair("transport", transport));
        parameters.iter().for_each(|(name, value)| { query.append_pair(name, value); });
        let mut request = request(method, &query.finish());
        for (name, value) in &headers {
            let clean: Vec<u8> = value.bytes().filter(|byte| *byte == b'\t' || (*byte >= 32 && *byte != 127)).collect();
            request = request.header(*name, HeaderValue::from_bytes(&clean).unwrap());
        }
        let endpoint = App::new().builder().allow_origin("https://app.example.org").build();
        let response = runtime().block_on(request.to(&endpoint));
        for (name, value) in response.headers() {
            prop_assert!(!value.as_bytes().windows(4).any(|part| part == MARK.as_bytes()), "{}: {:?}", name, value);
            prop_assert!(value.as_bytes().iter().all(|byte| (32..127).contains(byte)), "{}: {:?}", name, value);
            prop_assert!(value != "a=b" && name != "set-cookie");
        }
    }

    /// A text in a log by `{:?}` is one line without escapes, for any source.
    #[test]
    fn row_20_logged_text_is_one_line(text in any_text(), other in any::<String>()) {
        let mut shown = vec![
            format!("{:?}", Event::text(&*text)),
            format!("{:?}", Message::Text(text.clone())),
            format!("{:?}", tidings::Rejection::invalid(text.clone())),
        ];
        for name in [&text, &other] {
            shown.extend(Topic::new(name).map(|topic| format!("{topic:?} {topic}")));
            shown.extend(Topic::new(name).map_err(|error| format!("{error:?} {error}")).err());
            shown.extend(Event::text("").with_name(name).map(|event| format!("{event:?}")));
            shown.extend(Event::text("").with_name(name).map_err(|error| format!("{error:?} {error}")).err());
            shown.extend(Cursor::parse(name.as_bytes()).map_err(|error| format!("{error:?} {error}")).err());
        }
        let target: String = form_urlencoded::Serializer::new("/events?".to_owned()).append_pair("cursor", &text).finish();
        let parts = request("GET", &target).header("user-agent", "x").body(()).unwrap().into_parts().0;
        shown.push(format!("{:?}", tidings::SubscribeRequest::read(&parts)));
        for line in shown {
            prop_assert!(!line.chars().any(char::is_control), "{line:?}");
        }
    }
}

/// Over the network: a text that would split a response in two is not in the head of the first.
#[tokio::test]
async fn row_18_response_is_not_split() {
    let app = App::new();
    let address = serve_http1(&app.endpoint()).await;
    let injected = "x%0d%0aSet-Cookie:%20a=b%0d%0a%0d%0aHTTP/1.1%20200%20OK";
    for target in ["/events?cursor=", "/events?topic=", "/busy?transport=sse&cursor=", "/events?transport=", "/"] {
        let mut client = RawClient::connect(address).await;
        let request = format!("GET {target}{injected} HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n");
        client.send(request).await;
        let answer = client.until_end().await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(!answer.to_ascii_lowercase().contains("set-cookie"), "{target}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{target}: {answer}");
        assert!(head.lines().all(|line| line.is_ascii()) && !body.contains("\r\n\r\nHTTP"), "{answer}");
    }
}
