use http::StatusCode;
use http::request::Parts;

use super::refusal::Refusal;

/// Whether a request's target, and the names and values of its headers, are `max` bytes together or fewer: 431 where
/// they are more (RFC 6585 §5), 414 where the target alone is.
///
/// The HTTP stack has read them by then, under its own limit. This one bounds what is done with them: a publisher's
/// work, and the copy that a WebSocket's session keeps.
pub(super) fn check(parts: &Parts, max: usize) -> Result<(), Refusal> {
    let target = parts.uri.path().len() + parts.uri.query().map_or(0, |query| query.len() + 1);
    let refuse = |status, what| Err(Refusal::new(status, format!("a request's {what} is at most {max} bytes here")));
    if target > max {
        return refuse(StatusCode::URI_TOO_LONG, "target");
    }
    let headers: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    match target + headers > max {
        true => refuse(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "head"),
        false => Ok(()),
    }
}
