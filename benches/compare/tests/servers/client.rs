//! A client on a blocking socket. It fails after some seconds without bytes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Numbers of messages, in the order of arrival.
pub(crate) type Found = Vec<u32>;

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Client {
    socket: TcpStream,
    read: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: &str) -> Self {
        let socket = TcpStream::connect(address).expect("server accepts connections");
        socket.set_read_timeout(Some(PATIENCE)).expect("it can be set");
        socket.set_nodelay(true).expect("it can be set");
        Self { socket, read: Vec::new() }
    }

    pub(crate) fn request(line: &str, headers: &str, body: &str) -> String {
        let size = body.len();
        format!("{line} HTTP/1.1\r\nhost: a\r\n{headers}content-length: {size}\r\n\r\n{body}")
    }

    pub(crate) fn post(topic: &str, payload: &str) -> String {
        Self::request(&format!("POST /publish/{topic}"), "content-type: text/plain\r\n", payload)
    }

    pub(crate) fn publish(&mut self, topic: &str, payload: &str) {
        self.send(&Self::post(topic, payload));
        self.read_answer();
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes());
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).expect("it is connected");
    }

    /// Reads a head. The bytes after it stay unread.
    pub(crate) fn read_head(&mut self) -> String {
        let end = loop {
            match self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => self.more(),
            }
        };
        String::from_utf8(self.read.drain(..end).collect()).expect("heads are text")
    }

    /// Returns the body of a `200` response with a length.
    pub(crate) fn read_answer(&mut self) -> String {
        let head = self.read_head().to_lowercase();
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        let (_, rest) = head.split_once("content-length: ").expect("it has a length");
        let size = rest.split_once("\r\n").expect("lines end").0.parse().expect("lengths are numbers");
        while self.read.len() < size {
            self.more();
        }
        String::from_utf8(self.read.drain(..size).collect()).expect("bodies are text")
    }

    /// Reads until the predicate holds for everything since the head. Returns it.
    pub(crate) fn read_until(&mut self, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        while !enough(&self.read) {
            self.more();
        }
        self.read.clone()
    }

    /// Reads until the payload since the head has at least this many bytes.
    pub(crate) fn read_to(&mut self, size: usize, payload: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
        payload(&self.read_until(|body| payload(body).len() >= size))
    }

    /// Returns everything up to the end of the connection.
    pub(crate) fn read_to_end(&mut self) -> Vec<u8> {
        self.socket.read_to_end(&mut self.read).expect("it ends");
        self.read.clone()
    }

    /// Returns the numbers of this many messages, without keeping their text.
    pub(crate) fn count_numbers(&mut self, messages: usize) -> Found {
        let mut numbers = found(&self.read);
        while numbers.len() < messages {
            // A number may arrive in two pieces, but the beginning of one contains no number.
            let kept = self.read.len().saturating_sub(NUMBER - 1);
            self.read.drain(..kept);
            self.more();
            numbers.extend(found(&self.read));
        }
        numbers
    }

    fn more(&mut self) {
        let mut buffer = [0; 64 << 10];
        let count = self.socket.read(&mut buffer).expect("it comes in time");
        assert_ne!(count, 0, "the connection ended after {:?}", String::from_utf8_lossy(&self.read));
        self.read.extend_from_slice(&buffer[..count]);
    }
}

/// Length of the mark of a message: `#00000012@`.
const NUMBER: usize = 10;

/// Returns the numbers of all messages in a text of any framing.
pub(crate) fn found(bytes: &[u8]) -> Found {
    let number = |at: usize| {
        let digits = bytes.get(at + 1..at + NUMBER - 1).filter(|_| bytes.get(at + NUMBER - 1) == Some(&b'@'))?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    };
    let marks = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'#');
    marks.filter_map(|(at, _)| number(at)).collect()
}

/// Returns the content of the complete chunks (RFC 9112 §7.1).
pub(crate) fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|bytes| bytes == b"\r\n") {
        let size = std::str::from_utf8(&bytes[..end]).expect("sizes are text");
        let size = usize::from_str_radix(size, 16).expect("sizes are numbers");
        let Some(chunk) = bytes[end + 2..].get(..size + 2) else { break };
        body.extend_from_slice(&chunk[..size]);
        bytes = &bytes[end + 2 + size + 2..];
    }
    body
}

/// Returns the cursor and the messages of a poll's response.
pub(crate) fn events(answer: &str) -> (String, Found) {
    let rest = answer.strip_prefix("{\"cursor\":\"").expect("it begins with the cursor");
    let (cursor, events) = rest.split_once("\",\"events\":[").expect("it has events");
    (cursor.to_owned(), found(events.as_bytes()))
}
