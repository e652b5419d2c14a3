use http::header::{ACCESS_CONTROL_REQUEST_HEADERS, FORWARDED};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::forwarded::X_FORWARDED_HOST;
use crate::endpoint::builder::EndpointBuilder;

impl EndpointBuilder {
    /// Allows pages of every origin to read events without credentials, for public events. Default: only pages of the
    /// endpoint's own host and of [`allow_origin`](Self::allow_origin).
    ///
    /// Answers to other origins have `Access-Control-Allow-Origin: *`. Pages of other origins can use SSE, chunked
    /// streams and polls, and nothing else:
    ///
    /// - **Cookies** do not authorize such a page. A browser does not show a page an answer with `*` to a request with
    ///   credentials, and the publisher does not get the `Cookie` header of such a request. Pages of the own host and
    ///   of `allow_origin` are served with cookies as before.
    /// - **Other data of the request** is not removed. The publisher gets an `Authorization` header, and extensions
    ///   that an outer layer set, such as a user that the layer found by the cookie. A layer around the endpoint gets
    ///   the `Cookie` header, and so does a handler that calls [`respond`](crate::Endpoint::respond). Do not authorize
    ///   by these alone.
    /// - **POST and WebSocket** of another origin still get 403, because a browser sends cookies with both, and sends
    ///   no preflight before a form's POST or a WebSocket.
    /// - **A request without `Origin`** that another site caused, such as for an image, a script or a link, still gets
    ///   403.
    /// - **[`Endpoint::origin_layer`](crate::Endpoint::origin_layer)** is not affected.
    ///
    /// Do not use it for a server that only its address protects, on the loopback interface or in a company's network:
    /// every page in a browser there could read its events. [`allowed_hosts`](Self::allowed_hosts) is still needed
    /// against DNS rebinding, which makes a foreign page one of the own host.
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

    /// Allows pages of allowed origins to send this request header. `Last-Event-ID`, `Prefer`, `Authorization`,
    /// `Content-Type`, `Cache-Control` and `If-None-Match` are always allowed. Call it once for each header.
    ///
    /// A name that ends in `*` is a prefix: `HX-*` allows every header of htmx. `Forwarded` and `X-Forwarded-Host` are never allowed. Names are compared without case. The
    /// answer to a preflight lists the headers that the page asks for and that are allowed.
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
    /// Panics if `name` is neither a header name nor a prefix of one followed by `*`. `*` alone is not allowed.
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
    /// Parses a header name, or a prefix followed by `*`.
    ///
    /// # Panics
    ///
    /// Panics if `text` is neither.
    fn new(text: &str) -> Self {
        let (name, is_prefix) = text.strip_suffix('*').map_or((text, false), |prefix| (prefix, true));
        let name = HeaderName::from_bytes(name.as_bytes()).ok().filter(|_| !name.contains('*'));
        assert!(name.is_some(), "allow_request_header takes a header name, or a prefix such as `HX-*`, not {text:?}");
        Self { name: name.map(|name| name.as_str().to_owned()).unwrap_or_default(), is_prefix }
    }

    /// Returns whether it allows the header with this lower-case name.
    fn allows(&self, name: &str) -> bool {
        name == self.name || (self.is_prefix && name.starts_with(&self.name))
    }
}

/// Returns the value of `Access-Control-Allow-Headers` for a preflight: the headers that are always allowed, and those
/// that the page asks for and `allowed` has, without those that only a proxy may set. A prefix cannot be written in the answer.
pub(crate) fn allow_headers(allowed: &[AllowedHeader], preflight: &HeaderMap) -> HeaderValue {
    let always = HeaderValue::from_static(ALWAYS);
    if allowed.is_empty() {
        return always;
    }
    let lines = preflight.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter().filter_map(|line| line.to_str().ok());
    let asked =
        lines.flat_map(|line| line.split(',')).filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok());
    let mut list = ALWAYS.to_owned();
    let of_proxy = |name: &HeaderName| *name == FORWARDED || *name == X_FORWARDED_HOST;
    for name in asked.filter(|name| !of_proxy(name) && allowed.iter().any(|allowed| allowed.allows(name.as_str()))) {
        list.push_str(", ");
        list.push_str(name.as_str());
    }
    HeaderValue::try_from(list).unwrap_or(always)
}
