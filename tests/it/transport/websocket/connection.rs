use std::future::Future;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tidings::subscriber::{Delivery, EncodedDelivery, Format};
use tidings::transport::websocket::{Closed, Subprotocol, WebSocketConfig, WebSocketSink};
use tidings::{Cursor, Event, Message, Rejection, Subscriber};
use tungstenite::WebSocket;
use tungstenite::protocol::Role;

use super::{ClientEnd, ServerEnd};
use crate::support::{Feed, Reader, Task, VirtualTimer};

/// One connection, with its client, its handler and its timer.
pub(super) struct Connection {
    pub(super) feed: Feed,
    pub(super) timer: VirtualTimer,
    pub(super) client: ClientEnd,
    pub(super) task: Task,
    pub(super) sink: Option<WebSocketSink<CountedReader, ServerEnd>>,
    /// Messages that the handler got.
    pub(super) received: Received,
    pub(super) counts: Counts,
    peer: WebSocket<PeerIo>,
}

/// Input and output of tungstenite, which keeps the written bytes until the test sends them.
struct PeerIo {
    client: ClientEnd,
    answers: Vec<u8>,
}

/// Messages in the order in which the handler got them.
#[derive(Clone, Default)]
pub(super) struct Received(Arc<Mutex<Vec<Message>>>);

/// Counts of the calls of a subscriber.
#[derive(Clone, Default)]
pub(super) struct Counts {
    polls: Arc<AtomicUsize>,
    releases: Arc<AtomicUsize>,
    acknowledged: Arc<Mutex<Vec<Cursor>>>,
}

/// A reader that counts its calls.
pub(super) struct CountedReader(Reader, Counts);

impl Connection {
    /// Returns a connection with raw frames whose handler takes every message.
    pub(super) fn raw() -> Self {
        Self::with(WebSocketConfig::default(), Subprotocol::Raw)
    }

    pub(super) fn objects() -> Self {
        Self::with(WebSocketConfig::default(), Subprotocol::TidingsV1)
    }

    pub(super) fn with(config: WebSocketConfig, subprotocol: Subprotocol) -> Self {
        Self::of(Feed::new(7), config, subprotocol, |reader| reader)
    }

    /// Returns a connection whose reader is changed by `set`.
    pub(super) fn of(
        feed: Feed,
        config: WebSocketConfig,
        subprotocol: Subprotocol,
        set: impl FnOnce(Reader) -> Reader,
    ) -> Self {
        let (client, wire) = ClientEnd::connect();
        let (timer, received, counts) = (VirtualTimer::new(), Received::default(), Counts::default());
        let reader = set(feed.reader());
        let sink = WebSocketSink::new(wire, CountedReader(reader, counts.clone()), Arc::new(timer.clone()), config)
            .subprotocol(subprotocol)
            .receive({
                let received = received.clone();
                move |message| {
                    received.put(message);
                    std::future::ready(Ok(None))
                }
            });
        let peer =
            WebSocket::from_raw_socket(PeerIo { client: client.clone(), answers: Vec::new() }, Role::Client, None);
        Self { feed, timer, client, task: Task::new(), sink: Some(sink), received, counts, peer }
    }

    /// Replaces the handler.
    pub(super) fn receive<F, R>(mut self, handler: F) -> Self
    where
        F: FnMut(Message) -> R + Send + 'static,
        R: Future<Output = Result<Option<Event>, Rejection>> + Send + 'static,
    {
        self.sink = self.sink.map(|sink| sink.receive(handler));
        self
    }

    pub(super) fn publish(&self, event: impl Into<Event>) {
        self.feed.event("news", event);
    }

    /// Polls until the sink does not wake itself. Returns the result, after a drop of the sink, if the connection is over.
    pub(super) fn run(&mut self) -> Option<Closed> {
        loop {
            let _ = self.task.wakes();
            let sink = self.sink.as_mut().expect("the connection is over");
            if let Poll::Ready(closed) = self.task.poll(sink) {
                self.sink = None;
                return Some(closed);
            }
            assert!(self.client.is_flushed(), "written bytes are not flushed");
            if self.task.wakes() == 0 {
                return None;
            }
        }
    }

