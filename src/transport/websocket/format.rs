use bytes::{Bytes, BytesMut};
use tungstenite::protocol::frame::coding::Data;

use super::Subprotocol;
use super::frame::{Kind, frame, put};
use crate::contract::{EventRef, Format, Slot, place};
use crate::model::{Event, EventKind};
use crate::transport::object::{write_answer, write_event};

/// Format of an event as one frame with its payload: a text frame if it is text or JSON, else a binary frame. A removal
/// has no frame.
#[derive(Debug)]
pub(super) struct RawFormat;

impl Format for RawFormat {
    fn slot(&self) -> Option<Slot> {
        Some(place::WEBSOCKET)
    }

    fn encode(&self, published: &EventRef<'_>, out: &mut BytesMut) {
        if !published.event.is_removal() {
            put(Kind::Data(data_of(published.event)), published.event.payload(), out);
        }
    }
}

fn data_of(event: &Event) -> Data {
    match event.kind() {
        EventKind::Text | EventKind::Json => Data::Text,
        EventKind::Binary | EventKind::Removal => Data::Binary,
    }
}

/// Answer to a client's message.
#[derive(Debug)]
pub(crate) enum MessageAnswer {
    /// Event, which is encoded when the answer is sent.
    Event(Event),
    /// Encoded frame.
    #[cfg(feature = "http")]
    Frame(Bytes),
}

impl MessageAnswer {
    /// Returns the frame.
    pub(super) fn into_frame(self, subprotocol: Subprotocol) -> Bytes {
        match self {
            Self::Event(event) => encode_answer(&event, subprotocol).0,
            #[cfg(feature = "http")]
            Self::Frame(frame) => frame,
        }
    }
}

/// Encodes an event that answers a client's message. Returns the frame and the length of its payload in bytes.
pub(crate) fn encode_answer(event: &Event, subprotocol: Subprotocol) -> (Bytes, usize) {
    let mut object = BytesMut::new();
    let (kind, payload) = match subprotocol {
        Subprotocol::Raw => (data_of(event), &event.payload()[..]),
        Subprotocol::TidingsV1 => {
            write_answer(event, &mut object);
            (Data::Text, &object[..])
        }
    };
    (frame(Kind::Data(kind), payload), payload.len())
}

/// Returns a text frame with the bytes that `write` appends.
pub(crate) fn text(write: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut text = BytesMut::new();
    write(&mut text);
    frame(Kind::Data(Data::Text), &text)
}

/// Format of an event as one text frame with its JSON event object.
#[derive(Debug)]
pub(super) struct ObjectFormat;

impl Format for ObjectFormat {
    fn slot(&self) -> Option<Slot> {
        Some(place::WEBSOCKET_OBJECT)
    }

    fn encode(&self, published: &EventRef<'_>, out: &mut BytesMut) {
        // The header precedes the object and has its length.
        let mut object = BytesMut::new();
        write_event(published, &mut object);
        put(Kind::Data(Data::Text), &object, out);
    }
}
