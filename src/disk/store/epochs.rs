use crate::disk::store::codec::{ValueReader, ValueWriter};
use crate::disk::store::error::DiskError;
use crate::disk::store::keys;

/// EpochList of a store, the oldest first, each with its last sequence. The last entry is the current epoch: its last
/// sequence is the head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct EpochList(Vec<(u64, u64)>);

/// Maximum number of epochs.
pub(super) const MOST: usize = 4_096;

impl EpochList {
    /// Begins an epoch after the head. Returns its number: the given one, or a greater one if the list contains it.
    pub(super) fn begin(&mut self, mut epoch: u64, head: u64) -> u64 {
        while self.0.iter().any(|&(other, _)| other == epoch) {
            epoch = epoch.wrapping_add(1);
        }
        if let Some((_, last)) = self.0.last_mut() {
            *last = head;
        }
        self.0.push((epoch, head));
        let surplus = self.0.len().saturating_sub(MOST);
        self.0.drain(..surplus);
        epoch
    }

    /// Removes the epochs that end before the oldest event and before the newest trimmed one. Returns whether there
    /// were any. The current epoch stays.
    ///
    /// A cursor at the end of an epoch of which all is trimmed has missed nothing until a later event is trimmed.
    pub(super) fn prune(&mut self, oldest: u64, trimmed: u64) -> bool {
        let current = self.0.len().saturating_sub(1);
        let gone = self.0[..current].partition_point(|&(_, last)| last < oldest && last < trimmed);
        self.0.drain(..gone);
        gone > 0
    }

    /// Returns the epochs with their last sequences.
    pub(super) fn list(&self, head: u64) -> Vec<(u64, u64)> {
        let mut list = self.0.clone();
        if let Some((_, last)) = list.last_mut() {
            *last = head;
        }
        list
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut value = ValueWriter::new(8 + 16 * self.0.len());
        for &(epoch, last) in &self.0 {
            value.number(epoch);
            value.number(last);
        }
        value.seal(keys::EPOCHS)
    }

    pub(super) fn decode(value: &[u8]) -> Result<Self, DiskError> {
        let mut value = ValueReader::open(keys::EPOCHS, value).map_err(DiskError::damaged)?;
        let mut epochs = Vec::new();
        while !value.is_empty() {
            let read = value.number().zip(value.number());
            epochs.push(read.ok_or_else(|| DiskError::damaged("list of epochs is incomplete"))?);
        }
        Ok(Self(epochs))
    }
}
