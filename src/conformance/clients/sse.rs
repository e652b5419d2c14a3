use super::inbox::Item;
use super::object::read_object;
use super::sse_reader::{SseEvent, SseReader};
use super::{ClientEnd, Inbox, Seen, SeenData, SeenEvent, Wire};

/// Reader of server-sent events, with payloads or with event objects as data.
#[derive(Debug, Default)]
pub struct SseWire {
    reader: SseReader,
    objects: bool,
}

impl SseWire {
    /// Returns a reader of blocks with payloads.
    #[must_use]
    pub fn plain() -> Self {
        Self::default()
    }

    /// Returns a reader of blocks with event objects.
    #[must_use]
    pub fn objects() -> Self {
        Self { objects: true, ..Self::default() }
    }

    fn item(&self, event: SseEvent) -> Result<Item, String> {
        let SseEvent { name, data, id } = event;
        let item = match &*name {
            "tidings.retry" => return Ok(Item::Seen(Seen::End(ClientEnd::Later))),
            "tidings.gap" | "tidings.hello" | "tidings.heartbeat" | "tidings.topic_end" | "tidings.end"
            | "tidings.removed" => read_object(data.as_bytes())?,
            "message" if self.objects => read_object(data.as_bytes())?,
            _ if self.objects => return Err(format!("an object in a block named {name}")),
            _ => {
                let name = (name != "message").then_some(name);
                let cursor = (!id.is_empty()).then(|| id.clone());
                let event = SeenEvent { cursor, topic: None, key: None, name, data: SeenData::Text(data.clone()) };
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
