//! Row 21: no event is sent after an authorization ended, and the client learns it soon, on every transport over
//! HTTP/1.1
//! and HTTP/2.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::SendRequest;
use hyper::ext::Protocol;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tidings::{Endpoint, SessionEnd, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::support::http::{App, HELD, To, get, pass, serve_pipe, serve_pipe_http2, settle, text, upgrade_request};

/// Client over a pipe: the bytes that it read, and the time of its end.
#[derive(Clone, Default)]
struct Client(Arc<Mutex<(Vec<u8>, Option<Instant>)>>);

impl Client {
    async fn connect(endpoint: &Endpoint, transport: Transport, http2: bool, query: &str) -> Self {
        let client = Self::default();
        let target = format!("/?transport={}&{query}", transport.as_str());
        let target = if transport == Transport::LongPoll { format!("{target}&wait=50") } else { target };
        if http2 {
            let io = TokioIo::new(serve_pipe_http2(endpoint, 1 << 16));
            let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
            let (sender, connection) = builder.handshake(io).await.unwrap();
            tokio::spawn(connection);
            // The server's settings allow the protocol.
            settle().await;
            tokio::spawn(client.clone().read_http2(sender, transport, target));
        } else {
            tokio::spawn(client.clone().read_http1(serve_pipe(endpoint, 1 << 16), transport, target));
        }
        settle().await;
        client
    }

    async fn read_http1(self, mut near: tokio::io::DuplexStream, transport: Transport, target: String) {
        let request = match transport {
            Transport::WebSocket => upgrade_request(&target, ""),
            _ => format!("GET {target} HTTP/1.1\r\nHost: example.com\r\n\r\n"),
        };
        near.write_all(request.as_bytes()).await.unwrap();
        self.read(near, transport).await;
    }

    async fn read_http2(self, mut sender: SendRequest<Empty<Bytes>>, transport: Transport, target: String) {
        let uri = format!("http://example.com{target}");
        if transport == Transport::WebSocket {
            let request = http::Request::connect(uri).extension(Protocol::from_static("websocket"));
            let request = request.header("sec-websocket-version", "13").body(Empty::new()).unwrap();
            let response = sender.send_request(request).await.unwrap();
            assert_eq!(response.status(), 200);
            let upgraded = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
            return self.read(upgraded, transport).await;
        }
        let response = sender.send_request(http::Request::get(uri).body(Empty::new()).unwrap()).await.unwrap();
        self.take(response.status().as_str().as_bytes());
        let mut body = response.into_body();
        while let Some(Ok(frame)) = body.frame().await {
            self.take(frame.data_ref().unwrap());
        }
        self.end();
    }

    async fn read(self, mut stream: impl tokio::io::AsyncRead + Unpin, transport: Transport) {
        let mut bytes = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut bytes).await {
            self.take(&bytes[..read]);
            // A Close frame, or the complete reply to a poll.
            let is_told = match transport {
                Transport::WebSocket => bytes[..read].contains(&0x88),
                Transport::LongPoll => bytes[..read].contains(&b'}'),
                _ => false,
            };
            if is_told {
                break;
            }
        }
        self.end();
        // The client never answers a Close.
        std::future::pending::<()>().await;
    }

    fn take(&self, bytes: &[u8]) {
        self.0.lock().unwrap().0.extend_from_slice(bytes);
    }

    fn end(&self) {
        self.0.lock().unwrap().1 = Some(Instant::now());
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap().0).into_owned()
    }

    fn ended(&self) -> Option<Instant> {
        self.0.lock().unwrap().1
    }
}

#[tokio::test(start_paused = true)]
async fn row_21_event_published_at_or_after_the_expiry_is_not_delivered() {
    for transport in HELD {
        for http2 in [false, true] {
            let app = App::with_limit_key();
            let endpoint = app.endpoint();
            let begin = Instant::now();
            let query = format!("lifetime=5000&cursor={}", app.hub.cursor());
            let client = Client::connect(&endpoint, transport, http2, &query).await;
            assert_eq!((endpoint.session_count(), begin.elapsed()), (1, Duration::ZERO), "{transport:?} {http2}");
            pass(Duration::from_millis(4_999)).await;
            if transport != Transport::LongPoll {
                app.publish("before the end");
                settle().await;
                assert!(client.text().contains("before the end"), "{transport:?} {http2}: {}", client.text());
            }
            pass(Duration::from_millis(1)).await;
            assert_eq!(begin.elapsed(), Duration::from_secs(5));
            for _ in 0..50 {
                app.publish("too late");
                settle().await;
                pass(Duration::from_millis(20)).await;
            }
            let ended = client.ended().unwrap_or_else(|| panic!("{transport:?} {http2} goes on"));
            assert!(ended - begin <= Duration::from_secs(6), "{transport:?} {http2}: {:?}", ended - begin);
            assert!(!client.text().contains("too late"), "{transport:?} {http2}: {}", client.text());
            pass(Duration::from_secs(6)).await;
            assert_eq!((app.end_reason(), endpoint.session_count()), (SessionEnd::Revoked, 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn row_21_revoked_client_is_ended_within_1_s_and_gets_no_further_event() {
    for transport in HELD {
        for http2 in [false, true] {
            let app = App::with_limit_key();
            let endpoint = app.endpoint();
            let query = format!("key=ann&cursor={}", app.hub.cursor());
            let client = Client::connect(&endpoint, transport, http2, &query).await;
            let other = Client::connect(&endpoint, Transport::Sse, http2, "key=bob").await;
            // Ready, and not taken.
            app.publish("published before");
            let begin = Instant::now();
            assert_eq!(endpoint.revoke_where(|session| session.key() == Some("ann")), 1);
            app.publish("published after");
            pass(Duration::from_secs(1)).await;
            let ended = client.ended().unwrap_or_else(|| panic!("{transport:?} {http2} goes on"));
            assert!(ended - begin <= Duration::from_secs(1), "{transport:?} {http2}: {:?}", ended - begin);
            assert!(!client.text().contains("published"), "{transport:?} {http2}: {}", client.text());
            match transport {
                Transport::LongPoll => assert!(client.text().contains("401"), "{}", client.text()),
                Transport::WebSocket => assert!(client.text().contains("revoked"), "{}", client.text()),
                _ => {}
            }
            assert!(other.text().contains("published before") && other.text().contains("published after"));
        }
    }
}

/// A short poll is too short to be revoked: each is authorised anew, and its events are withheld if the authorization
/// ends
/// before the response.
#[tokio::test(start_paused = true)]
async fn row_21_short_poll_whose_authorization_has_ended_is_answered_with_401() {
    let app = App::with_limit_key();
    let endpoint = app.endpoint();
    app.publish("one");
    let response = get("/?lifetime=0&oldest").to(&endpoint).await;
    assert_eq!(response.status(), 401);
    assert!(!text(response).await.contains("one"));
    assert!(text(get("/?lifetime=1&oldest").to(&endpoint).await).await.contains("one"));
}
