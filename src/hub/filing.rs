use crate::hub::log::{Log, State};
use crate::hub::rank::Rank;
use crate::hub::sizes::Place;

/// The place of a log among those that give way, see [`Sizes`](crate::hub::sizes::Sizes).
impl State {
    /// Counts a subscription that begins or ends.
    pub(super) fn subscribe(&mut self, log: &Log, subscriptions: u32) {
        self.subscriptions = subscriptions;
        log.audience.set(subscriptions);
        // A new subscription does not file the log. Eviction checks for subscriptions instead.
        if subscriptions == 0 && self.rank == Rank::Followed {
            self.file(log, Place::Last);
        }
    }

    /// Returns the use that is made of the log.
    pub(super) fn rank(&self) -> Rank {
        match self.subscriptions {
            _ if self.is_feed => Rank::Pattern,
            0 if self.kept().tail.is_first() => Rank::New,
            0 => Rank::Idle,
            _ => Rank::Followed,
        }
    }

    /// Files the log under what it holds now and the use that is made of it.
    pub(super) fn file(&mut self, log: &Log, place: Place) {
        let rank = self.rank();
        self.rank = rank;
        if let Some(kept) = &mut self.kept {
            log.pool.by_size.file(log.slot, rank, kept.filed, kept.held, place);
            kept.filed = kept.held;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use crate::contract::Entry;
    use crate::hub::budget::LogPool;
    use crate::hub::log::Log;
    use crate::model::{Event, Retention, Topic};

    #[test]
    fn topic_is_filed_with_what_it_holds_after_each_event() {
        for count in [1, 2, 10, 1_000] {
            let (topic, pool) = (Topic::new("prices").unwrap(), LogPool::new(1, usize::MAX, 0, usize::MAX));
            let log = Log::new((&topic).into(), Arc::new(Retention::count(count)), 0, Box::default(), 0, pool);
            for sequence in 1..100 {
                let event = Event::text("x".repeat(1_000));
                log.append(Entry { sequence, at: 0, event }, false, 0).unwrap();
                let state = log.state();
                let kept = state.kept();
                // Events are added to a segment without filing the log.
                let most = kept.segments.newest().map_or(0, |newest| newest.charged());
                assert!(
                    kept.filed <= kept.held && kept.filed + most >= kept.held,
                    "{count}: {} {}",
                    kept.filed,
                    kept.held
                );
            }
        }
    }
}
