use crate::contract::PublishError;
use crate::hub::local::LocalHub;
use crate::hub::publish_round::PublishRound;
use crate::model::{EndReason, Event, Pattern, Topic};

/// Events and ends of a log elsewhere, which have sequences already. Only one thread adds them, and the hub has no other
/// publisher.
impl LocalHub {
    /// Publishes events at their sequences, which increase. The hub has everything up to `up_to` then.
    pub(crate) fn publish_at(&self, events: Vec<(u64, Topic, Event)>, up_to: u64) -> Result<(), PublishError> {
        let shared = self.shared();
        let round = PublishRound::new(shared);
        let mut placed = Vec::with_capacity(events.len());
        for (sequence, topic, event) in events {
            let log = match shared.registry.log(&topic, round.now) {
                // The topic continues after its end.
                Err(PublishError::Finished(_)) => {
                    shared.registry.forget_end_of(&topic);
                    shared.registry.log(&topic, round.now)?
                }
                log => log?,
            };
            placed.push((sequence, log, event));
        }
        let reserved = shared.make_room(placed.iter().map(|(_, log, event)| (log, event)));
        let _reserved = reserved.map_err(|error| shared.refuse(placed.iter().map(|(_, log, _)| log), error))?;
        let mut all = Vec::with_capacity(placed.len());
        let mut sequencer = shared.sequence()?;
        for (sequence, log, event) in placed {
            sequencer.last = sequence - 1;
            all.push(round.append(&mut sequencer, log, event)?);
        }
        let marking = round.enter_unmarked(&all);
        sequencer.last = up_to.max(sequencer.last);
        shared.published.advance(sequencer.last);
        drop(sequencer);
        round.finish(&mut all, marking);
        Ok(())
    }

    /// Ends a topic at a sequence.
    pub(crate) fn finish_at(&self, topic: &Topic, sequence: u64, reason: EndReason) -> Result<(), PublishError> {
        let shared = self.shared();
        let round = PublishRound::new(shared);
        let mut sequencer = shared.sequence()?;
        sequencer.last = sequence - 1;
        let (_, appended) = round.end(&mut sequencer, topic, reason);
        let mut all = Vec::from_iter(appended);
        let marking = round.enter_unmarked(&all);
        sequencer.last = sequence;
        shared.published.advance(sequence);
        drop(sequencer);
        round.finish(&mut all, marking);
        Ok(())
    }

    /// Returns whether a topic that the pattern matches may keep the newest event of each key.
    pub(crate) fn may_keep_state(&self, name: &Pattern) -> bool {
        let shared = self.shared();
        shared.has_keyed && shared.registry.may_be_keyed(name)
    }

    /// Ends a topic with a sequence at which it ended before the hub began.
    pub(crate) fn restore_end(&self, topic: &Topic, sequence: u64, reason: EndReason) {
        let shared = self.shared();
        drop(shared.registry.finish(topic, sequence, reason, shared.now(), false));
    }
}
