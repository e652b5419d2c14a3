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
        let of_all = self.by_pattern.get(pattern).or_else(|| {
            let mut wider = pattern.covering();
            wider.find_map(|wider| self.by_pattern.get_by_name(&wider))
        });
        is_keyed(of_all.unwrap_or(&self.otherwise))
            || self.by_pattern.iter().any(|(narrower, retention)| is_keyed(retention) && pattern.covers(narrower))
    }

    /// Returns the retention of a topic.
    pub(crate) fn of(&self, topic: &Topic) -> Arc<Retention> {
        Arc::clone(self.by_pattern.matching(topic).next().unwrap_or(&self.otherwise))
    }
}
