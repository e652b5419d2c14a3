//! Values of the rows: a CRC-32 over key and value, a version, the fields.

use std::time::Duration;

use bytes::Bytes;

use crate::disk::store::error::DiskError;
use crate::disk::store::keys;
use crate::model::{EndReason, Event, EventKind};

/// Version of all values.
const VERSION: u8 = 1;
const KINDS: [EventKind; 4] = [EventKind::Text, EventKind::Json, EventKind::Binary, EventKind::Removal];
/// Kind of the value of an end, after those of events.
const END: u8 = 4;

/// Row of an event or end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// Time in milliseconds since 1970.
    pub(super) at: u64,
    /// Number of the row in its topic.
    pub(super) number: u64,
    /// Sum of the weights of the topic's events up to this one.
    pub(super) weight: u64,
    /// Event or end.
    pub(super) body: Body,
}

/// Content of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    Event(Event),
    End(EndReason),
}

impl Row {
    pub(super) fn encode(&self, key: &[u8]) -> Vec<u8> {
        let mut value = ValueWriter::new(32 + self.body.len());
        match &self.body {
            Body::Event(event) => {
                let labels = [event.name(), event.key(), event.tag()];
                value.byte(KINDS.iter().position(|&kind| kind == event.kind()).unwrap_or(0) as u8);
                let flag = |place: usize, is_set: bool| u8::from(is_set) << place;
                let of_labels: u8 = labels.iter().enumerate().map(|(place, label)| flag(place, label.is_some())).sum();
                value.byte(of_labels | flag(3, event.time_to_live().is_some()));
                self.encode_numbers(&mut value);
                for label in labels.into_iter().flatten() {
                    value.label(label);
                }
                if let Some(ttl) = event.time_to_live() {
                    value.number(ttl.as_secs());
                    value.number(u64::from(ttl.subsec_nanos()));
                }
                value.bytes.extend_from_slice(event.payload());
            }
            Body::End(reason) => {
                value.byte(END);
                value.byte(EndReason::ALL.iter().position(|other| other == reason).unwrap_or(0) as u8);
                self.encode_numbers(&mut value);
            }
        }
        value.seal(key)
    }

    pub(super) fn decode(key: &[u8], value: &[u8]) -> Result<Self, DiskError> {
        let sequence = keys::sequence_of(key);
        let damaged = |detail: &str| DiskError::Damaged { sequence, detail: detail.to_owned() };
        let mut value = ValueReader::open(key, value).map_err(damaged)?;
        Self::fields(&mut value).ok_or_else(|| damaged("event has a form that this version does not read"))
    }

    fn encode_numbers(&self, value: &mut ValueWriter) {
        value.number(self.at);
        value.number(self.number);
        value.number(self.weight);
    }

    fn fields(value: &mut ValueReader<'_>) -> Option<Self> {
        let (kind, flags) = (value.byte()?, value.byte()?);
        let (at, number, weight) = (value.number()?, value.number()?, value.number()?);
        let body = if kind == END {
            Body::End(*EndReason::ALL.get(usize::from(flags))?)
        } else {
            let mut labels = [None; 3];
            for (place, label) in labels.iter_mut().enumerate() {
                if flags & 1 << place != 0 {
                    *label = Some(value.label()?);
                }
            }
            let has_ttl = flags & 1 << 3 != 0;
            let ttl =
                if has_ttl { Some(Duration::new(value.number()?, u32::try_from(value.number()?).ok()?)) } else { None };
            let kind = *KINDS.get(usize::from(kind))?;
            if matches!(kind, EventKind::Text | EventKind::Json) {
                std::str::from_utf8(value.rest).ok()?;
            }
            Body::Event(Event::from_checked(Bytes::copy_from_slice(value.rest), kind, labels, ttl))
        };
        Some(Self { at, number, weight, body })
    }
}

impl Body {
    /// Returns the number of bytes that count against the retention.
    pub(super) fn weight(&self) -> u64 {
        match self {
            Self::Event(event) => event.weight() as u64,
            Self::End(_) => 0,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Event(event) => event.weight(),
            Self::End(_) => 0,
        }
    }
}

/// Value that is being written.
pub(super) struct ValueWriter {
    bytes: Vec<u8>,
}

impl ValueWriter {
    pub(super) fn new(capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(capacity);
        bytes.extend_from_slice(&[0, 0, 0, 0, VERSION]);
        Self { bytes }
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// Writes a number in 7-bit groups, the lowest first.
    pub(super) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    /// Writes a text with its length before it.
    pub(super) fn label(&mut self, label: &str) {
        self.number(label.len() as u64);
        self.bytes.extend_from_slice(label.as_bytes());
    }

    /// Writes the checksum and returns the value.
    pub(super) fn seal(mut self, key: &[u8]) -> Vec<u8> {
        let crc = crc(key, &self.bytes[4..]);
        self.bytes[..4].copy_from_slice(&crc.to_le_bytes());
        self.bytes
    }
}

/// Rest of a value that is being read.
pub(super) struct ValueReader<'a> {
    rest: &'a [u8],
}

impl<'a> ValueReader<'a> {
    /// Checks the checksum and the version. Returns the reason if one is wrong.
    pub(super) fn open(key: &[u8], value: &'a [u8]) -> Result<Self, &'static str> {
        let (sum, rest) = value.split_first_chunk().ok_or("value is too short")?;
        if u32::from_le_bytes(*sum) != crc(key, rest) {
            return Err("checksum of a value is wrong");
        }
        match rest.split_first() {
            Some((&VERSION, rest)) => Ok(Self { rest }),
            _ => Err("value was written by another version"),
        }
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for place in 0..10 {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(7 * place)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    pub(super) fn label(&mut self) -> Option<&'a str> {
        let len = usize::try_from(self.number()?).ok()?;
        let (label, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        std::str::from_utf8(label).ok()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

pub(super) fn crc(key: &[u8], value: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(key);
    crc.update(value);
    crc.finalize()
}
