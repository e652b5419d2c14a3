use std::collections::VecDeque;
use std::sync::Arc;

use crate::hub::log::segment::Segment;

/// Segments of a log, oldest first. The newest is stored in place, since events are written to it and most topics have
/// no other.
#[derive(Debug)]
pub(crate) struct SegmentQueue<T = Arc<Segment>> {
    newest: Option<T>,
    #[expect(clippy::box_collection, reason = "for most there is none, and it would take four times the room")]
    older: Option<Box<VecDeque<T>>>,
}

impl<T> SegmentQueue<T> {
    pub(crate) const fn new() -> Self {
        Self { newest: None, older: None }
    }

    pub(crate) fn push(&mut self, newest: T) {
        if let Some(older) = self.newest.replace(newest) {
            self.older.get_or_insert_default().push_back(older);
        }
    }

    /// Takes the oldest segment out.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let Some(older) = &mut self.older else {
            return self.newest.take();
        };
        let oldest = older.pop_front();
        if older.is_empty() {
            self.older = None;
        }
        oldest
    }

    /// Replaces the oldest segment. Returns the previous one.
    pub(crate) fn replace_oldest(&mut self, other: T) -> Option<T> {
        let oldest = match &mut self.older {
            Some(older) => older.front_mut(),
            None => self.newest.as_mut(),
        };
        oldest.map(|oldest| std::mem::replace(oldest, other))
    }

    #[inline]
    pub(crate) fn newest(&self) -> Option<&T> {
        self.newest.as_ref()
    }

    #[inline]
    pub(crate) fn oldest(&self) -> Option<&T> {
        self.older.as_ref().map_or(self.newest.as_ref(), |older| older.front())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.newest.is_none()
    }

    /// Returns whether there are several segments.
    pub(crate) fn has_older(&self) -> bool {
        self.older.is_some()
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.older.iter().flat_map(|older| older.iter()).chain(&self.newest)
    }

    /// Returns the last segment for which the condition holds, as it does for all before it.
    pub(crate) fn last_that(&self, is_so: impl Fn(&T) -> bool) -> Option<&T> {
        if let Some(newest) = self.newest.as_ref().filter(|newest| is_so(newest)) {
            return Some(newest);
        }
        let older = self.older.as_ref()?;
        older.get(older.partition_point(is_so).checked_sub(1)?)
    }

    /// Returns the first segment for which the condition does not hold, as it does for all before it.
    pub(crate) fn first_that_not(&self, is_so: impl Fn(&T) -> bool) -> Option<&T> {
        let older = self.older.as_ref().and_then(|older| older.get(older.partition_point(&is_so)));
        older.or_else(|| self.newest.as_ref().filter(|newest| !is_so(newest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    proptest! {
        #[test]
        fn segment_queue_yields_what_a_deque_yields(steps in prop::collection::vec(any::<bool>(), 0..40), pivot in 0..40) {
            let (mut segments, mut queue, mut next) = (SegmentQueue::new(), VecDeque::new(), 0);
            for push in steps {
                if push {
                    segments.push(next);
                    queue.push_back(next);
                    next += 1;
                } else {
                    prop_assert_eq!(segments.pop(), queue.pop_front());
                }
                prop_assert_eq!(segments.oldest(), queue.front());
                prop_assert_eq!(segments.newest(), queue.back());
                prop_assert_eq!((segments.is_empty(), segments.has_older()), (queue.is_empty(), queue.len() > 1));
                prop_assert!(segments.iter().eq(&queue));
                let below = queue.partition_point(|&number| number < pivot);
                prop_assert_eq!(segments.first_that_not(|&number| number < pivot), queue.get(below));
                let last = below.checked_sub(1).and_then(|last| queue.get(last));
                prop_assert_eq!(segments.last_that(|&number| number < pivot), last);
            }
        }
    }
}
