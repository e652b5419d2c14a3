use bytes::Bytes;
use tungstenite::protocol::frame::coding::{Control, Data};

use super::CloseCode;
use super::assembly::{Assembly, Begin, Limits};
use super::frame::{Header, Kind, MAX_HEADER, parse};
use super::mask::unmask;
use super::violation::Violation;
use crate::contract::Message;

/// Parser of a client's bytes, which may be cut anywhere, into messages and control frames (RFC 6455 §5).
///
/// It has no read buffer. Between two calls it holds parts of a header, of a control frame and of a message.
#[derive(Debug, Default)]
pub(super) struct Reader {
    head: [u8; MAX_HEADER],
    filled: u8,
    frame: Option<Frame>,
    control: Vec<u8>,
    assembly: Assembly,
}

/// Frame whose payload is not complete.
#[derive(Debug)]
struct Frame {
    kind: Kind,
    last: bool,
    left: usize,
    mask: [u8; 4],
}

/// Message or control frame of the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Inbound {
    Message(Message),
    Ping(Bytes),
    Pong(Vec<u8>),
    Close(Option<CloseCode>),
}

impl Reader {
    /// Takes bytes from the front of `input`, up to the end of the next message or control frame, or all of them.
    ///
    /// The bytes are unmasked in place. After an error the boundaries of frames are lost, so no further byte can be parsed.
    pub(super) fn read(&mut self, input: &mut &mut [u8], limits: Limits) -> Result<Option<Inbound>, Violation> {
        loop {
            let Some(frame) = &mut self.frame else {
                match self.read_header(input)? {
                    Some(header) => self.begin(header, limits)?,
                    None => return Ok(None),
                }
                continue;
            };
            let here = frame.left.min(input.len());
            let (payload, rest) = std::mem::take(input).split_at_mut(here);
            *input = rest;
            frame.left -= here;
            frame.mask = unmask(payload, frame.mask);
            let (kind, last, done) = (frame.kind, frame.last, frame.left == 0);
            match kind {
                Kind::Data(_) => self.assembly.push(payload, limits)?,
                Kind::Control(_) => self.control.extend_from_slice(payload),
            }
            if !done {
                return Ok(None);
            }
            self.frame = None;
            match kind {
                Kind::Data(_) if last => return self.assembly.finish().map(Inbound::Message).map(Some),
                Kind::Data(_) => {}
                Kind::Control(control) => return control_frame(control, std::mem::take(&mut self.control)).map(Some),
            }
        }
    }

    /// Returns whether a message is incomplete.
    pub(super) fn is_inside_message(&self) -> bool {
        self.assembly.is_begun()
    }

    /// Returns whether no header, frame or message is incomplete.
    pub(super) fn is_idle(&self) -> bool {
        self.filled == 0 && self.frame.is_none() && !self.is_inside_message()
    }

    fn read_header(&mut self, input: &mut &mut [u8]) -> Result<Option<Header>, Violation> {
        let before = usize::from(self.filled);
        let more = input.len().min(MAX_HEADER - before);
        self.head[before..before + more].copy_from_slice(&input[..more]);
        let parsed = parse(&self.head[..before + more])?;
        // An incomplete header took all bytes, because no header is longer than `head`.
        let (taken, filled) = match &parsed {
            Some((_, size)) => (size.saturating_sub(before), 0),
            None => (more, before + more),
        };
        self.filled = filled as u8;
        *input = &mut std::mem::take(input)[taken..];
        Ok(parsed.map(|(header, _)| header))
    }

    fn begin(&mut self, header: Header, limits: Limits) -> Result<(), Violation> {
        let begin = match header.kind {
            Kind::Data(Data::Text) => Some(Begin::Text),
            Kind::Data(Data::Binary) => Some(Begin::Binary),
            Kind::Data(_) => Some(Begin::Continue),
            Kind::Control(_) => None,
        };
        if let Some(begin) = begin {
            self.assembly.begin(begin, header.length, limits)?;
        }
        let left = usize::try_from(header.length).map_err(|_| Violation::TOO_BIG)?;
        self.frame = Some(Frame { kind: header.kind, last: header.last, left, mask: header.mask });
        Ok(())
    }
}

fn control_frame(control: Control, payload: Vec<u8>) -> Result<Inbound, Violation> {
    match control {
        Control::Ping => Ok(Inbound::Ping(payload.into())),
        Control::Pong => Ok(Inbound::Pong(payload)),
        _ => close_body(&payload).map(Inbound::Close),
    }
}

/// Parses the body of a Close frame: empty, or a code and a reason in UTF-8 (RFC 6455 §5.5.1, §7.4).
fn close_body(body: &[u8]) -> Result<Option<CloseCode>, Violation> {
    let Some((code, reason)) = body.split_first_chunk() else {
        return if body.is_empty() { Ok(None) } else { Err(Violation::protocol("close code cut short")) };
    };
    let code = CloseCode::new(u16::from_be_bytes(*code)).ok_or(Violation::protocol("close code not allowed"))?;
    match std::str::from_utf8(reason) {
        Ok(_) => Ok(Some(code)),
        Err(_) => Err(Violation::NOT_UTF8),
    }
}
