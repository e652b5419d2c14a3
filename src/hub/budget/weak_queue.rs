use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use crate::hub::holds::{STRETCH, count_steps};
use crate::hub::sync::Leaf;

/// Number of entries that each addition checks.
const CHECKED: usize = 2;

/// Queue of values that it does not keep in memory. Each addition checks two entries, in turn, and removes those whose
/// values are gone, so that the queue never goes through all of them at once.
#[derive(Debug)]
pub(crate) struct WeakQueue<T: ?Sized>(Leaf<Entries<T>>);

#[derive(Debug)]
struct Entries<T: ?Sized> {
    by_number: BTreeMap<u64, Weak<T>>,
    /// Number of the next addition.
    next: u64,
    /// Number at which the next addition begins to check.
    unchecked: u64,
}

impl<T: ?Sized> WeakQueue<T> {
    pub(crate) fn push(&self, value: Weak<T>) {
        let mut entries = self.0.lock();
        let Entries { by_number, next, unchecked } = &mut *entries;
        by_number.insert(*next, value);
        *next += 1;
        for _ in 0..CHECKED {
            count_steps(1);
            let Some((&number, value)) = by_number.range(*unchecked..).next() else {
                *unchecked = 0;
                return;
            };
            *unchecked = number + 1;
            if value.strong_count() == 0 {
                by_number.remove(&number);
            }
        }
    }

    /// Takes the first value that is still in memory.
    pub(crate) fn pop(&self) -> Option<Arc<T>> {
        loop {
            let mut entries = self.0.lock();
            for _ in 0..STRETCH {
                count_steps(1);
                let (_, value) = entries.by_number.pop_first()?;
                if let Some(value) = value.upgrade() {
                    return Some(value);
                }
            }
        }
    }
}

impl<T: ?Sized> Default for WeakQueue<T> {
    fn default() -> Self {
        Self(Leaf::new(Entries { by_number: BTreeMap::new(), next: 0, unchecked: 0 }))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Returns the number of entries.
    fn len(queue: &WeakQueue<i32>) -> usize {
        queue.0.lock().by_number.len()
    }

    #[test]
    fn weak_queue_yields_values_in_memory_in_order_and_removes_others() {
        let queue = WeakQueue::default();
        let mut kept = Vec::new();
        for n in 0..100_000 {
            let value = Arc::new(n);
            queue.push(Arc::downgrade(&value));
            if n % 100 == 0 {
                kept.push(value);
            }
        }
        assert!(len(&queue) < 3 * kept.len(), "{}", len(&queue));
        let yielded: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(yielded, kept);
        assert_eq!(len(&queue), 0);
    }
}
