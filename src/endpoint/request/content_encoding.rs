use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::endpoint::reject::refusal::Refusal;

/// Text of the refusal.
const IDENTITY_ONLY: &str = "content-encoding is not supported: send the body uncompressed";

/// Refuses an encoded body with 415 and the accepted encoding (RFC 9110 §12.5.3). The endpoint does not decompress, so
/// a small body cannot become a large one.
pub(crate) fn check(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers.get_all(CONTENT_ENCODING).iter().all(is_identity) {
        true => Ok(()),
        false => Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, IDENTITY_ONLY)
            .with_header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))),
    }
}

/// Returns whether one line of the header names no encoding but `identity`.
fn is_identity(line: &HeaderValue) -> bool {
    let is = |coding: &str| coding.trim().is_empty() || coding.trim().eq_ignore_ascii_case("identity");
    line.to_str().is_ok_and(|line| line.split(',').all(is))
}
