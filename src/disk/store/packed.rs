//! Values of the rows of events: successive records of one topic.

use std::time::Duration;

use bytes::Bytes;

use crate::disk::store::codec::{ValueReader, ValueWriter};
use crate::disk::store::error::DiskError;
use crate::disk::store::keys;
use crate::disk::store::record::Record;
use crate::model::{EndReason, Event, EventKind, Topic};

const KINDS: [EventKind; 4] = [EventKind::Text, EventKind::Json, EventKind::Binary, EventKind::Removal];
/// Kind of an end, after those of events.
const END: u8 = 4;
/// Bits of the kind. The flags follow.
const KIND_BITS: u32 = 3;

/// Row that is being written.
///
/// Its value has the number and the weight before the first record. Then, for each record: kind and flags, the step of
/// the sequence, the step of the time, labels, time to live, payload.
pub(super) struct RowWriter {
    value: ValueWriter,
    sequence: u64,
    at: u64,
}

impl RowWriter {
    /// Begins a row after a record with a number and a sum of weights.
    pub(super) fn new(number: u64, weight: u64) -> Self {
        let mut value = ValueWriter::new(256);
        value.number(number);
        value.number(weight);
        Self { value, sequence: 0, at: 0 }
    }

    pub(super) fn event(&mut self, sequence: u64, at: u64, event: &Event) {
        let labels = [event.name(), event.key(), event.tag()];
        let kind = KINDS.iter().position(|&kind| kind == event.kind()).unwrap_or(0) as u8;
        let flags = labels.iter().rev().fold(0, |flags, label| flags << 1 | u8::from(label.is_some()));
        let flags = flags | u8::from(event.ttl().is_some()) << 3;
        self.begin(kind | flags << KIND_BITS, sequence, at);
        for label in labels.into_iter().flatten() {
            self.value.label(label);
        }
        if let Some(ttl) = event.ttl() {
            self.value.number(ttl.as_secs());
            self.value.number(u64::from(ttl.subsec_nanos()));
        }
        self.value.slice(event.payload());
    }

    pub(super) fn end(&mut self, sequence: u64, at: u64, reason: EndReason) {
        let reason = EndReason::ALL.iter().position(|&other| other == reason).unwrap_or(0) as u8;
        self.begin(END | reason << KIND_BITS, sequence, at);
    }

    fn begin(&mut self, kind: u8, sequence: u64, at: u64) {
        self.value.byte(kind);
        self.value.number(sequence - self.sequence);
        // The sign is the lowest bit, since a clock may be set back.
        let step = at.wrapping_sub(self.at) as i64;
        self.value.number((step << 1 ^ step >> 63) as u64);
        (self.sequence, self.at) = (sequence, at);
    }

    /// Returns the size, in bytes.
    pub(super) fn len(&self) -> usize {
        self.value.len()
    }

    /// Returns the key and the value.
    pub(super) fn seal(self, topic: u32) -> ([u8; 13], Vec<u8>) {
        let key = keys::event(topic, self.sequence);
        (key, self.value.seal(&key))
    }
}

/// Records of a row, in ascending order.
pub(super) struct RowReader<'a> {
    value: ValueReader<'a>,
    /// Sequence of the last record, from the key.
    last: u64,
    /// Position, number and weight of the record before.
    sequence: u64,
    at: u64,
    pub(super) number: u64,
    pub(super) weight: u64,
}

/// Record of a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowEntry<'a> {
    pub(super) sequence: u64,
    /// Time in milliseconds since 1970.
    pub(super) at: u64,
    /// Number of the event in its topic. An end has that of the event before it.
    pub(super) number: u64,
    /// Sum of the weights of the topic's events up to this one.
    pub(super) weight: u64,
    pub(super) body: Body<'a>,
}

/// Content of a record.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body<'a> {
    Event { kind: EventKind, labels: [Option<&'a str>; 3], ttl: Option<Duration>, payload: &'a [u8] },
    End(EndReason),
}

