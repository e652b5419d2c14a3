use std::task::Waker;

use crate::hub::sync::Mutex;

/// Which of a subscription's topics have something to read: the subscription looks at these and at no others.
///
/// A key is in at most one place: here, with the reader (which has taken it), or armed at its topic. A mark that comes
/// late may be one too many: the reader ignores it, or looks at a topic that is armed once more.
#[derive(Debug, Default)]
pub(crate) struct Inbox(Mutex<Ready>);

#[derive(Debug, Default)]
struct Ready {
    keys: Vec<u32>,
    waker: Option<Waker>,
}

impl Inbox {
    /// Marks a topic. Called under the sequencer, before the watermark passes the event, or while the topic's log is among
    /// the [`LateMarks`](crate::hub::wake::late_marks::LateMarks). Returns the waker of the reader,
    /// if it waits: to be woken when the locks are released.
    #[inline]
    pub(crate) fn mark(&self, key: u32) -> Option<Waker> {
        let mut ready = self.0.lock();
        ready.keys.push(key);
        ready.waker.take()
    }

    /// Hands the marked keys over, for an empty list.
    #[inline]
    pub(crate) fn take(&self, keys: &mut Vec<u32>) {
        std::mem::swap(keys, &mut self.0.lock().keys);
    }

    /// Waits for a mark, unless there is one: then `false`.
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
