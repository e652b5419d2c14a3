use crate::hub::budget::logs_by_size::FileAt;
use crate::hub::budget::rank::Rank;
use crate::hub::log::log::{Log, LogState};

/// Filing of the log for eviction, see [`LogsBySize`](crate::hub::budget::logs_by_size::LogsBySize).
impl LogState {
    /// Sets the number of subscriptions, after one has begun or ended.
    pub(crate) fn subscribe(&mut self, log: &Log, subscriptions: u32) {
        self.subscriptions = subscriptions;
        log.subscriber_count.set(subscriptions);
        // A new subscription does not file the log. Eviction checks for subscriptions instead.
        if subscriptions == 0 && self.rank == Rank::Followed {
            self.file(log, FileAt::Last);
        }
        if subscriptions == 0 && self.end.is_some() {
            self.reopen_forgotten(log);
        }
    }

    /// Returns the rank of the log.
    pub(crate) fn rank(&self) -> Rank {
        match self.subscriptions {
            _ if self.is_pattern => Rank::Pattern,
            0 if self.history().sizing.is_first() => Rank::New,
            0 => Rank::Idle,
            _ => Rank::Followed,
        }
    }

    /// Files the log with its present size and rank.
    pub(crate) fn file(&mut self, log: &Log, place: FileAt) {
        let rank = self.rank();
        self.rank = rank;
        if let Some(history) = &mut self.history {
            log.pool.by_size.file(log.slot, rank, history.filed, history.held, place);
            history.filed = history.held;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use crate::contract::Entry;
    use crate::hub::budget::budget::LogPool;
    use crate::hub::log::log::Log;
    use crate::model::{Event, Retention, Topic};

    #[test]
    fn topic_is_filed_with_its_bytes_after_each_event() {
        for count in [1, 2, 10, 1_000] {
            let (topic, pool) = (Topic::new("prices").unwrap(), LogPool::new(1, usize::MAX, 0, usize::MAX));
            let log = Log::new((&topic).into(), Arc::new(Retention::count(count)), 0, None, Box::default(), 0, pool);
            for sequence in 1..100 {
                let event = Event::text("x".repeat(1_000));
                log.append(Entry { sequence, at: 0, event }, false, 0).unwrap();
                let state = log.state();
                let history = state.history();
                // Events are added to a segment without filing the log.
                let most = history.segments.newest().map_or(0, |newest| newest.charged());
                assert!(
                    history.filed <= history.held && history.filed + most >= history.held,
                    "{count}: {} {}",
                    history.filed,
                    history.held
                );
            }
        }
    }
}
