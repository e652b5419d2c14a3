use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::iter::from_fn;
use std::ops::Bound;

use crate::model::{Pattern, Topic};

/// Values by pattern. Those that match a topic are found in as many steps as the topic has segments. A tree, which
/// never moves all of its values at once.
#[derive(Debug, Clone)]
pub(crate) struct Patterns<T>(BTreeMap<Pattern, T>);

impl<T> Default for Patterns<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Patterns<T> {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, pattern: &Pattern) -> Option<&T> {
        self.0.get(pattern)
    }

    pub(crate) fn get_by_name(&self, pattern: &str) -> Option<&T> {
        self.0.get(pattern)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Pattern, &T)> {
        self.0.iter()
    }

    pub(crate) fn insert(&mut self, pattern: Pattern, value: T) -> Option<T> {
        self.0.insert(pattern, value)
    }

    pub(crate) fn remove(&mut self, pattern: &Pattern) -> Option<T> {
        self.0.remove(pattern)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.values()
    }

    /// Returns the values of the patterns that [match](Pattern::matching) a topic, the narrowest first.
    pub(crate) fn matching<'a>(&'a self, topic: &'a Topic) -> impl Iterator<Item = &'a T> {
        let candidates = (!self.0.is_empty()).then(|| Pattern::matching(topic));
        candidates.into_iter().flatten().filter_map(|text| self.0.get(text.as_str()))
    }
}

/// Returns the names after `after` that decide which of them a pattern with a wildcard matches, in their order, each
/// with its value and whether the pattern matches it. These are the names that match and, for `prefix/*`, one for each
/// segment that has names below it.
pub(crate) fn below<'a, K: Borrow<str> + Ord, T>(
    names: &'a BTreeMap<K, T>,
    pattern: &'a Pattern,
    after: Option<&'a str>,
) -> impl Iterator<Item = (&'a K, &'a T, bool)> {
    let prefix = pattern.prefix();
    let start = after.map_or(Bound::Included(prefix), Bound::Excluded);
    let mut names_below = names.range::<str, _>((start, Bound::Unbounded));
    from_fn(move || {
        let (key, value) = names_below.next()?;
        let name: &str = key.borrow();
        let rest = name.strip_prefix(prefix)?;
        let matches = pattern.matches_name(name);
        if !matches {
            // Too deep for `prefix/*`, as are all names with this segment: '0' follows '/'.
            let next = format!("{prefix}{}0", rest.split('/').next().unwrap_or_default());
            names_below = names.range::<str, _>((Bound::Included(next.as_str()), Bound::Unbounded));
        }
        Some((key, value, matches))
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::BTreeSet;

    use std::iter::once;

    use proptest::prelude::*;

    use super::*;

    fn name(last: &'static str) -> impl Strategy<Value = String> {
        (prop::collection::vec("[ab-]", 0..3), last).prop_map(|(mut segments, last)| {
            segments.push(last);
            segments.join("/")
        })
    }

    proptest! {
        /// Both lookups find the same as `Pattern::matches`, and each name that they look at is counted.
        #[test]
        fn matching_names_are_found_with_few_looks(
            names in prop::collection::btree_set(name("[ab-]"), 0..60),
            patterns in prop::collection::btree_set(name("[ab-]|\\*|\\*\\*"), 0..20),
        ) {
            let names: BTreeMap<_, _> = names.iter().map(|name| (Topic::new(name).unwrap(), ())).collect();
            let mut by_pattern = Patterns::default();
            for text in &patterns {
                let pattern = Pattern::new(text).unwrap();
                by_pattern.insert(pattern.clone(), pattern);
            }
            for topic in names.keys() {
                let found: Vec<_> = by_pattern.matching(topic).collect();
                prop_assert!(found.windows(2).all(|two| two[1].covers(two[0])), "narrowest first: {found:?}");
                prop_assert_eq!(found.len(), by_pattern.values().filter(|pattern| pattern.matches(topic)).count());
            }
            for pattern in by_pattern.values().filter(|pattern| pattern.as_topic().is_none()) {
                let all: Vec<_> = names.keys().filter(|topic| pattern.matches(topic)).collect();
                for (after, rest) in once(None).chain(all.iter().map(|topic| Some(topic.as_str()))).zip(0..) {
                    let looked: Vec<_> = below(&names, pattern, after).collect();
                    let found: Vec<_> = looked.iter().filter(|looked| looked.2).map(|looked| looked.0).collect();
                    prop_assert_eq!(&found, &all[rest..]);
                    let rest = |topic: &Topic| topic.as_str()[pattern.prefix().len()..].to_owned();
                    let deep: BTreeSet<_> = looked
                        .iter()
                        .filter(|looked| !looked.2)
                        .map(|(topic, ..)| rest(topic).split('/').next().unwrap().to_owned())
                        .collect();
                    prop_assert_eq!(deep.len(), looked.len() - found.len(), "one name for each segment");
                }
            }
        }
    }
}
