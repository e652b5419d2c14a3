use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

/// Event to publish: a payload and, optionally, a name, a coalescing key and a time to live.
///
/// Immutable; cloning shares the payload.
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

/// How a payload is to be read, and so how it is written on a text wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// UTF-8 text: a JSON string in the event object.
    Text,
    /// A JSON value on one line: itself in the event object.
    Json,
    /// Any bytes: base64 where only text can go.
    Binary,
}

/// The rarer properties, kept out of line so that a plain event stays small.
#[derive(Clone, Default, PartialEq, Eq)]
struct Extra {
    name: Option<Box<str>>,
    key: Option<Box<str>>,
    ttl: Option<Duration>,
}

impl Event {
    /// The longest name and the longest key, in bytes.
    pub const MAX_LABEL: usize = 128;

    /// The deepest nesting of arrays and objects in a JSON payload: 124 levels. A poll's reply has three levels around the
    /// payload, and many parsers, serde_json among them, read at most 127.
    pub const MAX_JSON_DEPTH: usize = 124;

    /// An event with a text payload.
    pub fn text(text: impl Into<String>) -> Self {
        Self::plain(Bytes::from(text.into().into_boxed_str().into_boxed_bytes()), EventKind::Text)
    }

    /// An event with a text payload that is already in `Bytes`; it must be UTF-8.
    pub fn utf8(text: impl Into<Bytes>) -> Result<Self, EventError> {
        let text = text.into();
        match std::str::from_utf8(&text) {
            Ok(_) => Ok(Self::plain(text, EventKind::Text)),
            Err(error) => Err(EventError::NotUtf8 { at: error.valid_up_to() }),
        }
    }

    /// An event with a binary payload.
    ///
    /// It is sent as base64 in text. The JSON event object says so by `"encoding":"base64"`. Server-sent
    /// events carry the base64 text alone, with nothing that says so: clients of binary events should ask for
    /// `?format=object`, or know the encoding by the event's name. Raw WebSocket frames are binary frames.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::plain(bytes.into(), EventKind::Binary)
    }

    /// An event whose payload is `value` as JSON.
    ///
    /// # Errors
    ///
    /// [`EventError::NotJson`] if the value has no JSON form, and the errors of [`json_text`](Self::json_text): a value
    /// may be nested too deep, and a `RawValue` may hold any of them.
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<Self, EventError> {
        let text = serde_json::to_vec(value).map_err(|error| EventError::NotJson { reason: error.to_string() })?;
        super::json::check(&text)?;
        // Without the buffer's spare capacity, which nothing counts.
        Ok(Self::plain(one_line(text.into_boxed_slice().into()), EventKind::Json))
    }

    /// An event whose payload is this JSON text, checked. Line breaks between tokens become spaces, so that the value
    /// fits on one line of any wire.
    ///
    /// The value becomes part of replies that hold other events too, so it must be one that common parsers read.
    /// Integers of any length up to the largest double pass.
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
        // IgnoredAny does not look at the bytes inside strings.
        if let Err(error) = std::str::from_utf8(&text) {
            return Err(EventError::NotUtf8 { at: error.valid_up_to() });
        }
        super::json::check(&text)?;
        Ok(Self::plain(one_line(text), EventKind::Json))
    }

    /// Names the event: SSE `event:`, `"event"` in the event object. 1 to 128 bytes, no control characters, not
    /// beginning with `tidings.`, which is ours. `message` is every unnamed event's name, so it is not kept.
    ///
    /// A browser's `EventSource` also calls `onerror` for an event named `error`, and `onopen` for one named `open`, with the
    /// event's `data`. The names are sent as they are, since other clients tell them apart and APIs use them. Use other
    /// names for pages, or check `event instanceof MessageEvent` in `onerror`; with `?format=object` the name is in the
    /// object, and the block has none. Other names, such as `close` and `abort`, have no meaning to an `EventSource`. Some
    /// libraries give a meaning to a name that the page chooses, such as htmx with `sse-close`.
    pub fn with_name(mut self, name: &str) -> Result<Self, EventError> {
        check_label(name)?;
        if name.starts_with("tidings.") {
            return Err(EventError::ReservedName);
        }
        self.extra_mut().name = (name != "message").then(|| name.into());
        Ok(self)
    }

    /// Says what the event is about: of a topic's unread events with one key, the newest is enough for a subscriber that
    /// [conflates](crate::Overflow::Latest). 1 to 128 bytes, no control characters.
    pub fn with_key(mut self, key: &str) -> Result<Self, EventError> {
        check_label(key)?;
        self.extra_mut().key = Some(key.into());
        Ok(self)
    }

    /// Gives the event a time to live, counted from its publication by the hub's clock.
    ///
    /// From then on it is delivered to nobody, live or replayed, wherever it stands among others, and it is no gap: it is
    /// as if the subscriber had read it, and counts as `expired`. [`Start::Last`](crate::Start::Last) does not count it.
    /// What was handed out before, as a batch or as bytes, stays as it is. An event with no time to live at all
    /// (`Duration::ZERO`) is published, and delivered to nobody.
    ///
    /// It leaves history when it is the oldest there; behind an event that lives, it stays and counts against
    /// [`Retention`](crate::Retention) until its turn comes.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.extra_mut().ttl = Some(ttl);
        self
    }

    /// The payload's bytes, as published.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// How the payload is to be read.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        self.kind
    }

    /// The payload as text, for [`EventKind::Text`] and [`EventKind::Json`].
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self.kind {
            EventKind::Binary => None,
            EventKind::Text | EventKind::Json => std::str::from_utf8(&self.payload).ok(),
        }
    }

    /// The event's name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.extra.as_ref()?.name.as_deref()
    }

    /// The event's coalescing key.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.extra.as_ref()?.key.as_deref()
    }

    /// The event's time to live.
    #[must_use]
    pub fn time_to_live(&self) -> Option<Duration> {
        self.extra.as_ref()?.ttl
    }

    /// Returns the bytes that the event counts against a limit: those of payload, name and key.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.payload.len() + self.name().map_or(0, str::len) + self.key().map_or(0, str::len)
    }

    fn plain(payload: Bytes, kind: EventKind) -> Self {
        Self { payload, kind, extra: None }
    }

    fn extra_mut(&mut self) -> &mut Extra {
        Arc::make_mut(self.extra.get_or_insert_default())
    }
}

