/// Unmasks a client's bytes (RFC 6455 §5.3). Returns the mask, rotated for the byte that follows.
pub(super) fn unmask(bytes: &mut [u8], mut mask: [u8; 4]) -> [u8; 4] {
    const WORD: usize = 16;
    let mut word = [0; WORD];
    word.chunks_exact_mut(4).for_each(|part| part.copy_from_slice(&mask));
    let word = u128::from_ne_bytes(word);

    let mut words = bytes.chunks_exact_mut(WORD);
    for chunk in &mut words {
        let mut masked = [0; WORD];
        masked.copy_from_slice(chunk);
        chunk.copy_from_slice(&(u128::from_ne_bytes(masked) ^ word).to_ne_bytes());
    }
    // A word has a whole number of masks, so the rest begins with the first byte of the mask.
    let rest = words.into_remainder();
    rest.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    mask.rotate_left(rest.len() % 4);
    mask
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::unmask;

    proptest! {
        #[test]
        fn unmask_of_any_parts_equals_unmask_of_the_whole(
            plain in proptest::collection::vec(any::<u8>(), 0..300),
            mask: [u8; 4],
            cuts in proptest::collection::vec(0_usize..300, 0..6),
        ) {
            let mut masked: Vec<u8> = plain.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(plain.len())).collect();
            cuts.push(plain.len());
            cuts.sort_unstable();
            let (mut from, mut turned) = (0, mask);
            for cut in cuts {
                turned = unmask(&mut masked[from..cut], turned);
                from = cut;
            }
            prop_assert_eq!(masked, plain);
        }
    }
}
