//! Encodings of each transport.

use std::fmt::Write as _;
use std::io::Write as _;

use super::board::Message;

/// Transport of a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    WebSocket,
    Sse,
    Lines,
    Poll,
}

impl Wire {
    pub(super) const ALL: [Self; 4] = [Self::WebSocket, Self::Sse, Self::Lines, Self::Poll];

    /// Appends the messages: a frame, block or line each, or the one response to a poll, with the number up to which it
    /// is
    /// complete.
    pub(super) fn encode<'a>(
        self,
        messages: impl IntoIterator<Item = (&'a str, &'a Message)>,
        last: u64,
        out: &mut Vec<u8>,
    ) {
        match self {
            Self::WebSocket => messages.into_iter().for_each(|(_, message)| text_frame(&message.data, out)),
            Self::Sse => messages.into_iter().for_each(|(_, message)| chunk(&block(message), out)),
            Self::Lines => {
                messages.into_iter().for_each(|(topic, message)| chunk(&(object(topic, message) + "\n"), out));
            }
            Self::Poll => {
                let objects: Vec<_> = messages.into_iter().map(|(topic, message)| object(topic, message)).collect();
                json_answer(&format!(r#"{{"cursor":"{last}","events":[{}]}}"#, objects.join(",")), out);
            }
        }
    }
}

/// Appends a `200` response with this body.
pub(super) fn json_answer(body: &str, out: &mut Vec<u8>) {
    let size = body.len();
    put(out, format_args!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n\r\n{body}"));
}

/// Appends a final, unmasked text frame (RFC 6455 §5.2).
fn text_frame(data: &str, out: &mut Vec<u8>) {
    out.push(0x81);
    match data.len() {
        size @ ..126 => out.push(size as u8),
        size @ ..0x1_0000 => {
            out.push(126);
            out.extend_from_slice(&(size as u16).to_be_bytes());
        }
        size => {
            out.push(127);
            out.extend_from_slice(&(size as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(data.as_bytes());
}

fn block(message: &Message) -> String {
    let mut block = String::with_capacity(message.data.len() + 40);
    for line in message.data.split(['\n', '\r']) {
        block.extend(["data: ", line, "\n"]);
    }
    // A write to a string does not fail.
    let _ = write!(block, "id: {}\n\n", message.id);
    block
}

/// Appends the event object.
fn object(topic: &str, message: &Message) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    format!(r#"{{"id":"{}","topic":{},"data":{}}}"#, message.id, quoted(topic), quoted(&message.data))
}

/// Appends a chunk (RFC 9112 §7.1).
fn chunk(data: &str, out: &mut Vec<u8>) {
    put(out, format_args!("{:x}\r\n{data}\r\n", data.len()));
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // A write to a vector does not fail.
    let _ = out.write_fmt(text);
}
