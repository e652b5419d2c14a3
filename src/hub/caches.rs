use std::collections::VecDeque;
use std::sync::Weak;

use crate::hub::segment::Segment;
use crate::hub::sync::Leaf;

/// The segments that have something encoded, in the order in which they came to it. What has left a queue's segment, or
/// memory, stays in the queue until its turn or until the queue would grow.
#[derive(Debug, Default)]
pub(super) struct Caches(Leaf<Queues>);

#[derive(Debug, Default)]
struct Queues {
    /// The newest of their topics, when they came here.
    hot: VecDeque<Weak<Segment>>,
    /// Sealed: only who is behind, or comes back, reads them.
    cold: VecDeque<Weak<Segment>>,
}

impl Caches {
    /// Adds a topic's newest segment.
    pub(super) fn add_hot(&self, segment: &Weak<Segment>) {
        push(&mut self.0.lock().hot, segment);
    }

    /// Adds a sealed segment.
    pub(super) fn add_cold(&self, segment: &Weak<Segment>) {
        push(&mut self.0.lock().cold, segment);
    }

    /// Empties the caches of the sealed segment that has had them for longest. False: there is none.
    pub(super) fn drop_cold(&self) -> bool {
        std::iter::from_fn(|| self.0.lock().cold.pop_front()).any(|segment| forget(&segment))
    }

    /// The same of any segment, sealed ones first.
    pub(super) fn drop_any(&self) -> bool {
        self.drop_cold() || std::iter::from_fn(|| self.0.lock().hot.pop_front()).any(|segment| forget(&segment))
    }
}

fn push(queue: &mut VecDeque<Weak<Segment>>, segment: &Weak<Segment>) {
    if queue.len() == queue.capacity() {
        queue.retain(|segment| segment.strong_count() > 0);
        let len = queue.len();
        queue.reserve(len + 1);
    }
    queue.push_back(Weak::clone(segment));
}

/// Empties a segment's caches. False: it had none.
fn forget(segment: &Weak<Segment>) -> bool {
    segment.upgrade().is_some_and(|segment| segment.forget())
}
