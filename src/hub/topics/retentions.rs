use std::sync::Arc;

use crate::hub::topics::patterns::Patterns;
use crate::model::{Pattern, Retention, Topic};

/// Retention of each topic. Shared with the logs: a hub has few retentions and many topics.
#[derive(Debug, Clone, Default)]
pub(crate) struct Retentions {
    by_pattern: Patterns<Arc<Retention>>,
    otherwise: Arc<Retention>,
}

impl Retentions {
    /// Sets the retention of the topics that no pattern matches.
    pub(crate) fn otherwise(&mut self, retention: Retention) {
        self.otherwise = Arc::new(retention);
    }

    /// Sets the retention of the topics that the pattern matches and no narrower one.
    pub(crate) fn set(&mut self, pattern: Pattern, retention: Retention) {
        self.by_pattern.insert(pattern, Arc::new(retention));
    }

    /// Returns whether a retention keeps the newest event of each key.
    pub(crate) fn has_keyed(&self) -> bool {
        self.otherwise.state.is_some() || self.by_pattern.values().any(|retention| retention.state.is_some())
    }

    /// Returns whether a topic that the pattern matches may keep the newest event of each key.
    pub(crate) fn may_be_keyed(&self, pattern: &Pattern) -> bool {
        let is_keyed = |retention: &Arc<Retention>| retention.state.is_some();
        is_keyed(self.of_all(pattern))
            || self.by_pattern.iter().any(|(narrower, retention)| is_keyed(retention) && pattern.covers(narrower))
    }

    /// Returns the first topic or pattern with a state.
    #[cfg(feature = "disk")]
    pub(crate) fn first_keyed(&self) -> Option<&str> {
        let of_pattern = self.by_pattern.iter().find(|(_, retention)| retention.state.is_some());
        of_pattern.map(|(pattern, _)| pattern.as_str()).or_else(|| self.otherwise.state.map(|_| "**"))
    }

    /// Returns the first topic or pattern with a state of those that a pattern covers.
    #[cfg(feature = "disk")]
    pub(crate) fn keyed_in(&self, pattern: &Pattern) -> Option<&str> {
        let mut keyed = self.by_pattern.iter().filter(|(_, retention)| retention.state.is_some());
        keyed.find(|(narrower, _)| pattern.covers(narrower)).map(|(narrower, _)| narrower.as_str())
    }

    /// Returns these retentions with the states of others.
    #[cfg(feature = "disk")]
    pub(crate) fn with_states_of(&self, others: &Self) -> Self {
        let mut combined = Self::default();
        combined.otherwise(Retention { state: others.otherwise.state, ..*self.otherwise });
        for (pattern, _) in self.by_pattern.iter().chain(others.by_pattern.iter()) {
            let retention = Retention { state: others.of_all(pattern).state, ..**self.of_all(pattern) };
            combined.set(pattern.clone(), retention);
        }
        combined
    }

    /// Returns the retention of the topics that the pattern matches and no narrower one.
    fn of_all(&self, pattern: &Pattern) -> &Arc<Retention> {
        let own = self.by_pattern.get(pattern).or_else(|| {
            let mut wider = pattern.covering();
            wider.find_map(|wider| self.by_pattern.get_by_name(&wider))
        });
        own.unwrap_or(&self.otherwise)
    }

    /// Returns the retention of a topic.
    pub(crate) fn of(&self, topic: &Topic) -> Arc<Retention> {
        Arc::clone(self.by_pattern.matching(topic).next().unwrap_or(&self.otherwise))
    }
}

#[cfg(all(test, feature = "disk"))]
mod tests {
    use super::*;

    #[test]
    fn combined_retentions_have_the_state_of_the_others_for_each_topic() {
        let of = |rules: &[(&str, Retention)], otherwise| {
            let mut retentions = Retentions::default();
            retentions.otherwise(otherwise);
            rules.iter().for_each(|(name, retention)| retentions.set(Pattern::new(*name).unwrap(), *retention));
            retentions
        };
        let (plain, keyed) = (Retention::count, Retention::latest_per_key());
        let memory = [("a/**", plain(1)), ("a/b/*", plain(2)), ("c", plain(3))];
        let states = [("a/b/**", keyed), ("a/b/c", plain(9)), ("d/*", keyed)];
        for otherwise in [plain(8), keyed] {
            let (memory, states) = (of(&memory, plain(7)), of(&states, otherwise));
            let combined = memory.with_states_of(&states);
            for name in ["a", "a/x", "a/b", "a/b/x", "a/b/c", "a/b/x/y", "c", "d", "d/x", "d/x/y"] {
                let topic = Topic::new(name).unwrap();
                let expected = Retention { state: states.of(&topic).state, ..*memory.of(&topic) };
                assert_eq!(*combined.of(&topic), expected, "{name}");
            }
        }
    }
}
