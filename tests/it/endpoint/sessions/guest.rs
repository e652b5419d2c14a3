use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tidings::{Endpoint, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;

use crate::endpoint::wire::raw::frame;
use crate::endpoint::world::{To, get, header, pass};

/// A client of any transport, in virtual time. It reads all it is given, and answers a Close.
pub(crate) struct Guest {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
    /// A WebSocket's way to the server.
    write: Option<tokio::io::WriteHalf<DuplexStream>>,
}

#[derive(Default)]
struct Seen {
    text: String,
    end: Option<String>,
}

/// All that hold a client for as long as it likes.
pub(crate) const HELD: [Transport; 4] = [Transport::LongPoll, Transport::Chunked, Transport::Sse, Transport::WebSocket];

impl Guest {
    /// Comes by this transport to this target, and waits until it is let in or refused. A long poll asks to be held: from
    /// now on, unless the target says `oldest`.
    pub(crate) async fn come(endpoint: &Endpoint, transport: Transport, target: &str) -> Self {
        let target =
            format!("{target}{}transport={}", if target.contains('?') { '&' } else { '?' }, transport.as_str());
        let guest = match transport {
            Transport::WebSocket => Self::connect(endpoint, &target, 1 << 16).await,
            Transport::LongPoll if !target.contains("oldest") => {
                let cursor = cursor(endpoint, &target).await;
                Self::ask(endpoint, &format!("{target}&wait=50&cursor={cursor}"))
            }
            Transport::LongPoll => Self::ask(endpoint, &format!("{target}&wait=50")),
            _ => Self::ask(endpoint, &target),
        };
        settle().await;
        guest
    }

    fn ask(endpoint: &Endpoint, target: &str) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let (answer, told) = (endpoint.handle(get(target).body(Full::<Bytes>::default()).unwrap()), seen.clone());
        let task = tokio::spawn(async move {
            let answer = answer.await;
            let status = answer.status().as_u16();
            let challenge = answer.headers().contains_key("www-authenticate");
            let mut body = answer.into_body();
            let end = loop {
                match body.frame().await {
                    Some(Ok(frame)) => {
                        let data = frame.into_data().unwrap();
                        told.lock().unwrap().text.push_str(std::str::from_utf8(&data).unwrap());
                    }
                    Some(Err(error)) => break format!("{error:?}"),
                    None if challenge => break format!("{status} with a challenge"),
                    None => break status.to_string(),
                }
            };
            told.lock().unwrap().end = Some(end);
        });
        Self { seen, task, write: None }
    }

    /// A WebSocket over a pipe of so many bytes.
    pub(crate) async fn connect(endpoint: &Endpoint, target: &str, pipe: usize) -> Self {
        let (client, server) = duplex(pipe);
        let endpoint = endpoint.clone();
        let service = service_fn(move |request| {
            let answer = endpoint.handle(request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(server), service);
        tokio::spawn(connection.with_upgrades());
        let (mut read, mut write) = tokio::io::split(client);
        let hello = format!(
            "GET {target} HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        write.write_all(hello.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(read.read_u8().await.unwrap());
        }
        let seen = Arc::<Mutex<Seen>>::default();
        if !head.starts_with(b"HTTP/1.1 101 ") {
            let status = String::from_utf8_lossy(&head[9..12]).into_owned();
            seen.lock().unwrap().end = Some(status);
            return Self { seen, task: tokio::spawn(async {}), write: None };
        }
        let told = seen.clone();
        let task = tokio::spawn(async move {
            let end = loop {
                match next_frame(&mut read).await {
                    Some((0x81, text)) => told.lock().unwrap().text.push_str(std::str::from_utf8(&text).unwrap()),
                    Some((0x88, close)) => {
                        let code = u16::from_be_bytes([close[0], close[1]]);
                        break format!("{code} {}", String::from_utf8_lossy(&close[2..]));
                    }
                    Some(_) => {}
                    None => break "lost".to_owned(),
                }
            };
            told.lock().unwrap().end = Some(end);
            // What follows the Close is the connection's end.
            assert_eq!(next_frame(&mut read).await, None);
        });
        Self { seen, task, write: Some(write) }
    }

    /// Sends a frame.
    pub(crate) async fn send(&mut self, opcode: u8, payload: &[u8]) {
        self.write.as_mut().unwrap().write_all(&frame(opcode, payload)).await.unwrap();
        settle().await;
    }

    /// Returns the text that the client got.
    pub(crate) fn text(&self) -> String {
        self.seen.lock().unwrap().text.clone()
    }

    pub(crate) fn end(&self) -> Option<String> {
        self.seen.lock().unwrap().end.clone()
    }

    /// Answers the server's Close, and waits a second for all to be over.
    pub(crate) async fn see_out(&mut self) -> String {
        pass(Duration::from_millis(200)).await;
        if let Some(write) = &mut self.write {
            let _ = write.write_all(&frame(8, &1000_u16.to_be_bytes())).await;
            let _ = write.shutdown().await;
        }
        pass(Duration::from_millis(800)).await;
        self.end().unwrap_or_else(|| panic!("it goes on: {}", self.text()))
    }

    /// Goes, without a word.
    pub(crate) async fn go(self) {
        self.task.abort();
        // It may be over, by a panic of its body's too.
        let _ = self.task.await;
        drop(self.write);
        settle().await;
    }
}

/// Returns the cursor at which a client of this target would begin, from a short poll that is no session. Empty if it
/// is refused.
async fn cursor(endpoint: &Endpoint, target: &str) -> String {
    let (path, query) = target.split_once('?').unwrap();
    let query = query.split('&').filter(|pair| !pair.starts_with("session=") && !pair.starts_with("transport="));
    let target = format!("{path}?transport=short-poll&{}", query.collect::<Vec<_>>().join("&"));
    let asked = get(&target).to(endpoint);
    let answer = tokio::time::timeout(Duration::ZERO, asked).await;
    answer.map(|answer| header(&answer, "etag").trim_matches('"').to_owned()).unwrap_or_default()
}

async fn next_frame(read: &mut tokio::io::ReadHalf<DuplexStream>) -> Option<(u8, Vec<u8>)> {
    let opcode = read.read_u8().await.ok()?;
    let len = match read.read_u8().await.ok()? {
        126 => read.read_u16().await.ok()?.into(),
        len => usize::from(len),
    };
    let mut payload = vec![0; len];
    read.read_exact(&mut payload).await.ok()?;
    Some((opcode, payload))
}

/// Lets everybody do what there is to do now.
pub(crate) async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}
