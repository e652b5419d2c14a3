use std::io::{self, ErrorKind};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tidings::Transport;

use crate::now;
use crate::wire::{Head, Wire, frame, request};

/// Events of a topic that one client got, over all its connections.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) cursor: String,
    /// Number of the last event.
    pub(crate) last: u64,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    /// Number of the event after which the client stops.
    pub(crate) goal: Option<u64>,
    /// Set after the event that is marked as the last.
    pub(crate) is_over: bool,
    /// Times of the events and their delays in microseconds, if they are recorded.
    pub(crate) delays: Option<Vec<(u64, u64)>>,
}

/// End of a connection that follows a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FollowEnd {
    /// All expected events have come.
    Complete,
    /// Drained with the last block of its transport, and the retry time.
    Drained(Duration),
    /// Refused with a retry time.
    Refused(Duration),
}

/// Delay of a client without a retry time, about that of EventSource.
const DEFAULT_RETRY: Duration = Duration::from_secs(3);

/// An event object, a gap or a control object.
#[derive(Debug, Deserialize)]
struct Object {
    id: Option<String>,
    data: Option<Payload>,
    gap: Option<Value>,
    tidings: Option<String>,
    retry_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Payload {
    pub(crate) n: u64,
    at: u64,
    #[serde(default)]
    last: bool,
}

/// Reply of a poll.
#[derive(Debug, Deserialize)]
pub(crate) struct Reply {
    cursor: String,
    events: Vec<Object>,
    #[serde(default)]
    pub(crate) more: bool,
}

impl Ledger {
    pub(crate) fn new(cursor: &str) -> Self {
        Self { cursor: cursor.to_owned(), last: 0, lost: 0, duplicated: 0, goal: None, is_over: false, delays: None }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.is_over || self.goal.is_some_and(|goal| self.last >= goal)
    }

    fn see(&mut self, payload: &Payload, cursor: &str) {
        match payload.n {
            n if n > self.last => self.lost += n - self.last - 1,
            _ => self.duplicated += 1,
        }
        self.last = self.last.max(payload.n);
        self.is_over |= payload.last;
        cursor.clone_into(&mut self.cursor);
        if let Some(delays) = &mut self.delays {
            delays.push((payload.at, now().saturating_sub(payload.at)));
        }
    }

    fn see_object(&mut self, object: &Object) -> io::Result<()> {
        match (&object.data, &object.id, &object.gap) {
            (Some(payload), Some(id), None) => self.see(payload, id),
            (None, _, None) if object.tidings.is_some() => {}
            _ => return Err(wrong(format!("{object:?}"))),
        }
        Ok(())
    }

