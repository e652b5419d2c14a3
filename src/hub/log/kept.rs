use std::ops::Range;

/// Places of a segment that a reader looked at, and those of them whose events it delivers.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    range: Range<u32>,
    /// A bit for each place of the range.
    bits: [u64; WORDS],
    count: u32,
}

const WORDS: usize = Kept::MOST as usize / u64::BITS as usize;

impl Kept {
    /// Largest number of places: that of a segment.
    pub(crate) const MOST: u32 = 256;

    /// Returns the first places of a range, at most [`MOST`](Self::MOST), and those of them that `keeps` returns `true` for.
    #[inline]
    pub(crate) fn new(range: Range<u32>, mut keeps: impl FnMut(u32) -> bool) -> Self {
        let range = range.start..range.end.min(range.start + Self::MOST);
        let (mut bits, mut count) = ([0; WORDS], 0);
        for (at, place) in range.clone().enumerate() {
            let keeps = keeps(place);
            bits[at / 64] |= u64::from(keeps) << (at % 64);
            count += u32::from(keeps);
        }
        Self { range, bits, count }
    }

    /// Returns the places that the reader looked at.
    pub(crate) fn range(&self) -> Range<u32> {
        self.range.clone()
    }

    /// Returns the number of the kept places.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Returns the kept places, as ranges in order that do not touch.
    pub(crate) fn runs(&self) -> impl Iterator<Item = Range<u32>> + '_ {
        let (mut at, len) = (0, self.range.end - self.range.start);
        std::iter::from_fn(move || {
            let start = self.next(at, len, 0)?;
            let end = self.next(start, len, u64::MAX).unwrap_or(len);
            at = end;
            Some(self.range.start + start..self.range.start + end)
        })
    }

    /// Returns the kept places if they are one run.
    pub(crate) fn only_run(&self) -> Option<Range<u32>> {
        let first = self.runs().next()?;
        (first.end - first.start == self.count).then_some(first)
    }

    /// Returns the first bit from `at` on, of `len`, that is set; with `flip` of all ones, that is not.
    fn next(&self, at: u32, len: u32, flip: u64) -> Option<u32> {
        let mut mask = u64::MAX << (at % 64);
        for (word, bits) in (0_u32..).zip(&self.bits).skip(at as usize / 64) {
            let found = (bits ^ flip) & mask;
            if found != 0 {
                return Some(word * 64 + found.trailing_zeros()).filter(|&found| found < len);
            }
            mask = u64::MAX;
        }
        None
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn kept_runs_hold_the_kept_places(start in 0..100_u32, bits in prop::collection::vec(prop::bool::weighted(0.8), 0..300)) {
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
        }
    }
}
