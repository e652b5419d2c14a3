use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::model::EventError;

/// Event to publish: a payload and, optionally, a name, a key, a tag and a time to live.
///
/// An event is immutable. Clones share the payload.
///
/// ```
/// use std::time::Duration;
/// use tidings::Event;
///
/// let event = Event::text("42.17").with_name("price")?.with_key("ACME")?.with_ttl(Duration::from_secs(30));
/// assert_eq!(event.name(), Some("price"));
/// # Ok::<(), tidings::EventError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    payload: Bytes,
    kind: EventKind,
    extra: Option<Arc<Extra>>,
}

/// Type of a payload, which selects its encoding in text formats.
///
/// ```
/// use tidings::{Event, EventKind};
///
/// assert_eq!(Event::text("42.17").kind(), EventKind::Text);
/// assert_eq!(Event::binary(vec![0, 255]).kind(), EventKind::Binary);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// UTF-8 text. The event object holds it as a JSON string.
    Text,
    /// JSON value on one line. The event object holds the value itself.
    Json,
    /// Arbitrary bytes. Text formats hold them as base64.
    Binary,
    /// No payload: the event removes a key from the state of its topic, see [`Event::removal`].
    Removal,
}

/// Optional properties. They are stored out of line, so that an event without them is small.
#[derive(Clone, Default, PartialEq, Eq)]
struct Extra {
    name: Option<Box<str>>,
    key: Option<Box<str>>,
    tag: Option<Box<str>>,
    ttl: Option<Duration>,
}

impl Event {
    /// Maximum length of a name, of a key and of a tag, in bytes.
    pub const MAX_LABEL: usize = 128;

    /// Maximum nesting of arrays and objects in a JSON payload, in levels. The reply to a poll adds three levels around the
    /// payload, and many parsers, serde_json among them, accept at most 127.
    pub const MAX_JSON_DEPTH: usize = 124;

    /// Creates an event with a text payload.
    pub fn text(text: impl Into<String>) -> Self {
        Self::plain(Bytes::from(text.into().into_boxed_str().into_boxed_bytes()), EventKind::Text)
    }

