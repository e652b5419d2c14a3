use crate::hub::budget::budget::Charge;
use crate::hub::log::encode_cache::CacheReader;
use crate::hub::log::log::Log;
use crate::hub::shared::Shared;

/// Reader of a slice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SliceReader<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) log: &'a Log,
    /// Whether the reader has waited for the events. Other readers may follow one that has just come, as polls do.
    pub(crate) waited: bool,
}

impl CacheReader for SliceReader<'_> {
    fn is_alone(self) -> bool {
        self.waited && self.log.subscriber_count.load() == 1
    }

    fn subscriptions(self) -> u32 {
        self.log.subscriber_count.load()
    }

    fn charge(self, bytes: usize) -> Option<Charge> {
        self.shared.charge_cache(bytes)
    }
}
