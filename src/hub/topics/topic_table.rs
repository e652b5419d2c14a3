use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash, RandomState};

use crate::hub::sync::Set;

/// Mean number of values in a part at which the next part is split.
const FILL: usize = 256;

/// Set that never moves all of its values at once: it consists of parts, and one of them is split when it grows.
/// (Linear hashing: the parts before `split` are already split in this round.) The hash is randomly keyed, so that a
/// peer cannot choose names that fall into one part.
#[derive(Debug)]
pub(crate) struct TopicTable<T> {
    parts: Vec<Set<T>>,
    len: usize,
    hasher: RandomState,
}

impl<T> Default for TopicTable<T> {
    fn default() -> Self {
        Self { parts: vec![Set::default()], len: 0, hasher: RandomState::new() }
    }
}

impl<T: Hash + Ord + Borrow<str>> TopicTable<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.parts.get(self.part_of(name))?.get(name)
    }

    pub(crate) fn insert(&mut self, value: T) {
        if self.len >= FILL * self.parts.len() {
            self.split();
        }
        let part = self.part_of(value.borrow());
        self.len += usize::from(self.parts[part].insert(value));
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<T> {
        let part = self.part_of(name);
        let part = self.parts.get_mut(part)?;
        let taken = part.take(name);
        self.len -= usize::from(taken.is_some());
        // Under loom a part is a tree.
        #[cfg(not(loom))]
        if part.len() < part.capacity() / 4 {
            part.shrink_to(part.len() * 2);
        }
        taken
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.parts.iter().flatten()
    }

    /// Returns the part that holds values of this name.
    #[inline]
    fn part_of(&self, name: &str) -> usize {
        if self.parts.len() == 1 {
            return 0;
        }
        let hash = self.hasher.hash_one(name) as usize;
        let round = self.parts.len().next_power_of_two();
        match hash % round {
            part if part < self.parts.len() => part,
            unsplit => unsplit - round / 2,
        }
    }

    /// Adds a part, and moves the values that belong there from the part that is split.
    fn split(&mut self) {
        let new = self.parts.len();
        let old = new - (new + 1).next_power_of_two() / 2;
        let all = std::mem::take(&mut self.parts[old]);
        self.parts.push(Set::default());
        for value in all {
            let part = self.part_of(value.borrow());
            self.parts[part].insert(value);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn growing_table_keeps_every_value_in_small_parts() {
        let mut table = TopicTable::default();
        for n in 0..50_000 {
            table.insert(format!("topic/{n}"));
            assert_eq!(table.len(), n + 1);
        }
        table.insert("topic/7".to_owned());
        assert_eq!((table.len(), table.iter().count()), (50_000, 50_000));
        assert!((0..50_000).all(|n| table.get(&format!("topic/{n}")).is_some()));
        let largest = table.parts.iter().map(Set::len).max().unwrap();
        assert!(largest < 1_024, "{largest} values are moved when the part is split");
        assert!((0..50_000).all(|n| table.take(&format!("topic/{n}")).is_some()));
        assert_eq!((table.len(), table.iter().count()), (0, 0));
    }
}