    /// Sends bytes from the client and runs.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Option<Closed> {
        self.client.send(bytes);
        self.run()
    }

    /// Advances the time and runs whenever a sleep is due.
    pub(super) fn advance(&mut self, duration: Duration) -> Option<Closed> {
        let end = self.timer.elapsed() + duration;
        if let Some(closed) = self.run() {
            return Some(closed);
        }
        loop {
            let left = end - self.timer.elapsed();
            let next = self.timer.next_in().filter(|next| *next <= left);
            self.timer.advance(next.unwrap_or(left));
            if self.task.wakes() > 0 {
                if let Some(closed) = self.run() {
                    return Some(closed);
                }
            }
            next?;
        }
    }

    /// Returns the frames that the client got, as tungstenite reads them.
    pub(super) fn frames(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Ok(message) = self.peer.read() {
            frames.push(message.into());
        }
        frames
    }

    /// Sends the answers of tungstenite to pings and Close frames.
    pub(super) fn answer(&mut self) -> Option<Closed> {
        let _ = self.peer.flush();
        let answers = std::mem::take(&mut self.peer.get_mut().answers);
        assert!(!answers.is_empty(), "no frame to answer");
        self.send(&answers)
    }
}

/// Frame that a client reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    Text(String),
    Binary(Vec<u8>),
    Ping,
    Pong(Vec<u8>),
    /// Code 0 stands for a Close without a code.
    Close(u16, String),
}

impl Frame {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(super) fn close(code: u16, reason: &str) -> Self {
        Self::Close(code, reason.to_owned())
    }

    /// Returns the event object or control object of a text frame.
    pub(super) fn object(&self) -> serde_json::Value {
        let Self::Text(text) = self else { panic!("not a text: {self:?}") };
        serde_json::from_str(text).unwrap()
    }
}

impl From<tungstenite::Message> for Frame {
    fn from(message: tungstenite::Message) -> Self {
        match message {
            tungstenite::Message::Text(text) => Self::Text(text.to_string()),
            tungstenite::Message::Binary(bytes) => Self::Binary(bytes.to_vec()),
            tungstenite::Message::Ping(payload) if is_ping(&payload) => Self::Ping,
            tungstenite::Message::Pong(payload) => Self::Pong(payload.to_vec()),
            tungstenite::Message::Close(None) => Self::Close(0, String::new()),
            tungstenite::Message::Close(Some(close)) => Self::Close(close.code.into(), close.reason.to_string()),
            other => panic!("unexpected {other:?}"),
        }
    }
}

/// Returns whether a payload is one byte, and a cursor or nothing.
fn is_ping(payload: &[u8]) -> bool {
    let [_, cursor @ ..] = payload else { return false };
    cursor.is_empty() || Cursor::parse(cursor).is_ok()
}

/// Returns a masked frame with this first byte (FIN, reserved bits and opcode).
pub(super) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0xa5, 0x00, 0x3c, 0xff];
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(0x80 | len as u8),
        len @ 126..65_536 => {
            frame.push(0x80 | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

impl Read for PeerIo {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.client.read(buf)
    }
}

impl Write for PeerIo {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.answers.extend(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Received {
    pub(super) fn put(&self, message: Message) {
        self.0.lock().unwrap().push(message);
    }

    pub(super) fn take(&self) -> Vec<Message> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    pub(super) fn take_texts(&self) -> Vec<String> {
        self.take().iter().map(|message| message.as_text().unwrap().to_owned()).collect()
    }
}

impl Counts {
    /// Returns the number of polls since the last call.
    pub(super) fn polls(&self) -> usize {
        self.polls.swap(0, Ordering::Relaxed)
    }

    /// Returns the number of releases since the last call.
    pub(super) fn releases(&self) -> usize {
        self.releases.swap(0, Ordering::Relaxed)
    }

    /// Returns the acknowledged cursors.
    pub(super) fn acknowledged(&self) -> Vec<String> {
        self.acknowledged.lock().unwrap().iter().map(ToString::to_string).collect()
    }
}

impl Subscriber for CountedReader {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        self.0.poll_next(cx)
    }

    fn poll_encoded(&mut self, cx: &mut Context<'_>, format: &dyn Format, max: usize) -> Poll<EncodedDelivery> {
        self.1.polls.fetch_add(1, Ordering::Relaxed);
        self.0.poll_encoded(cx, format, max)
    }

    fn cursor(&self) -> Option<Cursor> {
        self.0.cursor()
    }

    fn acknowledge(&mut self, cursor: Cursor) {
        self.1.acknowledged.lock().unwrap().push(cursor);
    }

    fn release(&mut self) {
        self.1.releases.fetch_add(1, Ordering::Relaxed);
    }
}
