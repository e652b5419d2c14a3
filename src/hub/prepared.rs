use std::sync::Arc;

use crate::contract::{PublishError, Receipt};
use crate::hub::budget::budget::Reserved;
use crate::hub::holds::next_event;
use crate::hub::local::LocalHub;
use crate::hub::log::log::Log;
use crate::hub::publish_round::PublishRound;
use crate::hub::shared::Shared;
use crate::model::{Event, Topic};

/// Events that a hub accepts, and for which it has room: they can be stored elsewhere before they are published.
///
/// Only one thread publishes to the hub and ends its topics. So the hub still accepts the events afterwards.
pub(crate) struct Prepared<'a> {
    shared: &'a Shared,
    events: Vec<(Arc<Log>, Event)>,
    _reserved: Option<Reserved<'a>>,
}

impl LocalHub {
    /// Checks events, and reserves room for them.
    pub(crate) fn prepare(&self, events: Vec<(Topic, Event)>) -> Result<Prepared<'_>, PublishError> {
        let shared = self.shared();
        events.iter().try_for_each(|(_, event)| shared.check(event))?;
        let now = shared.now();
        let events = shared.with_logs(events, now)?;
        let _reserved = shared.make_room(events.iter().map(|(log, event)| (log, event)))?;
        drop(shared.sequence_for(events.iter().map(|(log, event)| (log, event)), now)?);
        Ok(Prepared { shared, events, _reserved })
    }
}

impl Prepared<'_> {
    /// Gives up the room, and the topics that were created for the events.
    #[cfg(feature = "disk")]
    pub(crate) fn refuse(self) {
        self.events.iter().for_each(|(log, _)| self.shared.registry.release(log));
    }

    /// Publishes the events, with the next sequences.
    pub(crate) fn publish(self) -> Result<Vec<Receipt>, PublishError> {
        let Self { shared, events, _reserved } = self;
        let round = PublishRound::new(shared);
        let mut all = Vec::with_capacity(events.len());
        let mut sequencer = shared.sequence()?;
        for (log, event) in events {
            all.push(round.append(&mut sequencer, log, event)?);
            next_event();
        }
        let marking = round.enter_unmarked(&all);
        shared.published.advance(sequencer.last);
        drop(sequencer);
        round.finish(&mut all, marking);
        Ok(all.into_iter().map(|appended| appended.receipt).collect())
    }
}
