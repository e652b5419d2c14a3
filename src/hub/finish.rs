use std::borrow::Borrow;
use std::sync::Arc;

use crate::contract::PublishError;
use crate::hub::log::log::Log;
use crate::hub::publish_round::PublishRound;
use crate::hub::shared::{Sequencer, Shared};
use crate::hub::sync::MutexGuard;
use crate::model::{EndReason, Event, Topic, TopicEnd};

/// Ends of topics.
///
/// The end of a topic takes a sequence under the sequencer, as an event does. It is stored in the topic's log, if that is
/// in memory, and in the registry ([`EndedTopics`](crate::hub::topics::ended_topics::EndedTopics)), which keeps it when the
/// log is dropped and gives it to the next log of the topic.
///
/// A topic ends under the sequencer, and every log of a topic that has ended [refuses](Log::refuses) events. So does a log
/// that was dropped. A publisher that holds the sequencer and finds no refusing log among its own therefore knows that none
/// of its topics has ended or ends before it releases the sequencer.
impl Shared {
    /// Ends a topic, unless it has ended. Returns its end.
    pub(crate) fn finish(&self, topic: &Topic, reason: EndReason) -> Result<TopicEnd, PublishError> {
        let round = PublishRound::new(self);
        let mut sequencer = self.sequence()?;
        let (mark, appended) = round.end(&mut sequencer, topic, reason);
        let mut all = Vec::from_iter(appended);
        let marking = round.enter_unmarked(&all);
        self.published.advance(sequencer.last);
        drop(sequencer);
        round.finish(&mut all, marking);
        let cursor = self.cursor(mark.sequence);
        Ok(mark.at(cursor))
    }

    /// Returns the events with the logs of their topics, unless the hub is closed or one of the topics has ended.
    pub(crate) fn with_logs<T: Borrow<Topic>>(
        &self,
        events: Vec<(T, Event)>,
        now: u64,
    ) -> Result<Vec<(Arc<Log>, Event)>, PublishError> {
        let mut found = Vec::with_capacity(events.len());
        for (topic, event) in events {
            match self.registry.log(topic.borrow(), now) {
                Ok(log) => found.push((log, event)),
                Err(error) => return Err(self.refuse(found.iter().map(|(log, _)| log), error)),
            }
        }
        Ok(found)
    }

    /// Locks the sequencer for these events, unless the hub is closed, one of their topics has ended, or one of them is
    /// [not accepted](Self::check_states).
    #[inline]
    pub(crate) fn sequence_for<'a>(
        &self,
        events: impl Iterator<Item = (&'a Arc<Log>, &'a Event)> + Clone,
        now: u64,
    ) -> Result<MutexGuard<'_, Sequencer>, PublishError> {
        let sequencer = self.sequence()?;
        let is_checked = |(log, event): (&Arc<Log>, &Event)| log.refuses.is_on() | log.is_keyed() | event.is_removal();
        match events.clone().any(is_checked) {
            true => self.check_events(sequencer, events, now),
            false => Ok(sequencer),
        }
    }

    /// Refuses if one of the topics has ended, or one of the events is not accepted. A log also refuses because it was dropped.
    #[cold]
    fn check_events<'s, 'a>(
        &'s self,
        sequencer: MutexGuard<'s, Sequencer>,
        events: impl Iterator<Item = (&'a Arc<Log>, &'a Event)> + Clone,
        now: u64,
    ) -> Result<MutexGuard<'s, Sequencer>, PublishError> {
        let logs = events.clone().map(|(log, _)| log);
        let mut refusing = logs.clone().filter(|log| log.refuses.is_on()).filter_map(|log| log.name.as_topic());
        let ended = refusing.find(|topic| self.registry.has_ended(topic, now));
        let error = ended.map(|topic| PublishError::Finished(topic.clone()));
        match error.map_or_else(|| self.check_states(events), Err) {
            Ok(()) => Ok(sequencer),
            Err(error) => {
                drop(sequencer);
                Err(self.refuse(logs, error))
            }
        }
    }

    /// Drops the logs that were created for refused events. Returns the error.
    #[cold]
    pub(crate) fn refuse<'a>(&self, logs: impl Iterator<Item = &'a Arc<Log>>, error: PublishError) -> PublishError {
        logs.for_each(|log| self.registry.release(log));
        error
    }
}
