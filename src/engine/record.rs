use crate::model::{EndReason, Event, Topic};

/// Bytes of a pending record without its event.
const RECORD: usize = 128;

/// Record of the tail.
#[derive(Debug, Clone)]
pub(crate) struct TailRecord {
    pub(crate) topic: Topic,
    /// Sequence of the topic's record before this one, if it is known.
    pub(crate) previous: Option<u64>,
    pub(crate) body: TailBody,
}

#[derive(Debug, Clone)]
pub(crate) enum TailBody {
    Event(Event),
    End(EndReason),
}

impl TailRecord {
    pub(crate) fn bytes(&self) -> usize {
        let body = match &self.body {
            TailBody::Event(event) => event.weight(),
            TailBody::End(_) => 0,
        };
        RECORD + self.topic.as_str().len() + body
    }
}
