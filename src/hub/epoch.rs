use std::hash::{BuildHasher, Hasher, RandomState};

use crate::time::milliseconds_since_1970;

/// Number of random bits of an epoch.
const RANDOM_BITS: u32 = 22;

/// Smallest and largest time of an epoch in milliseconds since 1970: those of 2005-10-19 and of 2109-05-15. With the random
/// bits they are the first and the last of the 64-bit numbers with 13 digits in base 36.
const TIMES: (u64, u64) = (36_u64.pow(12).div_ceil(1 << RANDOM_BITS), u64::MAX >> RANDOM_BITS);

/// Returns the epoch of a hub that is built now: the time, so that cursors of a later run compare greater, and 22 random
/// bits, so that hubs that are built in the same millisecond differ.
pub(crate) fn epoch_now() -> u64 {
    // The standard library seeds a RandomState from the operating system's randomness.
    epoch(milliseconds_since_1970(), RandomState::new().build_hasher().finish())
}

/// Returns the epoch of a time in milliseconds since 1970. It has 13 digits in base 36. A time before 2005-10-19 counts as
/// that day, and one after 2109-05-15 as that day: such epochs are random in their last 22 bits and not ordered by time.
fn epoch(milliseconds: u64, random: u64) -> u64 {
    milliseconds.clamp(TIMES.0, TIMES.1) << RANDOM_BITS | random >> (u64::BITS - RANDOM_BITS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Cursor;

    proptest! {
        #[test]
        fn epoch_of_later_millisecond_compares_greater_as_text(
            (earlier, later) in (TIMES.0..TIMES.1).prop_flat_map(|time| (Just(time), time + 1..=TIMES.1)),
            random: [u64; 2],
            sequences: [u64; 2],
        ) {
            let before = Cursor::new(epoch(earlier, random[0]), sequences[0]).to_string();
            let after = Cursor::new(epoch(later, random[1]), sequences[1]).to_string();
            prop_assert!(before < after, "{before} {after}");
        }

        #[test]
        fn epoch_of_any_time_has_13_digits(milliseconds: u64, random: u64) {
            for time in [milliseconds, milliseconds >> RANDOM_BITS, 0, TIMES.0, TIMES.1, u64::MAX] {
                let text = Cursor::new(epoch(time, random), 0).to_string();
                prop_assert_eq!(text.find('.'), Some(13), "{}", text);
            }
        }
    }

    #[test]
    fn epochs_of_one_millisecond_differ_by_random_bits() {
        let time = 1_796_000_000_000;
        assert_ne!(epoch(time, 0), epoch(time, u64::MAX));
        assert_eq!(epoch(time, u64::MAX) >> RANDOM_BITS, time);
        assert_eq!(epoch(time, u64::MAX) - epoch(time, 0), (1 << RANDOM_BITS) - 1);
    }

    #[test]
    fn epoch_now_holds_the_time_at_which_it_was_made() {
        let before = milliseconds_since_1970();
        let made = epoch_now() >> RANDOM_BITS;
        assert!((before..=milliseconds_since_1970()).contains(&made), "{before} {made}");
    }
}
