//! Publisher of a workload: one keep-alive connection, on which requests may be pipelined.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::answer;
use super::subscriber::connect;

/// Requests, and the time of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) requests: Vec<String>,
    pub(crate) pace: Pace,
    /// Number of messages that it brings each topic.
    pub(crate) published: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As fast as the server reads them.
    Pipelined,
    /// Each when the request this many places before it is answered.
    Window(usize),
    /// One in each interval.
    Every(Duration),
}

/// Path, content type and body of a request, as it is sent.
pub(crate) fn post(path: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}")
}

#[derive(Debug)]
pub(crate) struct Publisher {
    socket: TcpStream,
    /// Bytes that the socket has not taken yet.
    out: Vec<u8>,
    /// Received part of the responses.
    unread: Vec<u8>,
    sent: usize,
    answered: usize,
}

impl Publisher {
    pub(crate) fn connect(server: SocketAddr) -> Result<Self, String> {
        Ok(Self { socket: connect(server)?, out: Vec::new(), unread: Vec::new(), sent: 0, answered: 0 })
    }

    /// Sends a request that is not part of a script: its response shows that the server has read everything before it.
    pub(crate) fn knock(&mut self) -> Result<(), String> {
        self.out.extend_from_slice(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
        self.sent += 1;
        self.write()
    }

    /// Resets the counts for a new script.
    pub(crate) fn begin(&mut self) {
        (self.sent, self.answered) = (0, 0);
    }

    /// Sends the requests that are due, this long after the script began.
    pub(crate) fn push(&mut self, script: &Script, since: Duration) -> Result<(), String> {
        let due = match script.pace {
            Pace::Pipelined => usize::MAX,
            Pace::Window(posts) => self.answered + posts,
            Pace::Every(interval) => 1 + (since.as_nanos() / interval.as_nanos().max(1)) as usize,
        };
        for request in &script.requests[self.sent..due.clamp(self.sent, script.requests.len())] {
            self.out.extend_from_slice(request.as_bytes());
            self.sent += 1;
        }
        self.write()
    }

    /// Returns the time of the next request, if it depends on the clock.
    pub(crate) fn due(&self, script: &Script, begun: Instant) -> Option<Instant> {
        match script.pace {
            Pace::Every(interval) if self.sent < script.requests.len() => Some(begun + interval * self.sent as u32),
            _ => None,
        }
    }

    /// Returns whether every sent request is answered.
    pub(crate) fn is_answered(&self) -> bool {
        self.answered == self.sent
    }

    /// Returns whether the script is sent and answered.
    pub(crate) fn is_through(&self, script: &Script) -> bool {
        self.answered == script.requests.len()
    }

    /// Writes and reads until the socket would block: its events are edge-triggered.
    pub(crate) fn turn(&mut self, buffer: &mut [u8]) -> Result<(), String> {
        self.write()?;
        loop {
            match (&self.socket).read(buffer) {
                Ok(0) => return Err("the server closed the publisher's connection".to_owned()),
                Ok(len) => self.unread.extend_from_slice(&buffer[..len]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(format!("the publisher's connection: {error}")),
            }
        }
        let mut read = 0;
        while let Some(answer) = answer::first(&self.unread[read..])? {
            if answer.status != 200 {
                let body = String::from_utf8_lossy(answer.body);
                return Err(format!("the publisher was answered {}: {body}", answer.status));
            }
            read += answer.len;
            self.answered += 1;
        }
        self.unread.drain(..read);
        Ok(())
    }

    fn write(&mut self) -> Result<(), String> {
        let mut written = 0;
        while written < self.out.len() {
            match (&self.socket).write(&self.out[written..]) {
                Ok(len) => written += len,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(format!("the publisher's connection: {error}")),
            }
        }
        self.out.drain(..written);
        Ok(())
    }
}

impl AsFd for Publisher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
