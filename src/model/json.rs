//! Rules for JSON beyond RFC 8259. Common parsers reject values that break them, and with them the whole reply.

use super::{Event, EventError};

/// Checks JSON text with a valid grammar.
///
/// Rejects unpaired surrogates, nesting deeper than [`Event::MAX_JSON_DEPTH`], and numbers above the largest double.
pub(super) fn check(json: &[u8]) -> Result<(), EventError> {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(&byte) = json.get(at) {
        at = match byte {
            b'"' => string_end(json, at + 1)?,
            b'-' | b'0'..=b'9' => number_end(json, at)?,
            b'[' | b'{' => {
                depth += 1;
                if depth > Event::MAX_JSON_DEPTH {
                    return Err(EventError::JsonTooDeep { at });
                }
                at + 1
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                at + 1
            }
            _ => at + 1,
        };
    }
    Ok(())
}

/// Returns the offset after the closing quote of a string or a name. `at` is the offset after the opening quote.
fn string_end(json: &[u8], mut at: usize) -> Result<usize, EventError> {
    loop {
        match json.get(at) {
            None => return Ok(at),
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => {
                at += match code_unit(json, at) {
                    None => 2,
                    Some(0xd800..=0xdbff) if matches!(code_unit(json, at + 6), Some(0xdc00..=0xdfff)) => 12,
                    Some(0xd800..=0xdfff) => return Err(EventError::UnpairedSurrogate { at }),
                    Some(_) => 6,
                }
            }
            Some(_) => at += 1,
        }
    }
}

/// Returns the UTF-16 code unit of the escape at `at`, if it is `\u` and four hexadecimal digits.
fn code_unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at.checked_add(6)?)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Returns the offset after the number at `at`.
fn number_end(json: &[u8], at: usize) -> Result<usize, EventError> {
    /// Number of bytes up to which a number without an exponent is at most 1e300.
    const SMALL: usize = 300;

    let rest = json.get(at..).unwrap_or_default();
    let is_part = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    let number = &rest[..rest.iter().take_while(is_part).count()];
    let is_small = number.len() <= SMALL && !number.iter().any(|byte| matches!(byte, b'e' | b'E'));
    // serde_json parses it, because it rounds differently from the standard library near the largest double.
    if is_small || serde_json::from_slice::<f64>(number).is_ok_and(f64::is_finite) {
        Ok(at + number.len())
    } else {
        Err(EventError::JsonNumberTooLarge { at })
    }
}
