//! Values of the rows of the order: the topics of successive records.

use crate::disk::store::codec::{ValueReader, ValueWriter};
use crate::disk::store::error::DiskError;
use crate::disk::store::keys;
use crate::disk::store::meta::Head;
use crate::disk::store::rows::Batch;

/// Maximum number of records in a row.
pub(super) const MOST: usize = 1_024;

/// Row of the order that is being written. Its value has the step of the sequence, and the topic with a bit for an end.
pub(super) struct OrderWriter {
    value: ValueWriter,
    pub(super) count: usize,
    sequence: u64,
}

impl Default for OrderWriter {
    fn default() -> Self {
        Self { value: ValueWriter::new(64), count: 0, sequence: 0 }
    }
}

/// Record in a row of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OrderEntry {
    pub(super) sequence: u64,
    pub(super) topic: u32,
    pub(super) is_end: bool,
}

impl OrderWriter {
    pub(super) fn add(&mut self, entry: OrderEntry) {
        self.value.number(entry.sequence - self.sequence);
        self.value.number(u64::from(entry.topic) << 1 | u64::from(entry.is_end));
        self.sequence = entry.sequence;
        self.count += 1;
    }

    /// Returns the key and the value.
    pub(super) fn seal(self) -> ([u8; 9], Vec<u8>) {
        let key = keys::order(self.sequence);
        (key, self.value.seal(&key))
    }

    /// Writes the row, if it has a record, and counts it.
    pub(super) fn write(self, batch: &mut Batch, head: &mut Head) {
        let count = self.count as u64;
        if count > 0 {
            let (key, value) = self.seal();
            head.ordered += count;
            head.bytes += bytes(value.len());
            batch.put(key, value);
        }
    }
}

/// Returns the records of a row of the order.
pub(super) fn decode(key: &[u8], value: &[u8]) -> Result<Vec<OrderEntry>, DiskError> {
    let last = keys::sequence_of(key);
    let damaged = |detail: &str| DiskError::Damaged { sequence: last, detail: detail.to_owned() };
    let mut value = ValueReader::open(key, value).map_err(damaged)?;
    let (mut entries, mut sequence) = (Vec::new(), 0_u64);
    while !value.is_empty() {
        let mut read = || {
            sequence = sequence.checked_add(value.number()?)?;
            let topic = value.number()?;
            Some(OrderEntry { sequence, topic: u32::try_from(topic >> 1).ok()?, is_end: topic & 1 == 1 })
        };
        entries.push(read().ok_or_else(|| damaged("row of the order is incomplete"))?);
    }
    if entries.is_empty() || Some(sequence) != last {
        return Err(damaged("row of the order is incomplete"));
    }
    Ok(entries)
}

/// Returns the bytes of a row that count in the budget.
pub(super) fn bytes(value: usize) -> u64 {
    value as u64 + 9
}
