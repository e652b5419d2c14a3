use crate::hub::sync::Set;
use crate::model::Pattern;

/// Number of patterns with a wildcard up to which comparing each name with all of them is faster than looking up those
/// that may cover it.
const FEW: usize = 8;

/// Returns the names without those that another one covers, so that no two have a topic in common. Costs by the number of
/// names and their segments.
pub(crate) fn narrowed(mut names: Vec<Pattern>) -> Vec<Pattern> {
    let wide = || names.iter().filter(|name| name.as_topic().is_none());
    if wide().nth(FEW).is_none() {
        let wide: Vec<_> = wide().cloned().collect();
        names.retain(|name| !wide.iter().any(|other| other != name && other.covers(name)));
        return names;
    }
    let wide: Set<_> = wide().cloned().collect();
    names.retain(|name| !name.covering().any(|other| wide.contains(other.as_str())));
    names
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name() -> impl Strategy<Value = String> {
        let last = "[ab-]|\\*|\\*\\*";
        (prop::collection::vec("[ab-]", 0..3), last).prop_map(|(mut segments, last)| {
            segments.push(last);
            segments.join("/")
        })
    }

    proptest! {
        /// Compared with a look at each pair, and with the number of look-ups that it makes instead.
        #[test]
        fn names_that_others_cover_are_left_out_with_few_lookups(names in prop::collection::btree_set(name(), 0..40)) {
            let names: Vec<_> = names.iter().map(|name| Pattern::new(name).unwrap()).collect();
            let is_covered = |name: &&Pattern| names.iter().any(|other| other != *name && other.covers(name));
            let expected: Vec<_> = names.iter().filter(|name| !is_covered(name)).cloned().collect();
            prop_assert_eq!(narrowed(names.clone()), expected);
            for name in &names {
                let covering: Vec<_> = name.covering().map(|text| Pattern::new(text).unwrap()).collect();
                prop_assert!(covering.len() <= name.as_str().split('/').count() + 1, "{covering:?}");
                prop_assert!(covering.iter().all(|other| other != name && other.covers(name)), "{covering:?}");
                prop_assert!(covering.windows(2).all(|two| two[1].covers(&two[0])), "{covering:?}");
                let missing = names.iter().find(|other| *other != name && other.covers(name) && !covering.contains(other));
                prop_assert_eq!(missing, None);
            }
        }
    }
}
