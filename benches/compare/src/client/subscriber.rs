//! One subscriber: a socket, and the few dozen bytes that count its deliveries.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use memchr::memmem;
use rustix::net::sockopt;

use super::answer;
use super::mark::Finder;
use super::tally::{Counts, Tally};

/// Transport of a subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    WebSocket,
    Sse,
    Chunked,
    LongPoll,
}

impl Transport {
    /// Returns the name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "WebSocket",
            Self::Sse => "SSE",
            Self::Chunked => "chunked stream",
            Self::LongPoll => "long poll",
        }
    }

    fn request(self, topic: u16, cursor: &str) -> String {
        let asks = match self {
            Self::WebSocket => {
                "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n\
                 sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="
            }
            Self::Sse => "accept: text/event-stream",
            Self::Chunked => "accept: application/x-ndjson",
            Self::LongPoll => "prefer: wait=20",
        };
        format!("GET /events?topic=t{topic:04}{cursor} HTTP/1.1\r\nhost: 127.0.0.1\r\n{asks}\r\n\r\n")
    }
}

/// Counts over all sockets.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Heard {
    /// Streams that have begun.
    pub(crate) joined: usize,
    /// Deliveries that are still expected.
    pub(crate) deliveries: u64,
}

#[derive(Debug)]
pub(crate) struct Subscriber {
    socket: TcpStream,
    topic: u16,
    finder: Finder,
    tally: Tally,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Received part of a stream's head.
    Head(Vec<u8>),
    Stream,
    /// Received part of a poll's response.
    Poll(Vec<u8>),
}

impl Subscriber {
    /// Connects, and requests the topic.
    pub(crate) fn connect(server: SocketAddr, transport: Transport, topic: u16) -> Result<Self, String> {
        let socket = connect(server)?;
        let state = match transport {
            Transport::LongPoll => State::Poll(Vec::new()),
            _ => State::Head(Vec::new()),
        };
        let mut subscriber = Self { socket, topic, finder: Finder::default(), tally: Tally::of(topic), state };
        subscriber.send(&transport.request(topic, ""))?;
        Ok(subscriber)
    }

    /// Reads once, into the buffer of all subscribers, and counts.
    pub(crate) fn hear(&mut self, buffer: &mut [u8], published: u32, heard: &mut Heard) -> Result<(), String> {
        let len = match (&self.socket).read(buffer) {
            Ok(0) => return Err("the server closed a subscriber's connection".to_owned()),
            Ok(len) => len,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(()),
            Err(error) => return Err(format!("a subscriber's connection: {error}")),
        };
        let piece = &buffer[..len];
        match &mut self.state {
            State::Stream => self.count(piece, published, heard),
            State::Head(head) => {
                head.extend_from_slice(piece);
                let Some((status, _, start)) = answer::head(head)? else { return Ok(()) };
                if !matches!(status, 101 | 200) {
                    return Err(format!("a subscriber was answered {status}"));
                }
                heard.joined += 1;
                let rest = head.split_off(start);
                self.state = State::Stream;
                self.count(&rest, published, heard);
            }
            State::Poll(unread) => {
                unread.extend_from_slice(piece);
                let unread = std::mem::take(unread);
                let rest = self.polled(&unread, published, heard)?.to_vec();
                self.state = State::Poll(rest);
            }
        }
        Ok(())
    }

    /// Returns the errors in the deliveries.
    pub(crate) fn counts(&self, published: u32) -> Counts {
        self.tally.counts(published)
    }

    fn count(&mut self, piece: &[u8], published: u32, heard: &mut Heard) {
        let tally = &mut self.tally;
        self.finder.feed(piece, |mark| heard.deliveries += u64::from(tally.count(mark, published)));
    }

    /// Counts the deliveries of a response, and polls again. The remaining bytes belong to the next response.
    fn polled<'a>(&mut self, bytes: &'a [u8], published: u32, heard: &mut Heard) -> Result<&'a [u8], String> {
        let Some(answer) = answer::first(bytes)? else { return Ok(bytes) };
        if answer.status != 200 {
            return Err(format!("a poll was answered {}", answer.status));
        }
        self.count(answer.body, published, heard);
        let cursor = cursor(answer.body).ok_or("a poll's answer has no cursor")?;
        self.send(&Transport::LongPoll.request(self.topic, &format!("&cursor={cursor}")))?;
        Ok(&bytes[answer.len..])
    }

    /// Sends a request. It is far smaller than the socket's buffer, which is empty, so it is sent completely.
    fn send(&mut self, request: &str) -> Result<(), String> {
        self.socket.write_all(request.as_bytes()).map_err(|error| format!("a subscriber's request: {error}"))
    }
}

impl AsFd for Subscriber {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Returns a non-blocking connection that leaves no `TIME_WAIT` when it is closed.
pub(crate) fn connect(server: SocketAddr) -> Result<TcpStream, String> {
    let connect = || {
        let socket = TcpStream::connect_timeout(&server, Duration::from_secs(60))?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
        Ok(socket)
    };
    connect().map_err(|error: std::io::Error| format!("can't connect to {server}: {error}"))
}

fn cursor(body: &[u8]) -> Option<&str> {
    const NAME: &[u8] = br#""cursor":""#;
    let start = memmem::find(body, NAME)? + NAME.len();
    let len = memchr::memchr(b'"', &body[start..])?;
    std::str::from_utf8(&body[start..start + len]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_is_taken_from_an_answer() {
        assert_eq!(cursor(br#"{"cursor":"a.a1","events":[]}"#), Some("a.a1"));
        assert_eq!(cursor(br#"{"events":[],"cursor":"a.a2"}"#), Some("a.a2"));
        assert_eq!(cursor(br#"{"events":[]}"#), None);
        assert_eq!(cursor(br#"{"cursor":"a"#), None);
    }
}
