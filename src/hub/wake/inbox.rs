use std::task::Waker;

use crate::hub::sync::Mutex;

/// Keys of the topics of one subscription that may have events to read. The subscription looks at no others.
///
/// A key is in at most one place: in the inbox, with the reader that has taken it, or registered at its topic. A late
/// mark may be redundant: the reader ignores it, or looks at a topic that is registered once more.
#[derive(Debug, Default)]
pub(crate) struct Inbox(Mutex<Ready>);

#[derive(Debug, Default)]
struct Ready {
    keys: Vec<u32>,
    waker: Option<Waker>,
}

impl Inbox {
    /// Marks a topic. Called under the sequencer before the watermark passes the event, or while the topic's log is
    /// among the [`LateMarks`](crate::hub::wake::late_marks::LateMarks). Returns the waker of the reader if it waits;
    /// the caller wakes it after it has released the locks.
    #[inline]
    pub(crate) fn mark(&self, key: u32) -> Option<Waker> {
        let mut ready = self.0.lock();
        ready.keys.push(key);
        ready.waker.take()
    }

    /// Exchanges the marked keys for an empty list.
    #[inline]
    pub(crate) fn take(&self, keys: &mut Vec<u32>) {
        std::mem::swap(keys, &mut self.0.lock().keys);
    }

    /// Registers the waker if no topic is marked. Returns `true` if it was registered.
    pub(crate) fn park(&self, waker: Waker) -> bool {
        let mut ready = self.0.lock();
        let (parked, unused) = match ready.keys.is_empty() {
            true => (true, ready.waker.replace(waker)),
            false => (false, Some(waker)),
        };
        drop(ready);
        drop(unused);
        parked
    }
}
