use std::collections::VecDeque;

use super::Seen;

/// Items that a client has read and not taken yet, and its cursor: that of the last item taken.
#[derive(Debug, Default)]
pub struct Inbox {
    /// Items, each with the cursor after it, if the wire format had one.
    items: VecDeque<(Seen, Option<String>)>,
    cursor: Option<String>,
    begun: bool,
}

/// Item of a wire format.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "readers of other wire formats create them")]
pub enum Item {
    /// An item for the client.
    Seen(Seen),
    /// A cursor up to which there is no further item.
    Cursor(Option<String>),
    /// The hello, with the cursor at the start.
    Hello(Option<String>),
}

/// Reader of a wire format, for any cuts of its bytes.
pub trait Wire: Send {
    /// Reads bytes and puts the complete items into the inbox.
    ///
    /// # Errors
    ///
    /// Returns a description of bytes that are not of the wire format.
    fn read(&mut self, bytes: &[u8], inbox: &mut Inbox) -> Result<(), String>;

    /// Returns whether the server sends a hello with the cursor of the client first.
    fn has_hello(&self) -> bool;

    /// Ends the input.
    ///
    /// # Errors
    ///
    /// Returns a description of an item that is incomplete.
    fn end(&mut self) -> Result<(), String>;
}

impl Inbox {
    /// Returns the inbox of a client that starts at a cursor, or has none.
    #[must_use]
    pub fn after(cursor: Option<&str>) -> Self {
        Self { cursor: cursor.map(str::to_owned), ..Self::default() }
    }

    /// Appends an item, or moves the cursor after the last one.
    pub fn put(&mut self, item: Item) {
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

    /// Returns whether the hello was read.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// Takes the next item and moves the cursor to it.
    pub fn take(&mut self) -> Option<Seen> {
        let (seen, behind) = self.items.pop_front()?;
        let cursor = behind.or_else(|| seen.cursor().map(str::to_owned));
        self.cursor = cursor.or_else(|| self.cursor.take());
        Some(seen)
    }

    /// Returns whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Returns the cursor after the last item that was taken.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }
}

/// Returns whether a client at this cursor has the item of another one. Its cursor is later after events that a predicate left
/// out.
#[must_use]
pub fn reaches(cursor: Option<&str>, item: &str) -> bool {
    let epoch = |cursor: &str| cursor.split('.').next().map(str::to_owned);
    // Cursors of one epoch compare as text.
    cursor.is_some_and(|cursor| cursor >= item && epoch(cursor) == epoch(item))
}
