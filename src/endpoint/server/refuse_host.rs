use bytes::Bytes;
use http::Response;
use http::request::Parts;

use crate::endpoint::request::head::RequestHead;
use crate::endpoint::request::host::{AllowedHost, check};
use crate::endpoint::response::{answer, headers};

/// Returns the refusal of a request whose host is not allowed: 421 (RFC 9110 §15.5.20), or 400 if the host is missing
/// or malformed. `None` if the request may continue.
pub(crate) fn refuse_host(allowed: &[AllowedHost], parts: &Parts) -> Option<Response<Bytes>> {
    let refusal = check(allowed, parts, &RequestHead::of(parts)).err()?;
    let mut response = answer::text(refusal, None);
    headers::add_common_headers(&mut response, None);
    Some(response)
}
