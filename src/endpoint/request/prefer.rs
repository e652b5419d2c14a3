use std::time::Duration;

use http::HeaderValue;

/// Returns the time of `Prefer: wait=N` (RFC 7240 §4.3).
///
/// The first well-formed `wait` of a header line counts. Malformed preferences are ignored, as the RFC permits.
pub(crate) fn wait(line: &HeaderValue) -> Option<Duration> {
    let line = line.to_str().ok()?;
    // Most lines have nothing else.
    line.strip_prefix("wait=").and_then(seconds).or_else(|| split(line).find_map(of_one))
}

/// Returns the time of one preference.
fn of_one(preference: &str) -> Option<Duration> {
    // Parameters follow after semicolons; `wait` has none.
    let (name, value) = preference.split(';').next()?.split_once('=')?;
    name.trim().eq_ignore_ascii_case("wait").then(|| seconds(unquote(value.trim())))?
}

/// Parses a whole number of seconds. A number above `u64::MAX` becomes `u64::MAX`.
pub(crate) fn seconds(digits: &str) -> Option<Duration> {
    let number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    number.then(|| Duration::from_secs(digits.parse().unwrap_or(u64::MAX)))
}

/// Splits a list header into its elements (RFC 9110 §5.6.1). Commas inside quotes do not separate.
fn split(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let (mut quoted, mut escaped) = (false, false);
        let comma = line.bytes().position(|byte| {
            let literal = std::mem::replace(&mut escaped, false);
            match byte {
                _ if literal => {}
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b',' => return !quoted,
                _ => {}
            }
            false
        });
        rest = comma.map(|at| &line[at + 1..]);
        Some(&line[..comma.unwrap_or(line.len())])
    })
}

fn unquote(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}
