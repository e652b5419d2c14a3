use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper::ext::Protocol;
use tidings::{Body, Endpoint};

use crate::support::http::{App, RawClient, To, connect_http2, request, serve_http1, serve_http2};

/// An application behind an endpoint, which can be called over every transport and method.
pub(super) struct Site {
    pub(super) app: App,
    pub(super) endpoint: Endpoint,
    pub(super) http1: SocketAddr,
    http2: SendRequest<Empty<Bytes>>,
}

/// Status, headers and body of a response. A 204 and a 101 count as a 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<String>,
    pub(super) body: String,
}

/// Method and query for each transport but the WebSocket, and for other methods. A long poll with a cursor of another
/// epoch
/// is answered at once.
const WAYS: [(&str, &str); 7] = [
    ("GET", "transport=short-poll&cursor=0.0"),
    ("GET", "transport=long-poll&wait=9&cursor=0.0"),
    ("GET", "transport=chunked"),
    ("GET", "transport=sse"),
    ("HEAD", "transport=sse"),
    ("OPTIONS", ""),
    ("POST", ""),
];

/// Headers of a WebSocket handshake.
const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

impl Site {
    pub(super) async fn new(app: App, endpoint: Endpoint) -> Self {
        let http1 = serve_http1(&endpoint).await;
        let http2 = connect_http2(serve_http2(&endpoint).await).await;
        Self { app, endpoint, http1, http2 }
    }

    /// Requests all five transports, the WebSocket by both handshakes, and every method. All responses must be equal.
    pub(super) async fn send_all(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut answers = Vec::new();
        for (method, query) in WAYS {
            answers.push((format!("{method} {query}"), self.send(method, &join(path, query), headers).await));
        }
        answers.push(("GET as a WebSocket".to_owned(), self.send_upgrade(path, headers).await));
        if let Some(answer) = self.send_connect(path, headers).await {
            answers.push(("CONNECT".to_owned(), answer));
        }
        let (_, first) = answers[0].clone();
        for (way, answer) in &answers {
            let reported = if answer.status == 200 { Answer { status: 200, ..first.clone() } } else { answer.clone() };
            assert_eq!(
                (first.status, &first),
                (reported.status, &reported),
                "{way} {headers:?} gets the response of the others"
            );
        }
        first
    }

    /// Requests a transport other than the WebSocket, or another method.
    pub(super) async fn send(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = request(method, target);
        request.headers_mut().unwrap().clear();
        for (name, value) in headers {
            request = request.header(*name, value.as_bytes());
        }
        Answer::of(request.to(&self.endpoint).await).await
    }

    /// Requests a WebSocket by an upgrade.
    pub(super) async fn send_upgrade(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let (mut client, mut reported) =
            (RawClient::connect(self.http1).await, format!("GET {path} HTTP/1.1\r\n{UPGRADE}"));
        headers.iter().for_each(|(name, value)| reported += &format!("{name}: {value}\r\n"));
        client.send(reported + "\r\n").await;
        Answer::read(&mut client).await
    }

    /// Requests a transport other than the WebSocket over HTTP/2. The host is the target's authority.
    pub(super) async fn send_http2(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("http://example.com{target}"));
        for (name, value) in headers {
            request = request.header(*name, value.as_bytes());
        }
        let response = self.http2.clone().send_request(request.body(Empty::new()).unwrap()).await.unwrap();
        Answer::of_connect(response).await
    }

    /// Requests a WebSocket by an extended CONNECT. Returns `None` if the host cannot be an authority.
    pub(super) async fn send_connect(&self, path: &str, headers: &[(&str, &str)]) -> Option<Answer> {
        let mut hosts = headers.iter().filter(|(name, _)| *name == "host");
        let (Some((_, host)), None) = (hosts.next(), hosts.next()) else { return None };
        let request = Request::connect(format!("http://{host}{path}")).extension(Protocol::from_static("websocket"));
        let mut request = request.header("sec-websocket-version", "13");
        for (name, value) in headers.iter().filter(|(name, _)| *name != "host") {
            request = request.header(*name, value.as_bytes());
        }
        let request = request.body(Empty::new()).ok()?;
        let response = self.http2.clone().send_request(request).await.unwrap();
        Some(Answer::of_connect(response).await)
    }
}

impl Answer {
    pub(super) async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let status = normal(parts.status);
        let body = if status == 200 { String::new() } else { all(body).await };
        Self { status, headers: lines(&parts.headers), body }
    }

    async fn of_connect(response: Response<Incoming>) -> Self {
        let (parts, body) = response.into_parts();
        let status = normal(parts.status);
        let body = if status == 200 { String::new() } else { all(body).await };
        Self { status, headers: lines(&parts.headers), body }
    }

    async fn read(client: &mut RawClient) -> Self {
        let head = client.head().await;
        let status = normal(head.split(' ').nth(1).unwrap().parse().unwrap());
        let body = if status == 200 { String::new() } else { client.until("}").await };
        let mut headers: Vec<_> = head.lines().skip(1).filter_map(reported).collect();
        headers.sort_unstable();
        Self { status, headers, body }
    }
}

fn join(path: &str, query: &str) -> String {
    let separator = if path.contains('?') { '&' } else { '?' };
    format!("{path}{separator}{query}")
}

fn normal(status: StatusCode) -> u16 {
    match status.as_u16() {
        101 | 204 => 200,
        status => status,
    }
}

async fn all<B: http_body::Body<Error: std::fmt::Debug>>(body: B) -> String {
    String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn lines(headers: &http::HeaderMap) -> Vec<String> {
    let lines = headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()).to_lowercase());
    let mut lines: Vec<_> = lines.filter_map(|line| reported(&line)).collect();
    lines.sort_unstable();
    lines
}

/// Returns a header that the endpoint sets, without a value that differs from response to response.
fn reported(line: &str) -> Option<String> {
    match line.split_once(": ")? {
        ("date" | "content-length", _) => None,
        (name @ ("retry-after" | "tidings-retry-ms"), _) => Some(name.to_owned()),
        _ => Some(line.to_owned()),
    }
}
