use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::history::ReadRange;
use crate::hub::narrowed;
use crate::model::{Pattern, Topic};

/// Time for which a name is followed after its last subscription.
const LINGER: Duration = Duration::from_secs(5);

/// Names that the subscriptions of a hub need, and those that the tail of its log yields.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    names: HashMap<Pattern, Name>,
    /// Whether a name is [`State::Wanted`].
    has_wanted: bool,
    /// Number of names without a subscription.
    idle: usize,
    /// Time before which none of them is removed.
    idle_until: Option<Instant>,
    /// Number of changes of a name's state.
    changes: u64,
}

#[derive(Debug)]
struct Name {
    subscriptions: usize,
    state: State,
    /// Time at which the last subscription ended.
    idle_since: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Wanted,
    /// The log was asked to push the records.
    Asked,
    /// The hub in memory gets all records after this sequence.
    Followed {
        since: u64,
    },
}

impl Interest {
    /// Returns the number of changes. While it is the same, so is the result of [`since_of`](Self::since_of).
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Adds a subscription of names.
    pub(crate) fn add(&mut self, names: &[Pattern]) {
        for name in names {
            if let Some(known) = self.names.get_mut(name) {
                known.subscriptions += 1;
                self.idle -= usize::from(known.idle_since.take().is_some());
                continue;
            }
            self.names.insert(name.clone(), Name { subscriptions: 1, state: State::Wanted, idle_since: None });
            self.has_wanted = true;
            self.changes += 1;
        }
    }

    /// Removes a subscription of names.
    pub(crate) fn remove(&mut self, names: &[Pattern], now: Instant) {
        for name in names {
            let Some(known) = self.names.get_mut(name) else { continue };
            known.subscriptions -= 1;
            if known.subscriptions == 0 {
                known.idle_since = Some(now);
                self.idle += 1;
                self.idle_until.get_or_insert(now + LINGER);
            }
        }
    }

    /// Returns the names that the log must be asked for, which are then asked for.
    pub(crate) fn take_wanted(&mut self) -> Vec<Pattern> {
        if !std::mem::take(&mut self.has_wanted) {
            return Vec::new();
        }
        let wanted = self.names.iter_mut().filter(|(_, name)| name.state == State::Wanted);
        wanted
            .map(|(name, state)| {
                state.state = State::Asked;
                name.clone()
            })
            .collect()
    }

    /// Notes that the records of names after a sequence are pushed. Names that were given up meanwhile are left out.
    pub(crate) fn followed(&mut self, names: &[Pattern], since: u64) {
        self.set(names, State::Followed { since });
    }

    /// Notes that names are still to be followed. They are not [asked for](Self::take_wanted) before [`ask_again`](Self::ask_again).
    pub(crate) fn not_followed(&mut self, names: &[Pattern]) {
        self.set(names, State::Wanted);
    }

    pub(crate) fn ask_again(&mut self) {
        self.has_wanted = true;
    }

    fn set(&mut self, names: &[Pattern], state: State) {
        self.changes += 1;
        for name in names {
            if let Some(known) = self.names.get_mut(name).filter(|known| known.state == State::Asked) {
                known.state = state;
            }
        }
    }

    /// Notes that the hub in memory was replaced. All names that were followed are asked for again.
    pub(crate) fn renew(&mut self) {
        let followed = self.names.values_mut().filter(|name| matches!(name.state, State::Followed { .. }));
        followed.for_each(|name| name.state = State::Wanted);
        self.has_wanted = true;
        self.changes += 1;
    }

    /// Removes the names that were without a subscription for some time. Returns those of them that are followed.
    pub(crate) fn take_idle(&mut self, now: Instant) -> Vec<Pattern> {
        // The names are looked at when one is due, and not at each action.
        if self.idle_until.is_none_or(|until| now < until) {
            return Vec::new();
        }
        let mut gone = Vec::new();
        self.names.retain(|pattern, name| {
            // One that is asked for is unfollowed afterwards.
            let is_kept = name.state == State::Asked
                || name.idle_since.is_none_or(|since| now.saturating_duration_since(since) < LINGER);
            if !is_kept {
                gone.push((pattern.clone(), name.state));
            }
            is_kept
        });
        self.idle -= gone.len();
        self.idle_until = (self.idle > 0).then(|| now + LINGER / 5);
        self.changes += gone.len() as u64;
        gone.into_iter().filter(|(_, state)| *state != State::Wanted).map(|(name, _)| name).collect()
    }

    /// Returns the sequence after which the hub in memory gets all records of the names; `None` if one of them is not followed.
    pub(crate) fn since(&self, names: &[Pattern]) -> Option<u64> {
        names.iter().try_fold(0, |most, name| match self.names.get(name)?.state {
            State::Followed { since } => Some(since.max(most)),
            State::Wanted | State::Asked => None,
        })
    }

    /// Returns the sequence after which the hub in memory gets all records of a topic. `None` if no name matches it;
    /// `Some(None)` if none is followed yet.
    pub(crate) fn since_of(&self, topic: &Topic) -> Option<Option<u64>> {
        let matching = Pattern::matching(topic).filter_map(|name| self.names.get(name.as_str()));
        let names = self.names.get(topic.as_str()).into_iter().chain(matching);
        names.fold(None, |least, name| match (name.state, least.flatten()) {
            (State::Followed { since }, Some(other)) => Some(Some(since.min(other))),
            (State::Followed { since }, None) => Some(Some(since)),
            (State::Wanted | State::Asked, least) => Some(least),
        })
    }

    /// Returns the followed names as ranges of a read. A name that another one contains is left out.
    pub(crate) fn ranges(&self) -> Arc<[ReadRange]> {
        let followed = self.names.iter().filter(|(_, name)| matches!(name.state, State::Followed { .. }));
        let names = narrowed(followed.map(|(name, _)| name.clone()).collect());
        names.into_iter().map(ReadRange::new).collect()
    }
}
