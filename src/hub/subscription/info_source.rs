use std::time::Duration;

use crate::contract::{EndState, InfoSource};
use crate::hub::subscription::kind::Kind;
use crate::hub::subscription::subscription::Subscription;

impl InfoSource for Subscription {
    fn keeps_state(&self) -> bool {
        let registry = &self.shared.registry;
        self.shared.has_keyed
            && match &self.kind {
                Kind::Single(single) => registry.may_be_keyed(single.name()),
                Kind::Multi(multi) => multi.names().any(|name| registry.may_be_keyed(name)),
            }
    }

    fn may_have_removals(&self) -> bool {
        self.shared.has_keyed
    }

    #[cfg(feature = "metrics")]
    fn time_since(&self, sequence: u64) -> Option<Duration> {
        Self::time_since(self, sequence)
    }

    fn next_event_in(&self) -> Duration {
        let now = self.shared.now();
        match &self.kind {
            Kind::Single(single) => single.next_in(now),
            Kind::Multi(multi) => multi.next_in(now),
        }
    }

    fn end_state(&self) -> EndState {
        let end_state = match &self.kind {
            Kind::Single(single) => single.end_state(),
            Kind::Multi(multi) => multi.end_state(),
        };
        match (end_state, self.opening()) {
            (EndState::Finished, Some(_)) => EndState::Ended,
            (end_state, _) => end_state,
        }
    }
}
