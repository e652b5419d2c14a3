use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};

use super::asked;
use super::cors::AllowedHeader;
use super::head::{Head, Line};
use super::host::{self, AllowedHost, HostPort};
use crate::endpoint::reject::refusal::Refusal;
use crate::endpoint::reject::refused::shorten;

/// Rule for the pages that may use an endpoint. It is checked first for each request, on every transport.
///
/// A browser sends a user's cookies with each request of a foreign page, and opens a WebSocket without CORS. So a page
/// must be one of the endpoint's own, or listed. Origins are compared by scheme, host and port, never as text.
#[derive(Debug, Clone)]
pub(crate) struct OriginRule {
    pub(crate) listed: Vec<AllowedOrigin>,
    /// Whether pages of every origin may read without credentials.
    pub(crate) any: bool,
    /// Request headers that allowed pages may send, besides those that every allowed page may send.
    pub(crate) headers: Vec<AllowedHeader>,
    pub(crate) absent: bool,
    /// Hosts that the endpoint answers for. Empty: any.
    pub(crate) hosts: Vec<AllowedHost>,
}

impl Default for OriginRule {
    fn default() -> Self {
        Self { listed: Vec::new(), any: false, headers: Vec::new(), absent: true, hosts: Vec::new() }
    }
}

/// Access of a request that may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// With the credentials that it came with.
    Full,
    /// Without cookies: it comes from a page that has only the access of every page.
    Anonymous,
}

/// Origin in the CORS headers of an endpoint that every page may read.
pub(crate) const ANY: HeaderValue = HeaderValue::from_static("*");

impl OriginRule {
    /// Returns the origin to name in CORS headers, if there is one, and the access of the request or its refusal. Refusals
    /// have the headers too: without them a page's script sees only that the network failed.
    pub(crate) fn check(&self, parts: &Parts, head: &Head<'_>) -> (Option<HeaderValue>, Result<Access, Refusal>) {
        let listed = self.listed(head);
        let checked = self.allow(parts, head, listed.is_some());
        let any = self.any && !matches!(head.origin, Line::Absent);
        (listed.or_else(|| any.then_some(ANY)), checked)
    }

    fn allow(&self, parts: &Parts, head: &Head<'_>, listed: bool) -> Result<Access, Refusal> {
        let host = host::check(&self.hosts, parts, head)?;
        if self.allows(head, host, listed) {
            return Ok(Access::Full);
        }
        match self.any && only_reads(parts, head) {
            true => Ok(Access::Anonymous),
            false => Err(self.foreign(parts, head)),
        }
    }

    /// Checks a request for a route of the application itself, which links of other sites may lead to.
    ///
    /// A foreign page must not change anything, so GET, HEAD and OPTIONS are allowed to it and other methods are not. A
    /// WebSocket's handshake is a GET that a foreign page can read the answer of, and so not allowed either.
    pub(crate) fn check_route(&self, parts: &Parts, head: &Head<'_>) -> Result<(), Refusal> {
        let host = host::check(&self.hosts, parts, head)?;
        let is_safe = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) && !head.upgrades;
        match is_safe || self.allows(head, host, self.listed(head).is_some()) {
            true => Ok(()),
            false => Err(foreign(parts, head)),
        }
    }

    #[cold]
    fn foreign(&self, parts: &Parts, head: &Head<'_>) -> Refusal {
        match head.origin {
            Line::Once(origin) if self.any && !matches!(head.site, Line::Twice) => {
                let origin = shorten(&String::from_utf8_lossy(origin.as_bytes())).to_owned();
                let why = format!("origin {origin:?} may only read here: a POST or a WebSocket needs allow_origin");
                Refusal::new(StatusCode::FORBIDDEN, why)
            }
            _ => foreign(parts, head),
        }
    }

    /// Returns whether the page that a request comes from is the host's own, or listed, or none.
    #[inline]
    fn allows(&self, head: &Head<'_>, host: Option<HostPort<'_>>, listed: bool) -> bool {
        let (Ok(site), Ok(origin)) = (head.site.once(), head.origin.once()) else { return false };
        let site = site.map(HeaderValue::as_bytes);
        let own_page = site == Some(b"same-origin");
        match origin.map(Origin::of) {
            Some(Some(origin)) => own_page || listed || host.is_some_and(|host| origin.is_at(host)),
            Some(None) => false,
            // A page's image or script carries no Origin, but it tells where it comes from.
            None => own_page || (self.absent && matches!(site, None | Some(b"none"))),
        }
    }

    #[inline]
    fn listed(&self, head: &Head<'_>) -> Option<HeaderValue> {
        let value = head.origin.once().ok()??;
        let origin = Origin::of(value)?;
        // A copy: the header is a slice of the connection's read buffer, which a held answer would keep.
        self.listed.iter().any(|listed| listed.is(origin)).then(|| HeaderValue::from_bytes(value.as_bytes()).ok())?
    }
}

/// Returns whether a page's request is one that CORS governs and that changes nothing. A browser sends cookies with a POST
/// and a WebSocket's handshake of any page, and with a GET without Origin, such as an image's.
fn only_reads(parts: &Parts, head: &Head<'_>) -> bool {
    matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS)
        && !asked::is_asked(parts, head)
        && matches!(head.origin, Line::Once(_))
        && !matches!(head.site, Line::Twice)
}

/// Returns the refusal of a foreign page. It names the origin and the host that it was compared with, each cut after 128
/// bytes: with a proxy that changes the Host, they differ for the endpoint's own pages.
#[cold]
fn foreign(parts: &Parts, head: &Head<'_>) -> Refusal {
    let host = host::text(parts, head).map(shorten);
    let host = host.map_or_else(|| "a request without a host".to_owned(), |host| format!("host {host:?}"));
    let shown = |value: &HeaderValue| format!("{:?}", shorten(&String::from_utf8_lossy(value.as_bytes())));
    let why = match (head.origin.once(), head.site.once()) {
        (Err(_), _) => "more than one Origin header".to_owned(),
        (_, Err(_)) => "more than one Sec-Fetch-Site header".to_owned(),
        (Ok(Some(origin)), _) => format!("origin {} is not allowed for {host} (see allow_origin)", shown(origin)),
        (Ok(None), Ok(Some(site))) => {
            format!("no Origin header and Sec-Fetch-Site {}: not allowed for {host} (see allow_origin)", shown(site))
        }
        (Ok(None), Ok(None)) => format!("no Origin header: not allowed for {host} (see allow_absent_origin)"),
    };
    Refusal::new(StatusCode::FORBIDDEN, why)
}

/// An origin (RFC 6454): scheme, host, port.
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

    /// Returns whether it is the origin of a web page of this host. The scheme is not compared, because a proxy may end
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

/// Foreign origin of pages that are allowed.
#[derive(Debug, Clone)]
pub(crate) struct AllowedOrigin(String);

impl AllowedOrigin {
    /// # Panics
    ///
    /// If `text` is not `scheme://host` or `scheme://host:port`; `*` and `null` are not, on purpose.
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
