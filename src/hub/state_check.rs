use std::collections::BTreeMap;
use std::sync::Arc;

use crate::contract::PublishError;
use crate::hub::budget::footprint;
use crate::hub::holds::next_event;
use crate::hub::log::log::Log;
use crate::hub::shared::Shared;
use crate::model::{Event, StateLimits, Topic};

/// Change of one topic's state by the events of a batch that were checked.
#[derive(Default)]
struct Trial<'a> {
    /// Weights of the newest events of these keys; `None` for removed ones.
    newest: BTreeMap<&'a str, Option<usize>>,
    keys: isize,
    weight: isize,
}

/// Check of the events of a batch, in their order.
#[derive(Default)]
struct Trials<'a> {
    by_slot: BTreeMap<u32, Trial<'a>>,
    /// Bytes that the events add to the states of all topics, at most.
    bytes: u64,
    /// Number of topics that get a state.
    topics: usize,
}

/// Events that keyed topics do not take.
impl Shared {
    /// Returns the error of the first event that its topic does not take: one without a key or with a time to live for a keyed
    /// topic, one for which the state has no room, or a removal for another topic. Called under the sequencer, so that no
    /// other event takes the room.
    #[cold]
    pub(crate) fn check_states<'a>(
        &self,
        events: impl Iterator<Item = (&'a Arc<Log>, &'a Event)>,
    ) -> Result<(), PublishError> {
        let mut trials = Trials::default();
        for (log, event) in events {
            next_event();
            let Some(topic) = log.name.as_topic() else {
                continue;
            };
            let limits = log.state().retention.state;
            match (limits, event.key()) {
                (None, _) if event.is_removal() => return Err(PublishError::NotKeyed(topic.clone())),
                (None, _) => {}
                (Some(_), None) => return Err(PublishError::KeyRequired(topic.clone())),
                (Some(_), Some(_)) if event.ttl().is_some() => {
                    return Err(PublishError::TtlUnsupported(topic.clone()));
                }
                (Some(limits), Some(key)) => {
                    trials.begin(log);
                    if !trials.fits(self, log, limits, key, event) {
                        return Err(PublishError::StateFull { topic: Topic::clone(topic) });
                    }
                }
            }
        }
        let (topics, limit) = (trials.topics, self.pool.max_topics);
        // States are not evicted, so no topic gives way to another.
        match self.budget.topics_with_state.load().saturating_add(topics as u64) > limit as u64 && topics > 0 {
            true => Err(PublishError::TooManyTopics { topics, limit }),
            false => Ok(()),
        }
    }
}

impl<'a> Trials<'a> {
    /// Counts the topic if it has no state yet.
    fn begin(&mut self, log: &Log) {
        if !self.by_slot.contains_key(&log.slot) && log.state().keyed().is_none() {
            self.topics += 1;
            self.bytes += footprint::topic_with_state(&log.name) as u64;
        }
    }

    /// Adds an event. Returns whether the state of its topic has room for it. A removal always has, and so has an event that is
    /// no larger than the one that it replaces.
    fn fits(&mut self, shared: &Shared, log: &Log, limits: StateLimits, key: &'a str, event: &'a Event) -> bool {
        let trial = self.by_slot.entry(log.slot).or_default();
        let state = log.state();
        let keyed = state.keyed();
        let in_state = || keyed.and_then(|keyed| keyed.get(key)).map(|entry| entry.event.weight());
        let before = trial.newest.get(key).copied().unwrap_or_else(in_state);
        let (keys, weight) = keyed.map_or((0, 0), |keyed| (keyed.keys() as isize, keyed.weight() as isize));
        drop(state);
        let after = (!event.is_removal()).then(|| event.weight());
        trial.newest.insert(key, after);
        trial.keys += isize::from(after.is_some()) - isize::from(before.is_some());
        trial.weight += after.unwrap_or(0) as isize - before.unwrap_or(0) as isize;
        self.bytes += footprint::state(event) as u64;
        if after.is_none() || after <= before {
            return true;
        }
        let has_room = |used: isize, limit: usize| used <= isize::try_from(limit).unwrap_or(isize::MAX);
        (before.is_some() || has_room(keys + trial.keys, limits.keys))
            && has_room(weight + trial.weight, limits.bytes)
            && shared.budget.may_keep(self.bytes)
    }
}
