use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};

use super::cors::AllowedHeader;
use super::forwarded::{self, ForwardedHost};
use super::head::{RequestHead, SingleHeader};
use super::host::{self, AllowedHost, HostPort};
use super::upgrade_request;
use crate::endpoint::reject::refusal::Refusal;
use crate::endpoint::reject::shorten::shorten;

/// Rule for the pages that may use an endpoint. It is checked first, for every request on every transport.
///
/// A browser sends a user's cookies with the requests of a foreign page, and opens WebSockets without CORS. A page must
/// therefore be of the endpoint's own host, or listed. Origins are compared by scheme, host and port, not as text.
#[derive(Debug, Clone)]
pub(crate) struct OriginRule {
    pub(crate) listed: Vec<AllowedOrigin>,
    /// Set if pages of every origin may read without credentials.
    pub(crate) any: bool,
    /// Request headers that allowed pages may send, besides those that are always allowed.
    pub(crate) headers: Vec<AllowedHeader>,
    /// Set if requests without `Origin` are allowed.
    pub(crate) absent: bool,
    /// Allowed hosts. Empty if any is allowed.
    pub(crate) hosts: Vec<AllowedHost>,
    /// Set if the own host is the one that a proxy names.
    pub(crate) forwarded: bool,
}

impl Default for OriginRule {
    fn default() -> Self {
        Self { listed: Vec::new(), any: false, headers: Vec::new(), absent: true, hosts: Vec::new(), forwarded: false }
    }
}

/// Access of a request that is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// With its credentials.
    Full,
    /// Without cookies, because every page may read.
    Anonymous,
}

/// Origin for the CORS headers of an endpoint that every page may read.
pub(crate) const ANY: HeaderValue = HeaderValue::from_static("*");

impl OriginRule {
    /// Returns the origin for the CORS headers, if there is one, and the access of the request. Refusals have CORS
    /// headers, too: without them a script sees only that the network failed.
    pub(crate) fn check(
        &self,
        parts: &Parts,
        head: &RequestHead<'_>,
    ) -> (Option<HeaderValue>, Result<Access, Refusal>) {
        let listed = self.listed(head);
        let checked = self.allow(parts, head, listed.is_some());
        let any = self.any && !matches!(head.origin, SingleHeader::Absent);
        (listed.or_else(|| any.then_some(ANY)), checked)
    }

    fn allow(&self, parts: &Parts, head: &RequestHead<'_>, listed: bool) -> Result<Access, Refusal> {
        let host = self.host(parts, head)?;
        if self.allows(head, host, listed) {
            return Ok(Access::Full);
        }
        match self.any && only_reads(parts, head) {
            true => Ok(Access::Anonymous),
            false => Err(self.foreign(parts, head)),
        }
    }

    /// Checks a request for a route of the application, to which other sites may link.
    ///
    /// GET, HEAD and OPTIONS of a foreign page are allowed; other methods, which have effects, are not. A WebSocket
    /// handshake is not allowed either: it is a GET, but a foreign page could read the messages.
    pub(crate) fn check_route(&self, parts: &Parts, head: &RequestHead<'_>) -> Result<(), Refusal> {
        let host = self.host(parts, head)?;
        let is_safe = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) && !head.upgrades;
        match is_safe || self.allows(head, host, self.listed(head).is_some()) {
            true => Ok(()),
            false => Err(self.not_own(parts, head)),
        }
    }

    /// Returns the host whose pages are the endpoint's own. `None` if it is not known.
    #[inline]
    fn host<'a>(&self, parts: &'a Parts, head: &RequestHead<'a>) -> Result<Option<HostPort<'a>>, Refusal> {
        let host = host::check(&self.hosts, parts, head)?;
        if !self.forwarded {
            return Ok(host);
        }
        Ok(match forwarded::of(parts) {
            ForwardedHost::Absent => host,
            ForwardedHost::Is(host) => Some(host),
            ForwardedHost::Unclear => None,
        })
    }

    #[cold]
    fn foreign(&self, parts: &Parts, head: &RequestHead<'_>) -> Refusal {
        match head.origin {
            SingleHeader::Once(origin) if self.any && !matches!(head.site, SingleHeader::Repeated) => {
                let origin = shorten(&String::from_utf8_lossy(origin.as_bytes())).to_owned();
                let why = format!("origin {origin:?} may only read: a POST or a WebSocket needs allow_origin");
                Refusal::new(StatusCode::FORBIDDEN, why)
            }
            _ => self.not_own(parts, head),
        }
    }

    /// Returns the refusal of a foreign page. The host is cut after 128 bytes.
    #[cold]
    fn not_own(&self, parts: &Parts, head: &RequestHead<'_>) -> Refusal {
        let forwarded = if self.forwarded { forwarded::of(parts) } else { ForwardedHost::Absent };
        match (self.forwarded, forwarded) {
            (_, ForwardedHost::Is(host)) => {
                foreign(head, &format!("forwarded host {:?}", shorten(&host.shown())), "set X-Forwarded-Host")
            }
            (_, ForwardedHost::Unclear) => {
                foreign(head, "an unclear forwarded host", "set X-Forwarded-Host or Forwarded")
            }
            (is_trusted, ForwardedHost::Absent) => {
                let host = host::text(parts, head).map(shorten);
                let host = host.map_or_else(|| "a request without a host".to_owned(), |host| format!("host {host:?}"));
                let header = if is_trusted { "set X-Forwarded-Host" } else { "keep Host" };
                foreign(head, &host, header)
            }
        }
    }

    /// Returns whether a request comes from a page of the host, from a listed page, or from no page.
    #[inline]
    fn allows(&self, head: &RequestHead<'_>, host: Option<HostPort<'_>>, listed: bool) -> bool {
        let (Ok(site), Ok(origin)) = (head.site.once(), head.origin.once()) else { return false };
        let site = site.map(HeaderValue::as_bytes);
        let own_page = site == Some(b"same-origin");
        match origin.map(Origin::of) {
            Some(Some(origin)) => own_page || listed || host.is_some_and(|host| origin.is_at(host)),
            Some(None) => false,
            // A request for an image or a script of a page has no Origin, but Sec-Fetch-Site.
            None => own_page || (self.absent && matches!(site, None | Some(b"none"))),
        }
    }

    #[inline]
    fn listed(&self, head: &RequestHead<'_>) -> Option<HeaderValue> {
        let value = head.origin.once().ok()??;
        let origin = Origin::of(value)?;
        // Copied, because the header is a slice of the connection's read buffer, which a held answer would keep alive.
        self.listed.iter().any(|listed| listed.is(origin)).then(|| HeaderValue::from_bytes(value.as_bytes()).ok())?
    }
}