    /// Reads a poll's reply. Returns the number of its events.
    pub(crate) fn see_reply(&mut self, reply: &Reply) -> io::Result<usize> {
        reply.events.iter().try_for_each(|object| self.see_object(object))?;
        reply.cursor.clone_into(&mut self.cursor);
        Ok(reply.events.len())
    }
}

/// Follows a topic from the ledger's cursor until the server ends the stream, which must be in the form of its
/// transport.
/// Disconnects when it is dropped.
pub(crate) async fn follow(
    address: &str,
    transport: Transport,
    topic: &str,
    ledger: &mut Ledger,
) -> io::Result<FollowEnd> {
    let mut wire = Wire::connect(address).await?;
    if transport == Transport::LongPoll {
        return long_polls(&mut wire, topic, ledger).await;
    }
    wire.send(request(transport, topic, Some(&ledger.cursor))).await?;
    let head = wire.head().await?;
    match (head.status, transport) {
        (503, _) => later(&head),
        (200, Transport::Sse) => sse(&mut wire, ledger).await,
        (200, Transport::Chunked) => chunked(&mut wire, ledger).await,
        (101, Transport::WebSocket) => websocket(&mut wire, ledger).await,
        (status, _) => Err(wrong(format!("{status} to {transport:?}"))),
    }
}

/// Polls once, and waits for the answer.
pub(crate) async fn poll(
    wire: &mut Wire,
    transport: Transport,
    topic: &str,
    cursor: &str,
) -> io::Result<(Head, Option<Reply>)> {
    wire.send(request(transport, topic, Some(cursor))).await?;
    let head = wire.head().await?;
    let body = wire.exactly(head.header("content-length").unwrap_or(0)).await?;
    let reply = if head.status == 200 { Some(serde_json::from_slice(&body)?) } else { None };
    Ok((head, reply))
}

async fn long_polls(wire: &mut Wire, topic: &str, ledger: &mut Ledger) -> io::Result<FollowEnd> {
    while !ledger.is_complete() {
        let (head, reply) = poll(wire, Transport::LongPoll, topic, &ledger.cursor).await?;
        match (head.status, reply) {
            (200, Some(reply)) => ledger.see_reply(&reply)?,
            (503, _) => return later(&head),
            (status, _) => return Err(wrong(format!("{status} to a long poll"))),
        };
        // The next poll is sent at once, unless it would be refused.
        if let Some(retry) = head.retry().filter(|retry| !retry.is_zero()) {
            return Ok(FollowEnd::Drained(retry));
        }
    }
    Ok(FollowEnd::Complete)
}

async fn sse(wire: &mut Wire, ledger: &mut Ledger) -> io::Result<FollowEnd> {
    let (mut text, mut retry, mut is_open) = (String::new(), None, false);
    while !ledger.is_complete() {
        let chunk = match wire.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return Err(wrong("stream is finished, but a drained stream is cut")),
            Err(error) => {
                broken_off(wire, &error)?;
                let text = text.trim_start_matches(":\n");
                return match text.is_empty() {
                    true => Ok(FollowEnd::Drained(retry.unwrap_or(DEFAULT_RETRY))),
                    false => Err(wrong(format!("cut inside a block: {text:?}"))),
                };
            }
        };
        text.push_str(std::str::from_utf8(&chunk).map_err(|_| ErrorKind::InvalidData)?);
        while let Some((block, rest)) = text.split_once("\n\n") {
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            retry = field("retry").and_then(|retry| retry.parse().ok()).map(Duration::from_millis).or(retry);
            match (field("event"), field("data"), field("id")) {
                (None, Some(data), Some(id)) => ledger.see(&serde_json::from_str(data)?, id),
                (Some("tidings.hello"), Some(_), Some(_)) => {}
                // On an open stream: its connection is cut next.
                (Some("tidings.retry"), _, _) if is_open => {}
                (Some("tidings.retry"), _, _) => return Ok(FollowEnd::Refused(retry.unwrap_or(DEFAULT_RETRY))),
                _ => return Err(wrong(block)),
            }
            is_open = true;
            text = rest.to_owned();
        }
    }
    Ok(FollowEnd::Complete)
}

async fn chunked(wire: &mut Wire, ledger: &mut Ledger) -> io::Result<FollowEnd> {
    let mut bye = None;
    while !ledger.is_complete() {
        let chunk = match wire.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return Err(wrong("stream is finished, but a drained stream is cut")),
            Err(error) => {
                broken_off(wire, &error)?;
                return bye.map(FollowEnd::Drained).ok_or_else(|| wrong("broken off without a bye"));
            }
        };
        for line in chunk.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            let object: Object = serde_json::from_slice(line)?;
            ledger.see_object(&object)?;
            bye = object.retry_ms.map(Duration::from_millis);
        }
    }
    Ok(FollowEnd::Complete)
}

async fn websocket(wire: &mut Wire, ledger: &mut Ledger) -> io::Result<FollowEnd> {
    let mut bye = None;
    while !ledger.is_complete() {
        match wire.frame().await? {
            (0x1, text) => {
                let object: Object = serde_json::from_slice(&text)?;
                ledger.see_object(&object)?;
                bye = object.retry_ms.map(Duration::from_millis);
            }
            (0x8, close) => {
                if close.get(..2) != Some(&1012_u16.to_be_bytes()) {
                    return Err(wrong(format!("closed with {close:?}")));
                }
                wire.send(frame(0x8, true, &close)).await?;
                wire.end().await?;
                return bye.map(FollowEnd::Drained).ok_or_else(|| wrong("closed without a bye"));
            }
            (0x9, _) => wire.send(frame(0xa, true, b"")).await?,
            (opcode, _) => return Err(wrong(format!("a frame {opcode:x}"))),
        }
    }
    Ok(FollowEnd::Complete)
}

/// Returns whether this is a drained end: the connection ends at the beginning of a chunk.
fn broken_off(wire: &Wire, error: &io::Error) -> io::Result<()> {
    match error.kind() {
        ErrorKind::UnexpectedEof if wire.is_clear() => Ok(()),
        kind => Err(wrong(format!("broken off with {kind:?}"))),
    }
}

fn later(head: &Head) -> io::Result<FollowEnd> {
    head.retry().map(FollowEnd::Refused).ok_or_else(|| wrong("\"later\", and not when"))
}

pub(crate) fn wrong(why: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why.into())
}
