use std::collections::VecDeque;

use super::Seen;

/// Items that a client has read and not looked at yet, and its cursor: that of the item it looked at last.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// Each with the cursor behind it, where the wire said one.
    items: VecDeque<(Seen, Option<String>)>,
    cursor: Option<String>,
    begun: bool,
}

/// Item of a wire.
#[derive(Debug)]
pub(crate) enum Item {
    Seen(Seen),
    /// There was nothing more up to here.
    Cursor(Option<String>),
    /// The first words, from here on.
    Hello(Option<String>),
}

/// Reads one wire, however its bytes are cut.
pub(crate) trait Wire: Send {
    fn read(&mut self, bytes: &[u8], inbox: &mut Inbox) -> Result<(), String>;

    /// Whether the server speaks first, and so says where the client is.
    fn says_hello(&self) -> bool;

    /// Nothing more comes: an error where something is half said.
    fn end(&mut self) -> Result<(), String>;
}

impl Inbox {
    /// The inbox of a client that begins at a cursor, or has none.
    pub(crate) fn after(cursor: Option<&str>) -> Self {
        Self { cursor: cursor.map(str::to_owned), ..Self::default() }
    }

    pub(crate) fn put(&mut self, item: Item) {
        let cursor = match item {
            Item::Seen(seen) => return self.items.push_back((seen, None)),
            Item::Cursor(cursor) => cursor,
            Item::Hello(cursor) => {
                self.begun = true;
                cursor
            }
        };
        let place = self.items.back_mut().map_or(&mut self.cursor, |(_, behind)| behind);
        *place = cursor.or_else(|| place.take());
    }

    /// Whether the first words were read.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// The next thing to look at.
    pub(crate) fn look(&mut self) -> Option<Seen> {
        let (seen, behind) = self.items.pop_front()?;
        let cursor = behind.or_else(|| seen.cursor().map(str::to_owned));
        self.cursor = cursor.or_else(|| self.cursor.take());
        Some(seen)
    }

    /// Whether there is nothing to look at.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }
}
