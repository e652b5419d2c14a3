//! POSTs with the request heads of clients that read the answer as server-sent events.

use super::support::Desk;
use super::wire::serve_axum;
use crate::support::http::RawClient;

/// Name, target, lines of the head, and body.
type Client = (&'static str, &'static str, &'static [&'static str], &'static str);

/// Lines that a browser adds to a POST of a page of the same host.
const BROWSER: &[&str] = &[
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Accept-Language: en-US,en;q=0.9",
    "Cache-Control: no-cache",
    "Pragma: no-cache",
    "Referer: http://localhost/",
    "Sec-Fetch-Dest: empty",
    "Sec-Fetch-Mode: cors",
    "Sec-Fetch-Site: same-origin",
    "Origin: http://localhost",
];

const CLIENTS: [Client; 5] = [
    (
        "Datastar @post",
        "/ask",
        &[
            "Accept: text/event-stream, text/html, application/json",
            "Datastar-Request: true",
            "Content-Type: application/json",
        ],
        r#"{"question":"why?"}"#,
    ),
    (
        "htmx 4 hx-post",
        "/form",
        &[
            "Accept: text/html, text/event-stream",
            "HX-Request: true",
            "HX-Request-Type: partial",
            "HX-Source: form#ask",
            "HX-Current-URL: http://localhost/",
            "Content-Type: application/x-www-form-urlencoded;charset=UTF-8",
        ],
        "text=why%3F",
    ),
    (
        "fetch-event-source",
        "/ask",
        &["Accept: text/event-stream", "Content-Type: application/json"],
        r#"{"text":"why?"}"#,
    ),
    (
        "useChat of the ai package",
        "/ask?controls=off",
        &["Accept: */*", "Content-Type: application/json"],
        r#"{"id":"c1","messages":[{"id":"m1","role":"user","parts":[{"type":"text","text":"why?"}]}],"trigger":"submit-message"}"#,
    ),
    ("fetch without a header", "/ask", &["Accept: */*", "Content-Type: application/json"], r#"{"text":"why?"}"#),
];

/// Sends the POST of a client.
async fn send(address: std::net::SocketAddr, client: &Client, more: &str) -> RawClient {
    let (_, target, lines, body) = client;
    let mut raw = RawClient::connect(address).await;
    let lines: String = lines.iter().chain(BROWSER).map(|line| format!("{line}\r\n")).collect();
    let len = body.len();
    raw.send(format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len}\r\n{lines}{more}\r\n{body}"))
        .await;
    raw
}

#[tokio::test]
async fn post_of_each_client_is_answered_with_server_sent_events_and_resumes_by_its_id() {
    for client in &CLIENTS {
        let name = client.0;
        let desk = Desk::new();
        let address = serve_axum(&desk).await;
        let mut raw = send(address, client, "").await;
        let head = raw.head().await;
        assert!(head.starts_with("http/1.1 200 ok\r\n"), "{name}: {head}");
        assert!(head.contains("\r\ncontent-type: text/event-stream\r\n"), "{name}: {head}");
        while desk.events.session_count() == 0 {
            tokio::task::yield_now().await;
        }
        let first = desk.publish("because");
        let read = raw.until(&format!("id: {first}\n\n")).await;
        assert!(read.contains("data: because\n"), "{name}: {read}");
        // The ai package takes each `data:` for an object of its own.
        assert_eq!(read.contains("event: tidings.hello\n"), !client.1.contains("controls=off"), "{name}: {read}");
        drop(raw);
        // A client that is cut repeats its POST with the last id.
        desk.publish("and so");
        let mut raw = send(address, client, &format!("Last-Event-ID: {first}\r\n")).await;
        let rest = raw.until("data: and so\n").await;
        assert!(!rest.contains("because"), "{name}: {rest}");
    }
}
