use std::fmt::Write;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;

/// Appends a JSON string (RFC 8259 §7). Escapes `"`, `\` and U+0000–U+001F, and copies all other UTF-8 unchanged.
pub(crate) fn write_string(text: &[u8], out: &mut BytesMut) {
    out.extend_from_slice(b"\"");
    let mut rest = text;
    loop {
        let (plain, special) = rest.split_at(plain_prefix(rest));
        out.extend_from_slice(plain);
        let Some((&byte, after)) = special.split_first() else { break };
        escape(byte, out);
        rest = after;
    }
    out.extend_from_slice(b"\"");
}

/// Appends bytes in base64 with padding (RFC 4648 §4).
pub(crate) fn write_base64(bytes: &[u8], out: &mut BytesMut) {
    out.reserve(bytes.len().div_ceil(3) * 4);
    // Writing into memory does not fail.
    let _ = write!(out, "{}", Base64Display::new(bytes, &STANDARD));
}

fn escape(byte: u8, out: &mut BytesMut) {
    let short = match byte {
        b'"' => b"\\\"",
        b'\\' => b"\\\\",
        b'\n' => b"\\n",
        b'\r' => b"\\r",
        b'\t' => b"\\t",
        0x08 => b"\\b",
        0x0c => b"\\f",
        _ => {
            let hex = |digit: u8| b"0123456789abcdef"[usize::from(digit & 0xf)];
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte)]);
            return;
        }
    };
    out.extend_from_slice(short);
}

/// Returns the number of bytes at the beginning that need no escape. Checks eight bytes at a time.
fn plain_prefix(bytes: &[u8]) -> usize {
    let words = bytes.chunks_exact(8).map_while(|word| word.try_into().ok()).map(u64::from_ne_bytes);
    let whole = words.take_while(|&word| !has_special(word)).count() * 8;
    whole + bytes[whole..].iter().take_while(|&&byte| byte >= 0x20 && byte != b'"' && byte != b'\\').count()
}

/// Returns whether one of a word's bytes needs an escape.
fn has_special(word: u64) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    // A subtraction borrows into the high bit of a byte that is less. A bit that was set before does not count.
    let less = |word: u64, than: u64| word.wrapping_sub(ONES * than) & !word & HIGH;
    let equal = |byte: u8| less(word ^ (ONES * u64::from(byte)), 1);
    less(word, 0x20) | equal(b'"') | equal(b'\\') != 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn plain_prefix_by_words_equals_prefix_by_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64), at in 0..64_usize) {
            let mut plain: Vec<u8> = bytes.iter().map(|byte| byte | 0x80).collect();
            if let (Some(place), Some(&byte)) = (plain.get_mut(at), bytes.get(at)) {
                *place = byte;
            }
            for bytes in [&bytes, &plain] {
                let naive = bytes.iter().position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\'));
                prop_assert_eq!(plain_prefix(bytes), naive.unwrap_or(bytes.len()));
            }
        }
    }
}
