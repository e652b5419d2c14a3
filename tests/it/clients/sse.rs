use super::inbox::Item;
use super::object::read_object;
use super::{Data, End, Event, Inbox, Seen, Wire};
use crate::support::{SseEvent, SseReader};

/// Reader of server-sent events, with payloads or with event objects as data.
#[derive(Default)]
pub(crate) struct SseWire {
    reader: SseReader,
    objects: bool,
}

impl SseWire {
    pub(crate) fn plain() -> Self {
        Self::default()
    }

    pub(crate) fn objects() -> Self {
        Self { objects: true, ..Self::default() }
    }

    fn item(&self, event: SseEvent) -> Result<Item, String> {
        let SseEvent { name, data, id } = event;
        let item = match &*name {
            "tidings.retry" => return Ok(Item::Seen(Seen::End(End::Later))),
            "tidings.gap" | "tidings.hello" | "tidings.heartbeat" | "tidings.topic_end" | "tidings.end"
            | "tidings.removed" => read_object(data.as_bytes())?,
            "message" if self.objects => read_object(data.as_bytes())?,
            _ if self.objects => return Err(format!("an object in a block named {name}")),
            _ => {
                let name = (name != "message").then_some(name);
                let cursor = (!id.is_empty()).then(|| id.clone());
                let event = Event { cursor, topic: None, key: None, name, data: Data::Text(data.clone()) };
                Item::Seen(Seen::Event(event))
            }
        };
        let cursor = match &item {
            Item::Cursor(cursor) | Item::Hello(cursor) => cursor.as_deref(),
            Item::Seen(seen) => seen.cursor(),
        };
        match cursor.is_none_or(|cursor| cursor == id) {
            true => Ok(item),
            false => Err(format!("id {id:?} of {data}")),
        }
    }
}

impl Wire for SseWire {
    fn read(&mut self, bytes: &[u8], inbox: &mut Inbox) -> Result<(), String> {
        self.reader.read(bytes);
        for event in std::mem::take(&mut self.reader.events) {
            inbox.put(self.item(event)?);
        }
        Ok(())
    }

    fn has_hello(&self) -> bool {
        true
    }

    fn end(&mut self) -> Result<(), String> {
        if self.reader.is_mid_block() { Err("cut inside a block".into()) } else { Ok(()) }
    }
}