/// Why something can't be an event, or part of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// Text that is not UTF-8.
    #[error("the text is not UTF-8 from byte {at} on; publish other bytes as binary")]
    NotUtf8 {
        /// Index of the first wrong byte.
        at: usize,
    },
    /// Text that is not JSON, or a value that has no JSON form.
    #[error("not JSON: {reason}")]
    NotJson {
        /// Message of the parser or the serializer.
        reason: String,
    },
    /// A JSON string or name with one half of a surrogate pair, for which there is no text.
    #[error(
        "JSON string has an unpaired surrogate at byte {at}: escape a character beyond U+FFFF as a pair, high half first"
    )]
    UnpairedSurrogate {
        /// Offset of the escape, in bytes.
        at: usize,
    },
    /// JSON that is nested deeper than [`Event::MAX_JSON_DEPTH`].
    #[error("JSON is nested deeper than 124 levels at byte {at}: publish a flatter value, or the text as a string")]
    JsonTooDeep {
        /// Offset of the first bracket that is too deep, in bytes.
        at: usize,
    },
    /// A JSON number that is larger than the largest double.
    #[error("JSON number at byte {at} is too large for a double: publish it as a string")]
    JsonNumberTooLarge {
        /// Offset of the number, in bytes.
        at: usize,
    },
    /// An empty name or key.
    #[error("an event's name or key has at least one byte")]
    EmptyLabel,
    /// A name or key longer than [`Event::MAX_LABEL`].
    #[error("an event's name or key is at most 128 bytes, this one has {len}")]
    LongLabel {
        /// Its length in bytes.
        len: usize,
    },
    /// A name or key with a control character.
    #[error("an event's name or key has no control characters")]
    Control,
    /// A name that begins with `tidings.`.
    #[error("names that begin with 'tidings.' are the library's own")]
    ReservedName,
}

/// JSON on one line. A raw line break can't stand inside a JSON string (RFC 8259 §7), so each is insignificant space.
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
            .field("ttl", &self.time_to_live())
            .finish()
    }
}
