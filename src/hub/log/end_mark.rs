use crate::model::{Cursor, EndReason, Topic, TopicEnd};

/// End of a topic. It has a sequence of the hub, after those of the topic's events, but is no event.
#[derive(Debug, Clone)]
pub(crate) struct EndMark {
    pub(crate) topic: Topic,
    pub(crate) sequence: u64,
    pub(crate) reason: EndReason,
}

impl EndMark {
    /// Returns the delivery of the end, at a cursor.
    pub(crate) fn at(self, cursor: Cursor) -> TopicEnd {
        TopicEnd::new(self.topic, cursor, self.reason)
    }
}

/// End of a topic in its log.
#[derive(Debug)]
pub(crate) struct LogEnd {
    pub(crate) mark: EndMark,
    /// Whether the registry has forgotten the end. The topic stays finished here until no subscription is left that has not
    /// read the end.
    pub(crate) is_forgotten: bool,
}

impl LogEnd {
    pub(crate) fn new(mark: EndMark) -> Self {
        Self { mark, is_forgotten: false }
    }
}
