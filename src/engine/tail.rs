use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use crate::engine::engine::LogState;
use crate::engine::history::{StoredEnd, StoredEvent};
use crate::engine::merge::Merge;
use crate::engine::record::{TailBody, TailRecord};
use crate::engine::shared::EngineShared;

/// Receiver of the records that an [`Engine`](crate::engine::Engine) pushes. A handle: clones push to the same hub.
///
/// Records may be pushed in any order and more than once. Nothing that is pushed blocks or grows without bound: if the hub cannot
/// take a record, it reads it from the log later.
#[derive(Clone)]
pub struct Tail {
    sink: Arc<dyn TailSink>,
}

/// Owner of the records of a [`Tail`].
pub(crate) trait TailSink: Send + Sync {
    fn record(&self, sequence: u64, record: TailRecord);
    fn complete(&self, up_to: u64);
    fn lost(&self);
    fn state(&self, state: &LogState);
}

impl Tail {
    pub(crate) fn new(sink: Arc<dyn TailSink>) -> Self {
        Self { sink }
    }

    /// Pushes an event. `previous` is the sequence of the topic's record before it, or 0 if it is the first; `None` if that is not
    /// known. With it the hub notices if a record was not pushed.
    pub fn event(&self, event: StoredEvent, previous: Option<u64>) {
        let StoredEvent { sequence, topic, event } = event;
        self.sink.record(sequence, TailRecord { topic, previous, body: TailBody::Event(event) });
    }

    /// Pushes the end of a topic. `previous` is as for [`event`](Self::event).
    pub fn end(&self, end: StoredEnd, previous: Option<u64>) {
        let StoredEnd { sequence, topic, reason } = end;
        self.sink.record(sequence, TailRecord { topic, previous, body: TailBody::End(reason) });
    }

    /// Notes that each record of a followed name up to a sequence was pushed. Subscribers get records up to there, so call it after
    /// each record or group of records, and about once a second while there are none, with the last sequence of the log.
    pub fn complete(&self, up_to: u64) {
        self.sink.complete(up_to);
    }

    /// Notes that records after those that were [completed](Self::complete) may not be pushed, for example because the connection
    /// ended. After the next call of `complete` the hub reads them from the log, up to the completed sequence.
    pub fn lost(&self) {
        self.sink.lost();
    }

    /// Notes the state of the log. Call it if the epoch has changed. Records that were pushed before are forgotten; all that
    /// follow the head of the state are pushed afterwards.
    pub fn state(&self, state: &LogState) {
        self.sink.state(state);
    }
}

impl EngineShared {
    fn change(&self, change: impl FnOnce(&mut Merge)) {
        let mut state = self.lock();
        change(&mut state.merge);
        let driver = state.driver.take();
        drop(state);
        driver.into_iter().for_each(Waker::wake);
    }
}

impl TailSink for EngineShared {
    fn record(&self, sequence: u64, record: TailRecord) {
        // It is looked at when its sequence is complete.
        self.lock().merge.record(sequence, record);
    }

    fn complete(&self, up_to: u64) {
        self.change(|merge| merge.complete(up_to));
    }

    fn lost(&self) {
        self.change(Merge::lost);
    }

    fn state(&self, state: &LogState) {
        self.pushed(state);
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail").finish_non_exhaustive()
    }
}
