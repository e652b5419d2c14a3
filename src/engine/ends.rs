use crate::engine::history::{ReadRange, StoredEnd};
use crate::hub::Subscription;

/// Returns the ends of the topics of ranges that are after one sequence, up to another, in their order, and whether all ranges are
/// topics that have ended up to there.
pub(crate) fn ends(live: &Subscription, ranges: &[ReadRange], after: u64, up_to: u64) -> (Vec<StoredEnd>, bool) {
    let (mut found, mut are_all) = (Vec::new(), true);
    for range in ranges {
        let end = range.name.as_topic().and_then(|topic| Some((topic, live.end_of(topic)?)));
        match end.filter(|(_, (sequence, _))| *sequence <= up_to) {
            Some((topic, (sequence, reason))) => found.push(StoredEnd { sequence, topic: topic.clone(), reason }),
            None => are_all = false,
        }
    }
    found.retain(|end| end.sequence > after);
    found.sort_unstable_by_key(|end| end.sequence);
    (found, are_all)
}