    /// Creates an event with a text payload from UTF-8 bytes. The bytes are not copied.
    ///
    /// ```
    /// use tidings::{Event, EventError};
    ///
    /// assert_eq!(Event::utf8("42.17"), Ok(Event::text("42.17")));
    /// assert_eq!(Event::utf8(b"ab\xff".to_vec()), Err(EventError::NotUtf8 { at: 2 }));
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`EventError::NotUtf8`] if the bytes are not UTF-8.
    pub fn utf8(text: impl Into<Bytes>) -> Result<Self, EventError> {
        let text = text.into();
        match std::str::from_utf8(&text) {
            Ok(_) => Ok(Self::plain(text, EventKind::Text)),
            Err(error) => Err(EventError::NotUtf8 { at: error.valid_up_to() }),
        }
    }

    /// Creates an event with a binary payload.
    ///
    /// Text formats encode the payload as base64 (RFC 4648 §4). The JSON event object marks it with
    /// `"encoding":"base64"`. A server-sent event holds the base64 text without a mark, so clients of binary events should
    /// request `?format=object` or know the encoding by the event's name. A raw WebSocket message is a binary frame.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::plain(bytes.into(), EventKind::Binary)
    }

    /// Creates an event that removes a key from the state of a topic with
    /// [`Retention::latest_per_key`](crate::Retention::latest_per_key). It has no payload.
    ///
    /// A hub refuses it for other topics with [`PublishError::NotKeyed`](crate::PublishError::NotKeyed).
    ///
    /// ```
    /// use tidings::{Event, EventKind, LocalHub, Retention};
    ///
    /// let hub = LocalHub::builder().retain_for("cars", Retention::latest_per_key()).build();
    /// hub.publish_now("cars", Event::text("here").with_key("42")?)?;
    /// let removal = Event::removal("42")?;
    /// assert_eq!((removal.kind(), removal.key()), (EventKind::Removal, Some("42")));
    /// hub.publish_now("cars", removal)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the errors of [`with_key`](Self::with_key).
    pub fn removal(key: &str) -> Result<Self, EventError> {
        Self::plain(Bytes::new(), EventKind::Removal).with_key(key)
    }

    /// Serializes `value` as JSON and creates an event with it.
    ///
    /// ```
    /// use tidings::Event;
    ///
    /// let event = Event::json(&serde_json::json!({ "price": 42.17 }))?;
    /// assert_eq!(event.as_str(), Some(r#"{"price":42.17}"#));
    /// # Ok::<(), tidings::EventError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`EventError::NotSerializable`] if the value cannot be serialized, and the errors of
    /// [`json_text`](Self::json_text) if the JSON breaks a rule that is listed there.
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<Self, EventError> {
        let text =
            serde_json::to_vec(value).map_err(|error| EventError::NotSerializable { reason: error.to_string() })?;
        super::json::check(&text)?;
        // The spare capacity of the buffer is freed, because the hub's budget does not count it.
        Ok(Self::plain(one_line(text.into_boxed_slice().into()), EventKind::Json))
    }

    /// Checks a JSON text and creates an event with it. Line breaks between tokens are replaced by spaces, so that the
    /// payload is one line.
    ///
    /// A reply to a poll holds several events in one JSON document. The rules below exclude values that common parsers
    /// reject, because such a value would make the whole reply unreadable. Integers may have any length up to the largest
    /// double.
    ///
    /// ```
    /// use tidings::{Event, EventError};
    ///
    /// assert!(Event::json_text(r#"{"temperature":21.5,"place":"\ud83c\udfe0"}"#).is_ok());
    /// assert_eq!(Event::json_text(r#"{"a":"\ud800"}"#), Err(EventError::UnpairedSurrogate { at: 6 }));
    /// ```
    ///
    /// # Errors
    ///
    /// - [`EventError::NotJson`] and [`EventError::NotUtf8`]: the text is not JSON.
    /// - [`EventError::UnpairedSurrogate`]: a name or a string has half of a surrogate pair, such as `"\ud800"`.
    /// - [`EventError::JsonTooDeep`]: arrays and objects are nested deeper than [`MAX_JSON_DEPTH`](Self::MAX_JSON_DEPTH).
    /// - [`EventError::JsonNumberTooLarge`]: a number is larger than the largest double, such as `1e999`.
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn json_text(text: impl Into<Bytes>) -> Result<Self, EventError> {
        let text = text.into();
        serde_json::from_slice::<serde::de::IgnoredAny>(&text)
            .map_err(|error| EventError::NotJson { reason: error.to_string() })?;
        // IgnoredAny does not validate the bytes inside strings.
        if let Err(error) = std::str::from_utf8(&text) {
            return Err(EventError::NotUtf8 { at: error.valid_up_to() });
        }
        super::json::check(&text)?;
        Ok(Self::plain(one_line(text), EventKind::Json))
    }

    /// Sets the event's name: `event:` in a server-sent event, `"event"` in the event object.
    ///
    /// A name has 1 to 128 bytes and no control characters, and does not begin with `tidings.`. `message` is the name of
    /// unnamed events, so an event with that name is stored without one.
    ///
    /// The `EventSource` of browsers calls `onerror` also for an event named `error`, and `onopen` for one named `open`.
    /// These names are sent unchanged, because other clients distinguish them. For browsers use other names, check
    /// `event instanceof MessageEvent` in `onerror`, or use `?format=object`, in which the name is in the object and not in
    /// the block. Other names, such as `close` and `abort`, have no meaning to an `EventSource`. Some libraries give a
    /// meaning to a name that the page selects, such as htmx with `sse-close`.
    ///
    /// # Errors
    ///
    /// Returns [`EventError::EmptyLabel`], [`EventError::LongLabel`], [`EventError::Control`] or
    /// [`EventError::ReservedName`] if the name breaks a rule above.
    pub fn with_name(mut self, name: &str) -> Result<Self, EventError> {
        check_label(name)?;
        if name.starts_with("tidings.") {
            return Err(EventError::ReservedName);
        }
        self.extra_mut().name = (name != "message").then(|| name.into());
        Ok(self)
    }

    /// Sets the event's key, which identifies the value that the event updates: `"key"` in the event object.
    ///
    /// A subscriber that [conflates](crate::Overflow::Latest) receives only the newest unread event of each key of a topic.
    /// A topic with [`Retention::latest_per_key`](crate::Retention::latest_per_key) keeps the newest event of each key.
    /// A key has 1 to 128 bytes and no control characters.
    ///
    /// # Errors
    ///
    /// Returns [`EventError::EmptyLabel`], [`EventError::LongLabel`] or [`EventError::Control`] if the key breaks a rule
    /// above.
    pub fn with_key(mut self, key: &str) -> Result<Self, EventError> {
        check_label(key)?;
        self.extra_mut().key = Some(key.into());
        Ok(self)
    }

    /// Sets the event's tag, for [predicates](crate::Subscribe::filter) that select events. Clients do not receive it.
    ///
    /// A tag has 1 to 128 bytes and no control characters.
    ///
    /// # Errors
    ///
    /// Returns [`EventError::EmptyLabel`], [`EventError::LongLabel`] or [`EventError::Control`] if the tag breaks a
    /// rule above.
    pub fn with_tag(mut self, tag: &str) -> Result<Self, EventError> {
        check_label(tag)?;
        self.extra_mut().tag = Some(tag.into());
        Ok(self)
    }

    /// Sets the event's time to live, counted from its publication by the hub's clock.
    ///
    /// An expired event is not delivered, neither live nor in a replay, and its absence is not a gap. The hub counts it as
    /// `expired`, and [`Start::Last`](crate::Start::Last) does not count it. Batches and bytes that were returned before the
    /// expiry are unchanged. An event with `Duration::ZERO` is published and never delivered.
    ///
    /// An expired event leaves history when it is the oldest event there. Until then it counts against
    /// [`Retention`](crate::Retention).
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.extra_mut().ttl = Some(ttl);
        self
    }

    /// Returns the bytes of the payload, as published.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Returns the type of the payload.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        self.kind
    }

    /// Returns the payload as text if it is [`EventKind::Text`] or [`EventKind::Json`].
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self.kind {
            EventKind::Binary | EventKind::Removal => None,
            EventKind::Text | EventKind::Json => std::str::from_utf8(&self.payload).ok(),
        }
    }

    /// Returns the event's name, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.extra.as_ref()?.name.as_deref()
    }

    /// Returns the event's key, if it has one.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.extra.as_ref()?.key.as_deref()
    }

    /// Returns the event's tag, if it has one.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.extra.as_ref()?.tag.as_deref()
    }

    /// Returns whether the event [removes](Self::removal) a key.
    #[must_use]
    pub fn is_removal(&self) -> bool {
        self.kind == EventKind::Removal
    }

    /// Returns the event's time to live, if it has one.
    #[must_use]
    pub fn ttl(&self) -> Option<Duration> {
        self.extra.as_ref()?.ttl
    }

    /// Returns the number of bytes that the event counts against a limit: the sum of payload, name, key and tag.
    #[must_use]
    pub fn weight(&self) -> usize {
        let labels = self.extra.as_deref().map(|extra| [&extra.name, &extra.key, &extra.tag]);
        let labels = labels.iter().flatten().filter_map(|label| label.as_deref());
        self.payload.len() + labels.map(str::len).sum::<usize>()
    }

    /// Creates an event from the parts of one that was checked when it was created, for example before it was stored.
    #[cfg(feature = "disk")]
    pub(crate) fn from_checked(
        payload: Bytes,
        kind: EventKind,
        labels: [Option<&str>; 3],
        ttl: Option<Duration>,
    ) -> Self {
        let [name, key, tag] = labels.map(|label| label.map(Into::into));
        let extra = Extra { name, key, tag, ttl };
        let extra = (extra != Extra::default()).then(|| Arc::new(extra));
        Self { payload, kind, extra }
    }

    fn plain(payload: Bytes, kind: EventKind) -> Self {
        Self { payload, kind, extra: None }
    }

    fn extra_mut(&mut self) -> &mut Extra {
        Arc::make_mut(self.extra.get_or_insert_default())
    }
}

/// Replaces line breaks by spaces. A JSON string contains no raw line break (RFC 8259 §7), so each is between tokens.
#[cfg(feature = "json")]
fn one_line(json: Bytes) -> Bytes {
    let is_break = |byte: u8| matches!(byte, b'\r' | b'\n');
    if !json.iter().copied().any(is_break) {
        return json;
    }
    json.iter().map(|&byte| if is_break(byte) { b' ' } else { byte }).collect()
}

fn check_label(label: &str) -> Result<(), EventError> {
    match label {
        "" => Err(EventError::EmptyLabel),
        _ if label.len() > Event::MAX_LABEL => Err(EventError::LongLabel { len: label.len() }),
        _ if label.chars().any(char::is_control) => Err(EventError::Control),
        _ => Ok(()),
    }
}

impl From<&str> for Event {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Event {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("kind", &self.kind)
            .field("payload", &self.payload)
            .field("name", &self.name())
            .field("key", &self.key())
            .field("tag", &self.tag())
            .field("ttl", &self.ttl())
            .finish()
    }
}