/// Opens a row: compares its checksum.
pub(super) fn entries<'a>(key: &[u8], value: &'a [u8]) -> Result<RowReader<'a>, DiskError> {
    let last = keys::sequence_of(key).unwrap_or(0);
    let damaged = |detail: &str| DiskError::Damaged { sequence: Some(last), detail: detail.to_owned() };
    let mut value = ValueReader::open(key, value).map_err(damaged)?;
    let numbers = value.number().zip(value.number());
    let (number, weight) = numbers.ok_or_else(|| damaged("row of events is incomplete"))?;
    Ok(RowReader { value, last, sequence: 0, at: 0, number, weight })
}

/// Returns the last record of a row.
pub(super) fn last_entry<'a>(key: &[u8], value: &'a [u8]) -> Result<RowEntry<'a>, DiskError> {
    let incomplete = || DiskError::Damaged { sequence: keys::sequence_of(key), detail: "row is empty".to_owned() };
    entries(key, value)?.last().unwrap_or_else(|| Err(incomplete()))
}

impl<'a> Iterator for RowReader<'a> {
    type Item = Result<RowEntry<'a>, DiskError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.value.is_empty() && self.sequence == self.last {
            return None;
        }
        let (read, last) = (self.read(), self.last);
        if read.is_none() {
            // Nothing follows an error.
            (self.value, self.sequence) = (ValueReader::empty(), last);
        }
        let detail = || "event has a form that this version does not read".to_owned();
        Some(read.ok_or_else(|| DiskError::Damaged { sequence: Some(last), detail: detail() }))
    }
}

impl<'a> RowReader<'a> {
    fn read(&mut self) -> Option<RowEntry<'a>> {
        let value = &mut self.value;
        let first = value.byte()?;
        let (kind, flags) = (first & ((1 << KIND_BITS) - 1), first >> KIND_BITS);
        self.sequence = self.sequence.checked_add(value.number()?)?;
        let step = value.number()?;
        self.at = self.at.wrapping_add(step >> 1 ^ (step & 1).wrapping_neg());
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
            let ttl = if has_ttl { Some(duration(value)?) } else { None };
            let (kind, payload) = (*KINDS.get(usize::from(kind))?, value.slice()?);
            if matches!(kind, EventKind::Text | EventKind::Json) {
                std::str::from_utf8(payload).ok()?;
            }
            self.number += 1;
            Body::Event { kind, labels, ttl, payload }
        };
        self.weight = self.weight.checked_add(body.weight())?;
        let Self { sequence, at, number, weight, .. } = *self;
        Some(RowEntry { sequence, at, number, weight, body })
    }
}

fn duration(value: &mut ValueReader<'_>) -> Option<Duration> {
    let (secs, nanos) = (value.number()?, u32::try_from(value.number()?).ok()?);
    (nanos < 1_000_000_000).then(|| Duration::new(secs, nanos))
}

impl RowEntry<'_> {
    /// Returns whether the time to live of an event is over at a time in milliseconds since 1970.
    pub(super) fn has_expired(&self, now: u64) -> bool {
        match self.body {
            Body::Event { ttl: Some(ttl), .. } => u128::from(now.saturating_sub(self.at)) >= ttl.as_millis(),
            Body::Event { ttl: None, .. } | Body::End(_) => false,
        }
    }

    pub(super) fn record(&self, topic: &Topic) -> Record {
        let (sequence, topic, at) = (self.sequence, topic.clone(), self.at);
        match self.body {
            Body::Event { kind, labels, ttl, payload } => {
                let event = Event::from_checked(Bytes::copy_from_slice(payload), kind, labels, ttl);
                Record::Event { sequence, topic, at, event }
            }
            Body::End(reason) => Record::End { sequence, topic, at, reason },
        }
    }
}

impl<'a> Body<'a> {
    pub(super) fn is_event(&self) -> bool {
        matches!(self, Self::Event { .. })
    }

    /// Returns the key of an event that has one.
    pub(super) fn key(&self) -> Option<&'a str> {
        match self {
            Self::Event { labels: [_, key, _], .. } => *key,
            Self::End(_) => None,
        }
    }

    /// Returns the number of bytes that count against the retention, as [`Event::weight`] does.
    pub(super) fn weight(&self) -> u64 {
        match self {
            Self::Event { labels, payload, .. } => {
                (payload.len() + labels.iter().flatten().map(|label| label.len()).sum::<usize>()) as u64
            }
            Self::End(_) => 0,
        }
    }
}
