use std::collections::VecDeque;
use std::io::{self, Read, Write};

use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

use super::inbox::Item;
use super::object::read_object;
use super::{Data, End, Event, Inbox, Seen, Wire};

/// Reads a WebSocket's frames, raw or with event objects, and says what the client answers.
pub(crate) struct Frames {
    context: WebSocketContext,
    pipe: Pipe,
    objects: bool,
    closed: bool,
}

/// Bytes that were read and not parsed, and bytes that are to be written.
#[derive(Default)]
struct Pipe {
    input: VecDeque<u8>,
    output: Vec<u8>,
}

impl Frames {
    pub(crate) fn raw() -> Self {
        // Tungstenite's own is 128 KiB a connection.
        let config = WebSocketConfig::default().read_buffer_size(1024).write_buffer_size(0);
        let context = WebSocketContext::new(Role::Client, Some(config));
        Self { context, pipe: Pipe::default(), objects: false, closed: false }
    }

    /// Of `tidings.v1`.
    pub(crate) fn objects() -> Self {
        Self { objects: true, ..Self::raw() }
    }

    /// Takes the client's answers: pongs, and the other Close.
    pub(crate) fn take_answers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pipe.output)
    }

    fn item(&mut self, message: Message) -> Result<Option<Item>, String> {
        let data = match message {
            Message::Text(text) if self.objects => return read_object(text.as_bytes()).map(Some),
            Message::Text(text) => Data::Text(text.to_string()),
            Message::Binary(bytes) if !self.objects => Data::Binary(bytes.to_vec()),
            Message::Ping(_) | Message::Pong(_) => return Ok(None),
            Message::Close(frame) => {
                self.closed = true;
                return closed(frame).map(|end| Some(Item::Seen(Seen::End(end))));
            }
            other => return Err(format!("unexpected {other:?}")),
        };
        Ok(Some(Item::Seen(Seen::Event(Event { cursor: None, topic: None, name: None, data }))))
    }
}

fn closed(frame: Option<CloseFrame>) -> Result<End, String> {
    let frame = frame.ok_or("a Close without a code")?;
    match (u16::from(frame.code), frame.reason.as_str()) {
        (1000, _) => Ok(End::Finished),
        (1013, "gap") => Ok(End::Gap),
        (1012 | 1013, _) => Ok(End::Later),
        (code, reason) => Err(format!("closed with {code} {reason}")),
    }
}

impl Wire for Frames {
    fn read(&mut self, bytes: &[u8], inbox: &mut Inbox) -> Result<(), String> {
        self.pipe.input.extend(bytes);
        loop {
            match self.context.read(&mut self.pipe) {
                Ok(message) => self.item(message)?.into_iter().for_each(|item| inbox.put(item)),
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(Error::ConnectionClosed) => break,
                Err(error) => return Err(error.to_string()),
            }
        }
        match self.context.flush(&mut self.pipe) {
            Ok(()) | Err(Error::ConnectionClosed) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn says_hello(&self) -> bool {
        self.objects
    }

    fn end(&mut self) -> Result<(), String> {
        if self.closed { Ok(()) } else { Err("the end without a Close".into()) }
    }
}

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.input.is_empty() {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => self.input.read(buf),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.output.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
