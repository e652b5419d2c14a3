use std::collections::VecDeque;
use std::io::{self, Read, Write};

use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

use super::inbox::Item;
use super::object::read_object;
use super::{ClientEnd, Inbox, Seen, SeenData, SeenEvent, Wire};

/// Reader of WebSocket frames, raw or with event objects. It also returns the frames that the client answers with.
#[derive(Debug)]
pub struct WebSocketWire {
    context: WebSocketContext,
    pipe: Pipe,
    objects: bool,
    closed: bool,
}

/// Bytes that are not parsed yet, and bytes to write.
#[derive(Debug, Default)]
struct Pipe {
    input: VecDeque<u8>,
    output: Vec<u8>,
}

impl WebSocketWire {
    /// Returns a reader for frames with payloads.
    #[must_use]
    pub fn raw() -> Self {
        // The default buffer of tungstenite has 128 KiB for each connection.
        let config = WebSocketConfig::default().read_buffer_size(1024).write_buffer_size(0);
        let context = WebSocketContext::new(Role::Client, Some(config));
        Self { context, pipe: Pipe::default(), objects: false, closed: false }
    }

    /// Returns a reader for the subprotocol `tidings.v1`.
    #[must_use]
    pub fn objects() -> Self {
        Self { objects: true, ..Self::raw() }
    }

    /// Takes the answers of the client: pongs and its Close.
    #[must_use]
    pub fn take_answers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pipe.output)
    }

    fn item(&mut self, message: Message) -> Result<Option<Item>, String> {
        let data = match message {
            Message::Text(text) if self.objects => return read_object(text.as_bytes()).map(Some),
            Message::Text(text) => SeenData::Text(text.to_string()),
            Message::Binary(bytes) if !self.objects => SeenData::Binary(bytes.to_vec()),
            Message::Ping(_) | Message::Pong(_) => return Ok(None),
            Message::Close(frame) => {
                self.closed = true;
                return closed(frame).map(|end| Some(Item::Seen(Seen::End(end))));
            }
            other => return Err(format!("unexpected {other:?}")),
        };
        Ok(Some(Item::Seen(Seen::Event(SeenEvent { cursor: None, topic: None, key: None, name: None, data }))))
    }
}

fn closed(frame: Option<CloseFrame>) -> Result<ClientEnd, String> {
    let frame = frame.ok_or("a Close without a code")?;
    match (u16::from(frame.code), frame.reason.as_str()) {
        (1000, _) => Ok(ClientEnd::Finished),
        (1013, "gap") => Ok(ClientEnd::Gap),
        (1012 | 1013, _) => Ok(ClientEnd::Later),
        (code, reason) => Err(format!("closed with {code} {reason}")),
    }
}

impl Wire for WebSocketWire {
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

    fn has_hello(&self) -> bool {
        self.objects
    }

    fn end(&mut self) -> Result<(), String> {
        if self.closed { Ok(()) } else { Err("the connection ended without a Close".into()) }
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
