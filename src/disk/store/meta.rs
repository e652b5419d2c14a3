use crate::disk::store::codec::{ValueReader, ValueWriter};
use crate::disk::store::error::DiskError;
use crate::disk::store::keys;

/// Position and counters of a store. They are written with each batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// Current epoch.
    pub(super) epoch: u64,
    /// Last sequence.
    pub(super) sequence: u64,
    /// No record up to this sequence is retained.
    pub(super) floor: u64,
    /// Highest trimmed sequence of all topics.
    pub(super) trimmed: u64,
    /// Highest sequence of a topic that was forgotten.
    pub(super) forgotten: u64,
    /// Highest sequence of a forgotten removal of all topics.
    pub(super) forgotten_removal: u64,
    /// Highest sequence of a forgotten removal of a topic that was forgotten.
    pub(super) forgotten_state: u64,
    /// Bytes of the rows of history.
    pub(super) bytes: u64,
    /// Number of batches that trimmed events.
    pub(super) trims: u64,
    /// Id of the topic that was created last.
    pub(super) last_topic: u32,
    /// Number of topics.
    pub(super) topics: u64,
    /// Number of ends that are remembered.
    pub(super) ends: u64,
    /// Number of records in the rows of the order.
    pub(super) ordered: u64,
    /// Number of those that are retained.
    pub(super) retained: u64,
}

impl Head {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut value = ValueWriter::new(64);
        let forgotten = [self.forgotten, self.forgotten_removal, self.forgotten_state];
        for number in [self.epoch, self.sequence, self.floor, self.trimmed].into_iter().chain(forgotten) {
            value.number(number);
        }
        for number in
            [self.bytes, self.trims, u64::from(self.last_topic), self.topics, self.ends, self.ordered, self.retained]
        {
            value.number(number);
        }
        value.seal(keys::HEAD)
    }

    pub(super) fn decode(value: &[u8]) -> Result<Self, DiskError> {
        let mut value = ValueReader::open(keys::HEAD, value).map_err(DiskError::damaged)?;
        Self::fields(&mut value).ok_or_else(|| DiskError::damaged("head is incomplete"))
    }

    fn fields(value: &mut ValueReader<'_>) -> Option<Self> {
        Some(Self {
            epoch: value.number()?,
            sequence: value.number()?,
            floor: value.number()?,
            trimmed: value.number()?,
            forgotten: value.number()?,
            forgotten_removal: value.number()?,
            forgotten_state: value.number()?,
            bytes: value.number()?,
            trims: value.number()?,
            last_topic: u32::try_from(value.number()?).ok()?,
            topics: value.number()?,
            ends: value.number()?,
            ordered: value.number()?,
            retained: value.number()?,
        })
    }
}
