//! Values of a hub that it continues from a history outside of its memory.

use crate::contract::Entry;
use crate::hub::budget::footprint;
use crate::hub::local::LocalHub;
use crate::hub::log::keyed_state::KeyedState;
use crate::hub::log::log::Log;
use crate::hub::shared::Shared;
use crate::model::{Event, StateLimits, Topic};

/// Limit that the state of a topic exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExceededLimit {
    /// Name of the setting.
    pub(crate) setting: &'static str,
    /// Its value.
    pub(crate) value: usize,
}

impl LocalHub {
    /// Puts an event from before the hub began into the state of its topic. The events of a topic are put in their order.
    ///
    /// Removals are left out: a client that needs one has a cursor from before the hub began, and reads from the history.
    pub(crate) fn restore_newest(&self, topic: &Topic, sequence: u64, event: Event) -> Result<(), ExceededLimit> {
        let shared = self.shared();
        let at = shared.now();
        let closed = ExceededLimit { setting: "a hub that is open", value: 1 };
        let log = shared.registry.log(topic, at).map_err(|_| closed)?;
        let Some(limits) = log.state().retention.state.filter(|_| !event.is_removal()) else { return Ok(()) };
        shared.check_restored(&log, limits, &event)?;
        log.restore_newest(shared.published.load(), &Entry { sequence, at, event });
        Ok(())
    }
}

impl Shared {
    fn check_restored(&self, log: &Log, limits: StateLimits, event: &Event) -> Result<(), ExceededLimit> {
        let used = log.state().keyed().map(|keyed| (keyed.keys(), keyed.weight()));
        let (keys, weight) = used.unwrap_or_default();
        let topic = if used.is_none() { footprint::topic_with_state(&log.name) } else { 0 };
        let topics = self.budget.topics_with_state.load() + u64::from(used.is_none());
        let checks = [
            (keys < limits.keys, "StateLimits::keys", limits.keys),
            (weight.saturating_add(event.weight()) <= limits.bytes, "StateLimits::bytes", limits.bytes),
            (self.budget.may_keep((topic + footprint::state(event)) as u64), "half of LocalHubBuilder::max_bytes", {
                self.budget.limit / 2
            }),
            (topics <= self.pool.max_topics as u64, "LocalHubBuilder::max_topics", self.pool.max_topics),
        ];
        let exceeded = checks.into_iter().find(|(has_room, ..)| !has_room);
        exceeded.map_or(Ok(()), |(_, setting, value)| Err(ExceededLimit { setting, value }))
    }
}

impl Log {
    /// Puts an event into the state. Everything of the topic up to `began` has left memory.
    fn restore_newest(&self, began: u64, entry: &Entry) {
        let mut state = self.state();
        if state.keyed().is_none() {
            (state.evicted, state.unreplaced, state.gone) = (began, began, began);
            let keyed = KeyedState::new(&self.name, began, &self.pool.budget);
            state.history_mut().state = Some(Box::new(keyed));
        }
        let replaced = state.history_mut().state.as_mut().and_then(|keyed| keyed.put(entry));
        drop(state);
        drop(replaced);
    }
}
