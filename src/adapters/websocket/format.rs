use bytes::BytesMut;
use tungstenite::protocol::frame::coding::Data;

use super::frame::{Kind, put};
use crate::adapters::object::write_event;
use crate::contract::{Format, Published, place};
use crate::model::EventKind;

/// One frame an event, its payload and nothing else: text where the event is text or JSON, else binary.
#[derive(Debug)]
pub(super) struct RawFormat;

impl Format for RawFormat {
    fn slot(&self) -> Option<u8> {
        Some(place::WEBSOCKET)
    }

    fn encode(&self, published: &Published<'_>, out: &mut BytesMut) {
        let data = match published.event.kind() {
            EventKind::Text | EventKind::Json => Data::Text,
            EventKind::Binary => Data::Binary,
        };
        put(Kind::Data(data), published.event.payload(), out);
    }
}

/// One text frame an event, its JSON event object.
#[derive(Debug)]
pub(super) struct ObjectFormat;

impl Format for ObjectFormat {
    fn slot(&self) -> Option<u8> {
        Some(place::WEBSOCKET_OBJECT)
    }

    fn encode(&self, published: &Published<'_>, out: &mut BytesMut) {
        // The header needs the length, and comes first.
        let mut object = BytesMut::new();
        write_event(published, &mut object);
        put(Kind::Data(Data::Text), &object, out);
    }
}
