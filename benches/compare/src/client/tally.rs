//! Deliveries of one subscriber, compared with the messages of its topic.

use super::mark::Mark;

/// Errors in deliveries. A run fails unless all are zero.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Published, and never delivered.
    pub(crate) lost: u64,
    /// Delivered again.
    pub(crate) duplicated: u64,
    /// Delivered after a later message.
    pub(crate) out_of_order: u64,
    /// Of another topic, or never published.
    pub(crate) astray: u64,
}

impl Counts {
    /// Returns the sums.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            lost: self.lost + other.lost,
            duplicated: self.duplicated + other.duplicated,
            out_of_order: self.out_of_order + other.out_of_order,
            astray: self.astray + other.astray,
        }
    }

    /// Returns whether each message came to each subscriber once and in order.
    pub(crate) fn are_clean(self) -> bool {
        self == Self::default()
    }
}

/// Deliveries of one subscriber. Messages of a topic are numbered from 0.
#[derive(Debug)]
pub(crate) struct Tally {
    topic: u16,
    /// One more than the largest number that came.
    next: u32,
    /// Smaller numbers that did not come: empty without errors.
    missing: Vec<u32>,
    duplicated: u32,
    out_of_order: u32,
    astray: u32,
}

impl Tally {
    pub(crate) fn of(topic: u16) -> Self {
        Self { topic, next: 0, missing: Vec::new(), duplicated: 0, out_of_order: 0, astray: 0 }
    }

    /// Counts a delivery of a topic with `published` messages. Returns whether it was expected.
    pub(crate) fn count(&mut self, mark: Mark, published: u32) -> bool {
        if mark.topic != self.topic || mark.number >= published {
            self.astray += 1;
            return false;
        }
        if mark.number >= self.next {
            self.missing.extend(self.next..mark.number);
            self.next = mark.number + 1;
            return true;
        }
        match self.missing.iter().position(|&number| number == mark.number) {
            Some(late) => {
                self.missing.swap_remove(late);
                self.out_of_order += 1;
                true
            }
            None => {
                self.duplicated += 1;
                false
            }
        }
    }

    /// Returns the errors after the last delivery.
    pub(crate) fn counts(&self, published: u32) -> Counts {
        Counts {
            lost: self.missing.len() as u64 + u64::from(published.saturating_sub(self.next)),
            duplicated: self.duplicated.into(),
            out_of_order: self.out_of_order.into(),
            astray: self.astray.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Counts = Counts { lost: 0, duplicated: 0, out_of_order: 0, astray: 0 };

    /// Returns the errors, and the number of expected deliveries, of these deliveries to a topic of six messages.
    fn counts(numbers: &[u32]) -> (Counts, usize) {
        let mut tally = Tally::of(3);
        let fresh = numbers.iter().filter(|&&number| tally.count(Mark { topic: 3, number }, 6)).count();
        (tally.counts(6), fresh)
    }

    #[test]
    fn all_in_order_is_clean() {
        assert_eq!(counts(&[0, 1, 2, 3, 4, 5]), (NONE, 6));
        assert!(counts(&[0, 1, 2, 3, 4, 5]).0.are_clean());
        assert!(!counts(&[]).0.are_clean());
    }

    #[test]
    fn a_loss_is_counted_wherever_it_is() {
        for lost in 0..6 {
            let rest: Vec<_> = (0..6).filter(|&number| number != lost).collect();
            assert_eq!(counts(&rest), (Counts { lost: 1, ..NONE }, 5), "without {lost}");
        }
        assert_eq!(counts(&[]), (Counts { lost: 6, ..NONE }, 0));
    }

    #[test]
    fn a_duplicate_is_counted_wherever_it_is() {
        for again in 0..6 {
            for at in again + 1..=6 {
                let mut numbers: Vec<_> = (0..6).collect();
                numbers.insert(at as usize, again);
                assert_eq!(counts(&numbers), (Counts { duplicated: 1, ..NONE }, 6), "{again} again at {at}");
            }
        }
    }

    #[test]
    fn a_swap_is_out_of_order_and_nothing_else() {
        for first in 0..5 {
            let mut numbers: Vec<_> = (0..6).collect();
            numbers.swap(first, first + 1);
            assert_eq!(counts(&numbers), (Counts { out_of_order: 1, ..NONE }, 6), "{numbers:?}");
        }
    }

    #[test]
    fn a_late_one_that_comes_twice_is_both() {
        assert_eq!(counts(&[0, 2, 1, 1, 3, 5]), (Counts { lost: 1, duplicated: 1, out_of_order: 1, astray: 0 }, 5));
    }

    #[test]
    fn another_topic_and_what_was_never_published_are_astray() {
        assert_eq!(counts(&[0, 1, 2, 3, 4, 5, 6]), (Counts { astray: 1, ..NONE }, 6));
        let mut tally = Tally::of(3);
        assert!(!tally.count(Mark { topic: 4, number: 0 }, 6));
        assert_eq!(tally.counts(6), Counts { lost: 6, astray: 1, ..NONE });
    }
}
