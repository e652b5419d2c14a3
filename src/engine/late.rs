use crate::model::{Pattern, Topic};

/// Number of losses that are stored.
const MAX: usize = 64;

/// Records that the tail of a log withheld: the log had promised that everything up to a later sequence was pushed. Clients that
/// have passed them get a gap.
#[derive(Debug, Clone, Default)]
pub(crate) struct LateLosses(Vec<LateLoss>);

#[derive(Debug, Clone)]
struct LateLoss {
    /// `None` for losses in several topics.
    topic: Option<Topic>,
    /// The records are after this sequence.
    after: u64,
    /// Sequence that subscriptions had reached when the loss was found.
    passed: u64,
}

impl LateLosses {
    pub(crate) fn add(&mut self, topic: &Topic, after: u64, passed: u64) {
        if self.0.len() == MAX {
            let one = self.0.remove(0);
            let other = &mut self.0[0];
            *other = LateLoss { topic: None, after: one.after.min(other.after), passed: one.passed.max(other.passed) };
        }
        self.0.push(LateLoss { topic: Some(topic.clone()), after, passed });
    }

    /// Forgets losses after a sequence.
    pub(crate) fn end_at(&mut self, sequence: u64) {
        self.0.retain(|loss| loss.after < sequence);
        self.0.iter_mut().for_each(|loss| loss.passed = loss.passed.min(sequence));
    }

    /// Returns whether a client of these names with a cursor at a sequence may lack records that are before it.
    pub(crate) fn concern(&self, names: &[Pattern], sequence: u64) -> bool {
        self.0.iter().any(|loss| {
            let is_read = |topic| names.iter().any(|name| name.matches(topic));
            (loss.after + 1..=loss.passed).contains(&sequence) && loss.topic.as_ref().is_none_or(is_read)
        })
    }
}