/// Returns whether CORS applies to the request of a page, and the request has no effects. A browser sends cookies with
/// a POST and a WebSocket handshake of any page, and with a GET without Origin, such as for an image.
fn only_reads(parts: &Parts, head: &RequestHead<'_>) -> bool {
    matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS)
        && !upgrade_request::is_upgrade_request(parts, head)
        && matches!(head.origin, SingleHeader::Once(_))
        && !matches!(head.site, SingleHeader::Repeated)
}

/// Returns the refusal of a page that is not of this host. The text has the origin and the host, so that an operator can see
/// whether a proxy changed the Host, and the headers that the proxy must set.
#[cold]
fn foreign(head: &RequestHead<'_>, host: &str, header: &str) -> Refusal {
    let shown = |value: &HeaderValue| format!("{:?}", shorten(&String::from_utf8_lossy(value.as_bytes())));
    let why = match (head.origin.once(), head.site.once()) {
        (Err(_), _) => "more than one Origin header: send one".to_owned(),
        (_, Err(_)) => "more than one Sec-Fetch-Site header: send one".to_owned(),
        (Ok(Some(origin)), _) => {
            format!("origin {} is not allowed for {host} (see allow_origin; proxies must {header})", shown(origin))
        }
        (Ok(None), Ok(Some(site))) => {
            format!("no Origin header and Sec-Fetch-Site {}: not allowed for {host} (see allow_origin)", shown(site))
        }
        (Ok(None), Ok(None)) => format!("no Origin header: not allowed for {host} (see allow_absent_origin)"),
    };
    Refusal::new(StatusCode::FORBIDDEN, why)
}

/// Origin (RFC 6454): scheme, host and port.
#[derive(Debug, Clone, Copy)]
struct Origin<'a> {
    scheme: &'a str,
    at: HostPort<'a>,
}

impl<'a> Origin<'a> {
    fn of(value: &'a HeaderValue) -> Option<Self> {
        Self::parse(value.to_str().ok()?)
    }

    fn parse(text: &'a str) -> Option<Self> {
        let (scheme, at) = text.split_once("://")?;
        let named = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
        (named && !scheme.is_empty()).then_some(Self { scheme, at: HostPort::parse(at)? })
    }

    fn is(self, other: Origin<'_>) -> bool {
        self.scheme.eq_ignore_ascii_case(other.scheme) && self.at.same_host(other.at) && self.port() == other.port()
    }

    /// Returns whether the origin is a web page of this host. The scheme is not compared, because a proxy may terminate
    /// TLS. A host without a port has the default port of the origin's scheme.
    fn is_at(self, host: HostPort<'_>) -> bool {
        let Some(default) = self.default_port() else {
            return false;
        };
        self.at.same_host(host) && self.port() == Some(host.port.unwrap_or(default))
    }

    fn port(self) -> Option<u16> {
        self.at.port.or_else(|| self.default_port())
    }

    fn default_port(self) -> Option<u16> {
        [("https", 443), ("http", 80)]
            .into_iter()
            .find(|(scheme, _)| self.scheme.eq_ignore_ascii_case(scheme))
            .map(|(_, port)| port)
    }
}

/// Foreign origin that is allowed.
#[derive(Debug, Clone)]
pub(crate) struct AllowedOrigin(String);

impl AllowedOrigin {
    /// Parses an origin.
    ///
    /// # Panics
    ///
    /// Panics if `text` is not `scheme://host` or `scheme://host:port`. `*` and `null` are not accepted.
    pub(crate) fn new(text: &str) -> Self {
        assert!(
            Origin::parse(text).is_some(),
            "allow_origin takes `scheme://host` or `scheme://host:port`, not {text:?}"
        );
        Self(text.to_owned())
    }

    fn is(&self, origin: Origin<'_>) -> bool {
        Origin::parse(&self.0).is_some_and(|listed| listed.is(origin))
    }
}
