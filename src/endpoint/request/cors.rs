use http::header::ACCESS_CONTROL_REQUEST_HEADERS;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::endpoint::builder::EndpointBuilder;

impl EndpointBuilder {
    /// Lets pages of every origin read events, without credentials. Their answers have `Access-Control-Allow-Origin: *`.
    /// Default: only pages of the endpoint's own host and of [`allow_origin`](Self::allow_origin).
    ///
    /// For events that everyone may read. It allows SSE, chunked streams and polls to a page of another origin, and nothing
    /// else:
    ///
    /// - **Cookies** do not authorize such a page. A browser gives a page no answer with `*` to a request that it sent
    ///   credentials with, and the publisher is not shown the `Cookie` header of such a request. Pages of the own host and of
    ///   `allow_origin` are served with cookies as before.
    /// - **Other data of the request** is not removed. The publisher sees an `Authorization` header, and extensions that an
    ///   outer layer set, such as a user that it found by the cookie. A layer around the endpoint sees the `Cookie` header,
    ///   and so does a handler that calls [`respond`](crate::Endpoint::respond). Do not authorize by these alone.
    /// - **POST and WebSocket** of another origin still get 403: a browser sends cookies with both, and makes no preflight
    ///   before a form's POST or a WebSocket.
    /// - **A request without `Origin`** that another site caused, such as one for an image, a script or a link, still gets 403.
    /// - **[`Endpoint::origin_layer`](crate::Endpoint::origin_layer)** does not change.
    ///
    /// Do not use it for a server that only its address protects, on the loopback interface or in a company's network:
    /// every page that a browser there shows could read its events. [`allowed_hosts`](Self::allowed_hosts) applies as
    /// before, and is needed against DNS rebinding as before: a page that was bound to the server's address by its name is of
    /// the own host.
    ///
    /// ```
    /// # fn with(publisher: impl tidings::Publisher) -> tidings::Endpoint {
    /// tidings::Endpoint::builder(publisher).allow_any_origin().build()
    /// # }
    /// ```
    pub fn allow_any_origin(mut self) -> Self {
        self.config.origins.any = true;
        self
    }

    /// Allows pages of other origins that are allowed at all to send this request header, beside `Last-Event-ID`, `Prefer`,
    /// `Authorization`, `Content-Type`, `Cache-Control` and `If-None-Match`. Call it once for each header.
    ///
    /// A name that ends in `*` is a prefix: `HX-*` is every header of htmx. Names have no case. The answer to a preflight
    /// names those headers that the page asks for and that are allowed.
    ///
    /// ```
    /// # fn with(publisher: impl tidings::Publisher) -> tidings::Endpoint {
    /// tidings::Endpoint::builder(publisher)
    ///     .allow_origin("https://app.example.com")
    ///     .allow_request_header("traceparent")
    ///     .allow_request_header("HX-*")
    ///     .build()
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if `name` is not a header's name, or a prefix of one with `*` after it. `*` alone is not allowed.
    pub fn allow_request_header(mut self, name: impl AsRef<str>) -> Self {
        self.config.origins.headers.push(AllowedHeader::new(name.as_ref()));
        self
    }
}

/// Request headers that every allowed page may send.
const ALWAYS: &str = "Last-Event-ID, Prefer, Authorization, Content-Type, Cache-Control, If-None-Match";

/// Request header that pages of other origins may send.
#[derive(Debug, Clone)]
pub(crate) struct AllowedHeader {
    /// In lower case.
    name: String,
    is_prefix: bool,
}

impl AllowedHeader {
    /// # Panics
    ///
    /// Panics if `text` is not a header's name, or a prefix of one with `*` after it.
    fn new(text: &str) -> Self {
        let (name, is_prefix) = text.strip_suffix('*').map_or((text, false), |prefix| (prefix, true));
        let name = HeaderName::from_bytes(name.as_bytes()).ok().filter(|_| !name.contains('*'));
        assert!(name.is_some(), "allow_request_header takes a header's name, or a prefix as `HX-*`, not {text:?}");
        Self { name: name.map(|name| name.as_str().to_owned()).unwrap_or_default(), is_prefix }
    }

    /// Returns whether it allows a header of this name, which is in lower case.
    fn allows(&self, name: &str) -> bool {
        name == self.name || (self.is_prefix && name.starts_with(&self.name))
    }
}

/// Returns the request headers to allow in the answer to a preflight with these headers: those that are always allowed, and
/// of those that the page asks for the ones that are in the list. A prefix cannot be written in the answer.
pub(crate) fn allow_headers(allowed: &[AllowedHeader], preflight: &HeaderMap) -> HeaderValue {
    let always = HeaderValue::from_static(ALWAYS);
    if allowed.is_empty() {
        return always;
    }
    let lines = preflight.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter().filter_map(|line| line.to_str().ok());
    let asked =
        lines.flat_map(|line| line.split(',')).filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok());
    let mut list = ALWAYS.to_owned();
    for name in asked.filter(|name| allowed.iter().any(|allowed| allowed.allows(name.as_str()))) {
        list.push_str(", ");
        list.push_str(name.as_str());
    }
    HeaderValue::try_from(list).unwrap_or(always)
}
