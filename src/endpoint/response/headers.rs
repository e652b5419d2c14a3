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

/// When to come again, in milliseconds.
pub(crate) const TIDINGS_RETRY_MS: HeaderName = HeaderName::from_static("tidings-retry-ms");

/// Which preference was honoured (RFC 7240 §3).
pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Methods that an endpoint accepts.
pub(crate) const METHODS: &str = "GET, HEAD, POST, OPTIONS";

/// As many as an answer mostly has at most, listed origin and all: room for them at once costs less than to grow.
pub(crate) const MOST: usize = 12;
/// As many as a stream's answer has without a listed origin.
pub(crate) const FEW: usize = 6;

/// The head that the replies of all polls have in common, but for their values; the second with a preference that was
/// applied. What is yet to be filled in comes first, to be found soon.
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

/// A wait that was applied, for each number of seconds up to these: written when it first was, and kept for good.
#[cfg(any(feature = "short-poll", feature = "long-poll"))]
static WAITS: [OnceLock<HeaderValue>; 64] = [const { OnceLock::new() }; 64];

const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Puts on what every answer has, errors too: it is in no cache and in no proxy's buffer, it is what its type says,
/// and it may differ by origin. A listed origin may read it.
pub(crate) fn add_common_headers<B>(response: &mut Response<B>, origin: Option<&HeaderValue>) {
    let headers = response.headers_mut();
    // A poll's reply has them from the start.
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

/// Adds the headers that every answer has.
fn insert_common_headers(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
    // nginx else holds a stream back until it ends.
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(VARY, HeaderValue::from_static("Origin"));
}

/// The head of a poll's reply, dressed, that tells the client to come again at once, and for how long it was ready to be
/// held. Made once, since to copy it costs less than to look up places for its names.
#[cfg(any(feature = "short-poll", feature = "long-poll"))]
pub(crate) fn of_reply(tag: Option<HeaderValue>, wait: Option<u32>) -> HeaderMap {
    let [plain, applied] = &*REPLIES;
    let mut headers = match wait {
        None => plain.clone(),
        Some(wait) => {
            let mut headers = applied.clone();
            fill_in(&mut headers, &PREFERENCE_APPLIED, waited(wait));
            headers
        }
    };
    match tag {
        Some(tag) => fill_in(&mut headers, &ETAG, tag),
        None => drop(headers.remove(ETAG)),
    }
    headers
}

/// Gives a header that is there its value. To go over the first few names costs less than to look one up.
#[cfg(any(feature = "short-poll", feature = "long-poll"))]
fn fill_in(headers: &mut HeaderMap, name: &HeaderName, value: HeaderValue) {
    if let Some((_, place)) = headers.iter_mut().find(|(other, _)| *other == name) {
        *place = value;
    }
}

#[cfg(any(feature = "short-poll", feature = "long-poll"))]
fn waited(seconds: u32) -> HeaderValue {
    match usize::try_from(seconds).ok().and_then(|at| WAITS.get(at)) {
        // Leaked, since it is kept for good: its clones then share no count.
        Some(known) => known.get_or_init(|| HeaderValue::from_static(format!("wait={seconds}").leak())).clone(),
        None => written("wait=", seconds.into()),
    }
}

/// A number as a header's value.
pub(crate) fn number(number: u128) -> HeaderValue {
    written("", u64::try_from(number).unwrap_or(u64::MAX))
}

/// A number after a name, as a header's value.
fn written(name: &'static str, number: u64) -> HeaderValue {
    let mut digits = itoa::Buffer::new();
    let text = [name, digits.format(number)].concat();
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("0"))
}

/// Says that the connection ends with the body: an HTTP/1.0 stream has no other end (RFC 9112 §6.3). Later versions
/// must not be told so: HTTP/2 forbids the header.
pub(crate) fn close_after_stream(response: &mut Response<Body>, version: Version) {
    if version < Version::HTTP_11 {
        // Hyper adds `keep-alive` to what an HTTP/1.0 client that asks for it gets in a later version.
        *response.version_mut() = version;
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Returns the answer to OPTIONS; for an allowed origin, also that to a preflight (Fetch §4.8).
pub(crate) fn options(origin: Option<&HeaderValue>, allow_headers: impl FnOnce() -> HeaderValue) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static(METHODS));
    if let Some(origin) = origin {
        let methods = if origin == ANY { "GET, HEAD" } else { "GET, HEAD, POST" };
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allow_headers());
        // The longest that Chromium keeps one.
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
    }
    response
}
