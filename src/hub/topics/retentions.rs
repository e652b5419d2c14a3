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

    /// Returns the retention of a topic.
    pub(crate) fn of(&self, topic: &Topic) -> Arc<Retention> {
        Arc::clone(self.by_pattern.matching(topic).next().unwrap_or(&self.otherwise))
    }
}
