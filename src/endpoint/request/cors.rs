use http::header::ACCESS_CONTROL_REQUEST_HEADERS;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::endpoint::builder::EndpointBuilder;

impl EndpointBuilder {
    /// Allows pages of every origin to read events, without credentials. Their answers have
    /// `Access-Control-Allow-Origin: *`. Default: only pages of the endpoint's own host and of
    /// [`allow_origin`](Self::allow_origin).
    ///
    /// Use it for events that everyone may read. It allows SSE, chunked streams and polls to a page of another origin, and
    /// nothing else:
    ///
    /// - **Cookies** do not authorize such a page. The publisher does not see the `Cookie` header of its requests, and a
    ///   browser does not show a page an answer with `*` to a request with credentials. Pages of the endpoint's own host and
    ///   of `allow_origin` are served with cookies as before.
    /// - **Other data of the request** is not removed. The publisher sees an `Authorization` header, and extensions that an
    ///   outer layer set, such as a user that it found by the cookie. A layer around the endpoint sees the `Cookie` header,
    ///   and a handler that calls [`respond`](crate::Endpoint::respond) sees it too. Do not authorize by these alone.
    /// - **POST and WebSocket** of another origin still get 403: a browser sends cookies with both, and makes no preflight
    ///   before a form's POST or a WebSocket.
    /// - **A request without `Origin`** that another site caused, such as one for an image, a script or a link, still gets 403.
    /// - **[`Endpoint::origin_layer`](crate::Endpoint::origin_layer)** does not change.
    ///
    /// Do not use it for a server that only its address protects, on the loopback interface or in a company's network:
    /// every page in a browser there could read its events. [`allowed_hosts`](Self::allowed_hosts) applies as before. It is
    /// still needed against DNS rebinding: a page whose name was bound to the server's address is a page of the own host.
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

    /// Allows pages of other origins to send this request header. Call it once for each header. Default: `Last-Event-ID`,
    /// `Prefer`, `Authorization`, `Content-Type`, `Cache-Control` and `If-None-Match`, which stay allowed.
    ///
    /// It does not allow an origin. A name that ends in `*` is a prefix: `HX-*` is every header of htmx. Names are
    /// compared without case. The answer to a preflight names the allowed headers that the page asks for.
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
    /// Name or prefix, in lower case.
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

/// Returns the request headers to allow in the answer to a preflight with these headers: those that are always allowed,
/// and those that the page asks for and the list has. A prefix cannot be written in the answer.
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
