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

use super::{Client, Wire};
use crate::support::{Feed, Reader, Task, VirtualTimer};

/// One connection, with all that is around it.
pub(super) struct Visit {
    pub(super) feed: Feed,
    pub(super) timer: VirtualTimer,
    pub(super) client: Client,
    pub(super) task: Task,
    pub(super) sink: Option<WebSocketSink<Watched, Wire>>,
    /// Messages that the handler was given.
    pub(super) received: Received,
    pub(super) watch: Watch,
    peer: WebSocket<Ear>,
}

/// A client that reads, and keeps what it would write.
struct Ear {
    client: Client,
    answers: Vec<u8>,
}

/// Messages in the order in which the handler got them.
#[derive(Clone, Default)]
pub(super) struct Received(Arc<Mutex<Vec<Message>>>);

/// How often a subscriber was asked for events, and told to let go.
#[derive(Clone, Default)]
pub(super) struct Watch {
    pub(super) polls: Arc<AtomicUsize>,
    pub(super) detached: Arc<AtomicUsize>,
}

pub(super) struct Watched(Reader, Watch);

impl Visit {
    /// A raw connection whose handler takes everything.
    pub(super) fn raw() -> Self {
        Self::with(WebSocketConfig::default(), Subprotocol::Raw)
    }

    pub(super) fn objects() -> Self {
        Self::with(WebSocketConfig::default(), Subprotocol::TidingsV1)
    }

    pub(super) fn with(config: WebSocketConfig, subprotocol: Subprotocol) -> Self {
        Self::of(Feed::new(7), config, subprotocol, |reader| reader)
    }

    /// A connection with a reader and a wire that are to one's liking.
    pub(super) fn of(
        feed: Feed,
        config: WebSocketConfig,
        subprotocol: Subprotocol,
        set: impl FnOnce(Reader) -> Reader,
    ) -> Self {
        let (client, wire) = Client::connect();
        let (timer, received, watch) = (VirtualTimer::new(), Received::default(), Watch::default());
        let reader = set(feed.reader());
        let sink = WebSocketSink::new(wire, Watched(reader, watch.clone()), Arc::new(timer.clone()), config)
            .subprotocol(subprotocol)
            .receive({
                let received = received.clone();
                move |message| {
                    received.put(message);
                    std::future::ready(Ok(None))
                }
            });
        let peer = WebSocket::from_raw_socket(Ear { client: client.clone(), answers: Vec::new() }, Role::Client, None);
        Self { feed, timer, client, task: Task::new(), sink: Some(sink), received, watch, peer }
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

    /// Polls until there is nothing more to do now. `Some`: the connection is over, and the sink dropped.
    pub(super) fn run(&mut self) -> Option<Closed> {
        loop {
            let _ = self.task.wakes();
            let sink = self.sink.as_mut().expect("it is over");
            if let Poll::Ready(closed) = self.task.poll(sink) {
                self.sink = None;
                return Some(closed);
            }
            assert!(self.client.is_flushed(), "what could be written is flushed");
            if self.task.wakes() == 0 {
                return None;
            }
        }
    }

    /// Sends bytes, and runs.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Option<Closed> {
        self.client.send(bytes);
        self.run()
    }

    /// Lets time pass, and runs whenever a sleep is over.
    pub(super) fn pass(&mut self, duration: Duration) -> Option<Closed> {
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

    /// Returns the frames that came at the client, as tungstenite reads them.
    pub(super) fn frames(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Ok(message) = self.peer.read() {
            frames.push(message.into());
        }
        frames
    }

    /// Sends the answers that tungstenite has to the pings and Close frames among them.
    pub(super) fn answer(&mut self) -> Option<Closed> {
        let _ = self.peer.flush();
        let answers = std::mem::take(&mut self.peer.get_mut().answers);
        assert!(!answers.is_empty(), "there is nothing to answer");
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
    /// 0: without a code.
    Close(u16, String),
}

impl Frame {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(super) fn close(code: u16, reason: &str) -> Self {
        Self::Close(code, reason.to_owned())
    }

    /// The event object, or control object, of a text frame.
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
            tungstenite::Message::Ping(payload) if payload.len() == 1 => Self::Ping,
            tungstenite::Message::Pong(payload) => Self::Pong(payload.to_vec()),
            tungstenite::Message::Close(None) => Self::Close(0, String::new()),
            tungstenite::Message::Close(Some(close)) => Self::Close(close.code.into(), close.reason.to_string()),
            other => panic!("unexpected {other:?}"),
        }
    }
}

/// A client's frame with this first byte (FIN, reserved bits and opcode).
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

impl Read for Ear {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.client.read(buf)
    }
}

impl Write for Ear {
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

impl Watch {
    pub(super) fn polls(&self) -> usize {
        self.polls.swap(0, Ordering::Relaxed)
    }

    pub(super) fn detached(&self) -> usize {
        self.detached.swap(0, Ordering::Relaxed)
    }
}

impl Subscriber for Watched {
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

    fn release(&mut self) {
        self.1.detached.fetch_add(1, Ordering::Relaxed);
    }
}
