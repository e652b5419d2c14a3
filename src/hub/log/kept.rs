use std::ops::Range;

use bytes::Bytes;

use crate::hub::budget::budget::Charge;

/// Places of a segment that a reader looked at, and those of them whose events it delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    start: u32,
    end: u32,
    /// A bit for each place, the lowest for the first.
    bits: u64,
}

/// Bytes of kept events.
#[derive(Debug)]
pub(crate) struct KeptBytes {
    pub(crate) kept: Kept,
    pub(crate) bytes: Bytes,
    pub(crate) _charge: Charge,
}

impl Kept {
    /// Largest number of places.
    pub(crate) const MOST: u32 = u64::BITS;

    /// Returns the first places of a range, at most [`MOST`](Self::MOST), and those of them for which `keeps` returns `true`.
    #[inline(always)]
    pub(crate) fn new(range: Range<u32>, mut keeps: impl FnMut(u32) -> bool) -> Self {
        let (start, end) = (range.start, range.end.min(range.start + Self::MOST));
        let (mut bits, mut bit) = (0, 1_u64);
        for place in start..end {
            bits |= if keeps(place) { bit } else { 0 };
            bit <<= 1;
        }
        Self { start, end, bits }
    }

    /// Returns the places that the reader looked at.
    pub(crate) fn range(self) -> Range<u32> {
        self.start..self.end
    }

    /// Returns the number of the kept places.
    pub(crate) fn count(self) -> u32 {
        self.bits.count_ones()
    }

    /// Returns whether no place is kept.
    #[inline]
    pub(crate) fn is_none(self) -> bool {
        self.bits == 0
    }

    /// Returns whether all places are kept.
    #[inline]
    pub(crate) fn is_all(self) -> bool {
        self.bits == u64::MAX.checked_shr(Self::MOST - (self.end - self.start)).unwrap_or(0)
    }

    /// Returns the kept places, as ranges in order that do not touch.
    pub(crate) fn runs(self) -> impl Iterator<Item = Range<u32>> {
        let (mut at, mut rest) = (self.start, self.bits);
        std::iter::from_fn(move || {
            if rest == 0 {
                return None;
            }
            let left_out = rest.trailing_zeros();
            rest >>= left_out;
            let run = rest.trailing_ones();
            rest = rest.checked_shr(run).unwrap_or(0);
            let start = at + left_out;
            at = start + run;
            Some(start..at)
        })
    }

    /// Returns the kept places if they are one run.
    pub(crate) fn only_run(self) -> Option<Range<u32>> {
        let mut runs = self.runs();
        runs.next().filter(|_| runs.next().is_none())
    }
}

impl KeptBytes {
    /// Returns whether these are all of the kept events, within `max` bytes.
    #[inline]
    pub(crate) fn is_all(&self, kept: Kept, max: usize) -> bool {
        self.kept == kept && self.bytes.len() <= max
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn kept_runs_hold_the_kept_places(start in 0..100_u32, bits in prop::collection::vec(prop::bool::weighted(0.8), 0..90)) {
            let range = start..start + bits.len() as u32;
            let kept = Kept::new(range.clone(), |place| bits[(place - start) as usize]);
            let looked = kept.range();
            prop_assert_eq!(&looked, &(start..range.end.min(start + Kept::MOST)));
            let expected: Vec<_> = looked.filter(|place| bits[(place - start) as usize]).collect();
            let runs: Vec<_> = kept.runs().collect();
            prop_assert!(runs.windows(2).all(|two| two[0].end < two[1].start) && runs.iter().all(|run| !run.is_empty()), "{runs:?}");
            prop_assert_eq!(kept.only_run(), Some(&runs).filter(|runs| runs.len() == 1).map(|runs| runs[0].clone()));
            prop_assert_eq!(runs.into_iter().flatten().collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(kept.count() as usize, expected.len());
            prop_assert_eq!(kept.is_none(), expected.is_empty());
            prop_assert_eq!(kept.is_all(), expected.len() == kept.range().len());
        }
    }
}
