use crate::model::{EndReason, Event, Topic};

/// Entry of the log: an event or the end of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    /// Event of a topic.
    Event {
        /// Position in the hub's order.
        sequence: u64,
        /// Topic of the event.
        topic: Topic,
        /// Time of publication, in milliseconds since 1970.
        at: u64,
        /// The event.
        event: Event,
    },
    /// End of a topic.
    End {
        /// Position in the hub's order.
        sequence: u64,
        /// Topic that ends.
        topic: Topic,
        /// Time of the end, in milliseconds since 1970.
        at: u64,
        /// Reason of the end.
        reason: EndReason,
    },
}

impl Record {
    /// Returns the position in the hub's order.
    pub(crate) fn sequence(&self) -> u64 {
        match self {
            Self::Event { sequence, .. } | Self::End { sequence, .. } => *sequence,
        }
    }

    /// Returns the topic.
    pub(crate) fn topic(&self) -> &Topic {
        match self {
            Self::Event { topic, .. } | Self::End { topic, .. } => topic,
        }
    }
}
