use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use tidings::{Endpoint, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::task::JoinHandle;

use super::{To, frame, get, header, pass, serve_pipe, upgrade_request};

/// A client of any transport, in virtual time. It reads all that it is sent, and does not answer a Close by itself.
pub(crate) struct TestClient {
    received: Arc<Mutex<Received>>,
    task: JoinHandle<()>,
    /// The write half of a WebSocket.
    write: Option<WriteHalf<DuplexStream>>,
}

#[derive(Default)]
struct Received {
    text: String,
    end: Option<String>,
}

/// Transports that hold a request until the client disconnects, or for the time that the client requests.
pub(crate) const HELD: [Transport; 4] = [Transport::LongPoll, Transport::Chunked, Transport::Sse, Transport::WebSocket];

impl TestClient {
    /// Requests this target over this transport, and waits until it is accepted or refused. A long poll is held, since it
    /// is sent with the current cursor, unless the target has `oldest`.
    pub(crate) async fn open(endpoint: &Endpoint, transport: Transport, target: &str) -> Self {
        let target =
            format!("{target}{}transport={}", if target.contains('?') { '&' } else { '?' }, transport.as_str());
        let client = match transport {
            Transport::WebSocket => Self::open_websocket(endpoint, &target, 1 << 16).await,
            Transport::LongPoll if !target.contains("oldest") => {
                let cursor = cursor(endpoint, &target).await;
                Self::send_request(endpoint, &format!("{target}&wait=50&cursor={cursor}"))
            }
            Transport::LongPoll => Self::send_request(endpoint, &format!("{target}&wait=50")),
            _ => Self::send_request(endpoint, &target),
        };
        settle().await;
        client
    }

    fn send_request(endpoint: &Endpoint, target: &str) -> Self {
        let received = Arc::<Mutex<Received>>::default();
        let (response, seen) = (endpoint.handle(get(target).body(Full::<Bytes>::default()).unwrap()), received.clone());
        let task = tokio::spawn(async move {
            let response = response.await;
            let status = response.status().as_u16();
            let challenge = response.headers().contains_key("www-authenticate");
            let mut body = response.into_body();
            let end = loop {
                match body.frame().await {
                    Some(Ok(frame)) => {
                        let data = frame.into_data().unwrap();
                        seen.lock().unwrap().text.push_str(std::str::from_utf8(&data).unwrap());
                    }
                    Some(Err(error)) => break format!("{error:?}"),
                    None if challenge => break format!("{status} with a challenge"),
                    None => break status.to_string(),
                }
            };
            seen.lock().unwrap().end = Some(end);
        });
        Self { received, task, write: None }
    }

    /// Opens a WebSocket of `tidings.v1`, and waits until its task waits.
    pub(crate) async fn open_objects(endpoint: &Endpoint, target: &str) -> Self {
        let client = Self::open_websocket_of(endpoint, target, "Sec-WebSocket-Protocol: tidings.v1\r\n", 1 << 16).await;
        settle().await;
        client
    }

    /// Opens a WebSocket over a pipe that holds this many bytes.
    pub(crate) async fn open_websocket(endpoint: &Endpoint, target: &str, pipe: usize) -> Self {
        Self::open_websocket_of(endpoint, target, "", pipe).await
    }

    /// Opens a WebSocket with further header lines, over a pipe that holds this many bytes.
    pub(crate) async fn open_websocket_of(endpoint: &Endpoint, target: &str, extra: &str, pipe: usize) -> Self {
        let (mut read, mut write) = tokio::io::split(serve_pipe(endpoint, pipe));
        write.write_all(upgrade_request(target, extra).as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(read.read_u8().await.unwrap());
        }
        let received = Arc::<Mutex<Received>>::default();
        if !head.starts_with(b"HTTP/1.1 101 ") {
            let status = String::from_utf8_lossy(&head[9..12]).into_owned();
            received.lock().unwrap().end = Some(status);
            return Self { received, task: tokio::spawn(async {}), write: None };
        }
        let seen = received.clone();
        let task = tokio::spawn(async move {
            let end = loop {
                match next_frame(&mut read).await {
                    Some((0x81, text)) => seen.lock().unwrap().text.push_str(std::str::from_utf8(&text).unwrap()),
                    Some((0x88, close)) => {
                        let code = u16::from_be_bytes([close[0], close[1]]);
                        break format!("{code} {}", String::from_utf8_lossy(&close[2..]));
                    }
                    Some(_) => {}
                    None => break "lost".to_owned(),
                }
            };
            seen.lock().unwrap().end = Some(end);
            // After the Close, the connection ends.
            assert_eq!(next_frame(&mut read).await, None);
        });
        Self { received, task, write: Some(write) }
    }

    /// Sends a frame, and lets all tasks run until they wait.
    pub(crate) async fn send(&mut self, opcode: u8, payload: &[u8]) {
        self.send_at_once(opcode, payload).await;
        settle().await;
    }

    /// Sends a frame.
    pub(crate) async fn send_at_once(&mut self, opcode: u8, payload: &[u8]) {
        self.write.as_mut().unwrap().write_all(&frame(opcode, payload)).await.unwrap();
    }

    /// Returns the text that the client received.
    pub(crate) fn text(&self) -> String {
        self.received.lock().unwrap().text.clone()
    }

    /// Returns the objects that a WebSocket of `tidings.v1` received.
    pub(crate) fn objects(&self) -> Vec<serde_json::Value> {
        serde_json::Deserializer::from_str(&self.text()).into_iter().map(Result::unwrap).collect()
    }

    /// Returns the end of the response: its status, the error of its body, the code and reason of a Close, or `lost`.
    pub(crate) fn end(&self) -> Option<String> {
        self.received.lock().unwrap().end.clone()
    }

    /// Answers the server's Close, and waits a little longer than the pause before an end. Returns the end of the response.
    pub(crate) async fn finish(&mut self) -> String {
        pass(Duration::from_millis(200)).await;
        if let Some(write) = &mut self.write {
            let _ = write.write_all(&frame(8, &1000_u16.to_be_bytes())).await;
            let _ = write.shutdown().await;
        }
        pass(Duration::from_millis(900)).await;
        self.end().unwrap_or_else(|| panic!("not ended: {}", self.text()))
    }

    /// Reads nothing more.
    pub(crate) fn stop_reading(&self) {
        self.task.abort();
    }

    /// Disconnects without a Close.
    pub(crate) async fn disconnect(self) {
        self.task.abort();
        // The task may have ended already, also by a panic of the body.
        let _ = self.task.await;
        drop(self.write);
        settle().await;
    }
}

/// Returns the cursor at which a client of this target would begin, by a short poll that is not a session. Empty if the
/// poll is refused.
async fn cursor(endpoint: &Endpoint, target: &str) -> String {
    let (path, query) = target.split_once('?').unwrap();
    let query = query.split('&').filter(|pair| !pair.starts_with("session=") && !pair.starts_with("transport="));
    let target = format!("{path}?transport=short-poll&{}", query.collect::<Vec<_>>().join("&"));
    let response = tokio::time::timeout(Duration::ZERO, get(&target).to(endpoint)).await;
    response.map(|response| header(&response, "etag").trim_matches('"').to_owned()).unwrap_or_default()
}

async fn next_frame(read: &mut ReadHalf<DuplexStream>) -> Option<(u8, Vec<u8>)> {
    let opcode = read.read_u8().await.ok()?;
    let len = match read.read_u8().await.ok()? {
        126 => read.read_u16().await.ok()?.into(),
        len => usize::from(len),
    };
    let mut payload = vec![0; len];
    read.read_exact(&mut payload).await.ok()?;
    Some((opcode, payload))
}

/// Lets all tasks run until they wait.
pub(crate) async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}
