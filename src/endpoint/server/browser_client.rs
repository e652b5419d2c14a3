use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use tower_service::Service;

use crate::endpoint::body::Body;

/// Text of the module: the file of the npm package.
const MODULE: &str = include_str!("../../../client/tidings.js");

/// Tag of the module, in quotes: its 64-bit FNV-1a hash in hexadecimal digits.
const TAG: [u8; 18] = tag(MODULE.as_bytes());

/// Returns a service that answers with the browser client of this crate, an ES module.
///
/// Mount it at any path, such as `/tidings.js`, and import it in a page:
///
/// ```
/// use axum::Router;
/// use tidings::{Endpoint, LocalHub, endpoint::browser_client};
///
/// let events = Endpoint::public(&LocalHub::new(), ["news"]);
/// let app: Router = Router::new().route_service("/events", events).route_service("/tidings.js", browser_client());
/// # drop(app);
/// ```
///
/// ```html
/// <script type="module">
///   import { connect } from '/tidings.js';
///   connect('/events', { onevent: ({ data }) => console.log(data) });
/// </script>
/// ```
///
/// | request | answer |
/// |---|---|
/// | GET, HEAD | 200, `text/javascript`, with an `ETag` of the content and `Cache-Control: no-cache`, so that a browser asks again after an update |
/// | the same with this tag in `If-None-Match` | 304 |
/// | other methods | 405 |
///
/// The module has the version of the crate, and is not minified: a compression layer around the route reduces it to about a
/// third. The npm package `tidings` in the folder `client` of the repository has the same file, with its types, for
/// applications with a bundler.
#[must_use]
pub fn browser_client() -> BrowserClient {
    BrowserClient { _private: () }
}

/// Service that [`browser_client`] returns.
#[derive(Debug, Clone)]
pub struct BrowserClient {
    _private: (),
}

impl<B> Service<Request<B>> for BrowserClient {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(answer(&request)))
    }
}

fn answer<B>(request: &Request<B>) -> Response<Body> {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let is_held = request.headers().get_all(IF_NONE_MATCH).iter().any(|line| has_tag(line.as_bytes()));
    let module = || Bytes::from_static(MODULE.as_bytes());
    let mut response = Response::new(if is_held { Body::empty() } else { Body::whole(module()) });
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_bytes(&TAG) {
        headers.insert(ETAG, tag);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if is_held {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    response
}

/// Returns whether a line of `If-None-Match` has the tag of the module, strong or weak, or `*` (RFC 9110 §13.1.2). An ending
/// that a proxy added to the tag, such as `-gzip`, is ignored.
fn has_tag(line: &[u8]) -> bool {
    let tag = &TAG[..TAG.len() - 1];
    line.trim_ascii() == b"*" || line.windows(tag.len()).any(|part| part == tag)
}

/// Returns the tag of a text.
const fn tag(text: &[u8]) -> [u8; 18] {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut at = 0;
    while at < text.len() {
        hash = (hash ^ text[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    let mut tag = [b'"'; 18];
    let mut digit = 0;
    while digit < 16 {
        tag[digit + 1] = b"0123456789abcdef"[(hash >> (60 - 4 * digit)) as usize & 15];
        digit += 1;
    }
    tag
}
