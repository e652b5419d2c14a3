use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, CACHE_CONTROL,
    CONNECTION, VARY, X_CONTENT_TYPE_OPTIONS,
};
#[cfg(any(feature = "short-poll", feature = "long-poll"))]
use http::header::{CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};
#[cfg(any(feature = "short-poll", feature = "long-poll"))]
use std::sync::{LazyLock, OnceLock};

use crate::endpoint::body::Body;
use crate::endpoint::request::origin::ANY;

/// Header with the time after which the client is to send its next request, in milliseconds.
pub(crate) const TIDINGS_RETRY_MS: HeaderName = HeaderName::from_static("tidings-retry-ms");

/// Header with the preference that was applied (RFC 7240 §3).
pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Methods that an endpoint accepts.
pub(crate) const METHODS: &str = "GET, HEAD, POST, OPTIONS";

/// Number of headers that most answers have at most, CORS headers included. One allocation costs less than growing the
/// map.
pub(crate) const CAPACITY: usize = 12;
/// Number of headers that a stream's answer has without CORS headers.
pub(crate) const STREAM_CAPACITY: usize = 6;

/// Heads of poll replies, to be cloned; the second one has `Preference-Applied`. The headers whose values are set later
/// come first, where `set` finds them soonest.
#[cfg(any(feature = "short-poll", feature = "long-poll"))]
static REPLIES: LazyLock<[HeaderMap; 2]> = LazyLock::new(|| {
    [false, true].map(|is_applied| {
        let mut headers = HeaderMap::new();
        headers.insert(ETAG, HeaderValue::from_static(""));
        if is_applied {
            headers.insert(PREFERENCE_APPLIED, HeaderValue::from_static(""));
        }
        insert_common_headers(&mut headers);
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(TIDINGS_RETRY_MS, HeaderValue::from_static("0"));
        headers
    })
});

/// Values of `Preference-Applied` for a wait of 0 to 63 s. Each is made at its first use and kept.
#[cfg(any(feature = "short-poll", feature = "long-poll"))]
static WAITS: [OnceLock<HeaderValue>; 64] = [const { OnceLock::new() }; 64];

/// Header that asks proxies to pass on each part of a body as it comes (RFC 10036).
const INCREMENTAL: HeaderName = HeaderName::from_static("incremental");

const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Adds the headers that every answer has, refusals included: no caching, no buffering in proxies, no type sniffing,
/// and `Vary: Origin`. Adds the CORS headers for `origin`, if there is one.
pub(crate) fn add_common_headers<B>(response: &mut Response<B>, origin: Option<&HeaderValue>) {
    let headers = response.headers_mut();
    // A poll reply is cloned with them.
    if !headers.keys().any(|name| *name == CACHE_CONTROL) {
        insert_common_headers(headers);
    }
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if origin != ANY {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        let readable = HeaderValue::from_static("ETag, Preference-Applied, Retry-After, Tidings-Retry-Ms");
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, readable);
    }
}

/// Inserts the headers that do not depend on the request.
fn insert_common_headers(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
    // Without it nginx buffers a stream.
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(VARY, HeaderValue::from_static("Origin"));
}

/// Returns the head of a poll reply, with the common headers, `Tidings-Retry-Ms: 0`, and `wait` as
/// `Preference-Applied`. It is a clone of a prepared map, which costs less than inserting each header.
#[cfg(any(feature = "short-poll", feature = "long-poll"))]
#[inline(always)]
pub(crate) fn of_reply(tag: Option<HeaderValue>, wait: Option<u32>) -> HeaderMap {
    let [plain, applied] = &*REPLIES;
    let mut headers = match wait {
        None => plain.clone(),
        Some(wait) => {
            let mut headers = applied.clone();
            set(&mut headers, &PREFERENCE_APPLIED, wait_value(wait));
            headers
        }
    };
    match tag {
        Some(tag) => set(&mut headers, &ETAG, tag),
        None => drop(headers.remove(ETAG)),
    }
    headers
}

/// Sets the value of a header that is in the map. Comparing the first few names costs less than a lookup.
#[cfg(any(feature = "short-poll", feature = "long-poll"))]
fn set(headers: &mut HeaderMap, name: &HeaderName, value: HeaderValue) {
    if let Some((_, place)) = headers.iter_mut().find(|(other, _)| *other == name) {
        *place = value;
    }
}

#[cfg(any(feature = "short-poll", feature = "long-poll"))]
fn wait_value(seconds: u32) -> HeaderValue {
    let value = || HeaderValue::try_from(format!("wait={seconds}")).unwrap_or(HeaderValue::from_static(""));
    match usize::try_from(seconds).ok().and_then(|at| WAITS.get(at)) {
        Some(known) => known.get_or_init(value).clone(),
        None => value(),
    }
}

/// Returns a number as a header value.
pub(crate) fn number(number: u128) -> HeaderValue {
    u64::try_from(number).unwrap_or(u64::MAX).into()
}

/// Adds the headers of a stream: `Incremental: ?1`, and over HTTP/1.0 `Connection: close`, because the body ends with the
/// connection (RFC 9112 §6.3). Later versions do not get the latter: HTTP/2 forbids it.
pub(crate) fn add_stream_headers(response: &mut Response<Body>, version: Version) {
    response.headers_mut().insert(INCREMENTAL, HeaderValue::from_static("?1"));
    if version < Version::HTTP_11 {
        // hyper adds `keep-alive` to a response of a later version if the HTTP/1.0 client asks for it.
        *response.version_mut() = version;
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Returns the answer to OPTIONS. For an allowed origin it is also the answer to a preflight (Fetch §4.8).
pub(crate) fn options(origin: Option<&HeaderValue>, allow_headers: impl FnOnce() -> HeaderValue) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static(METHODS));
    if let Some(origin) = origin {
        let methods = if origin == ANY { "GET, HEAD" } else { "GET, HEAD, POST" };
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allow_headers());
        // 7,200 s is the maximum that Chromium applies.
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
    }
    response
}
