use std::borrow::Cow;

use http::request::Parts;
use http::{HeaderValue, StatusCode};

use super::head::Head;
use super::host::{self, AllowedHost, HostPort};
use super::refusal::Refusal;
use super::refused::shorten;

/// Which pages may use an endpoint. Asked before anything else is done for a request, on every transport.
///
/// A browser sends a user's cookies along with whatever a foreign page asks for, and to a WebSocket without CORS; so a
/// page must be one of the endpoint's own, or listed. Origins are compared as what they are made of, never as text.
#[derive(Debug, Clone)]
pub(super) struct OriginRule {
    pub(super) listed: Vec<AllowedOrigin>,
    pub(super) absent: bool,
    /// Empty: any.
    pub(super) hosts: Vec<AllowedHost>,
}

impl Default for OriginRule {
    fn default() -> Self {
        Self { listed: Vec::new(), absent: true, hosts: Vec::new() }
    }
}

impl OriginRule {
    /// The origin to name in CORS headers, if it is a listed one, and whether the request may go on. A listed page is
    /// told of errors too: without the headers its script sees only that the network failed.
    pub(super) fn judge(&self, parts: &Parts, head: &Head<'_>) -> (Option<HeaderValue>, Result<(), Refusal>) {
        let listed = self.listed(head);
        let judged = self.allow(parts, head, listed.is_some());
        (listed, judged)
    }

    fn allow(&self, parts: &Parts, head: &Head<'_>, listed: bool) -> Result<(), Refusal> {
        let host = host::of(parts, head)?;
        if !self.hosts.is_empty() && !host.is_some_and(|host| self.hosts.iter().any(|allowed| allowed.allows(host))) {
            return Err(not_served(parts, head));
        }
        let site = head.site.once().map_err(|_| forbidden("more than one Sec-Fetch-Site header"))?;
        let site = site.map(HeaderValue::as_bytes);
        let own_page = site == Some(b"same-origin");
        let line = head.origin.once().map_err(|_| forbidden("more than one Origin header"))?;
        let allowed = match line {
            Some(origin) => match Origin::of(origin) {
                Some(origin) => own_page || listed || host.is_some_and(|host| origin.is_at(host)),
                None => false,
            },
            // A page's image or script carries no Origin, but it tells where it comes from.
            None => own_page || (self.absent && matches!(site, None | Some(b"none"))),
        };
        if allowed { Ok(()) } else { Err(foreign(parts, head, line, site)) }
    }

    fn listed(&self, head: &Head<'_>) -> Option<HeaderValue> {
        let value = head.origin.once().ok()??;
        let origin = Origin::of(value)?;
        // A copy: the header is a slice of the connection's read buffer, which a held answer would keep.
        self.listed.iter().any(|listed| listed.is(origin)).then(|| HeaderValue::from_bytes(value.as_bytes()).ok())?
    }
}

fn forbidden(why: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, why)
}

/// Returns the refusal of a foreign page. It names the origin and the host that it was compared with, each cut after 128
/// bytes: with a proxy that changes the Host, they differ for the endpoint's own pages.
#[cold]
fn foreign(parts: &Parts, head: &Head<'_>, origin: Option<&HeaderValue>, site: Option<&[u8]>) -> Refusal {
    let host = host::text(parts, head).map(shorten);
    let host = host.map_or_else(|| "a request without a host".to_owned(), |host| format!("host {host:?}"));
    forbidden(match (origin, site) {
        (Some(origin), _) => format!("origin {:?} is not allowed for {host}", shorten(&readable(origin.as_bytes()))),
        (None, Some(site)) => {
            format!("no Origin header and Sec-Fetch-Site {:?}: not allowed for {host}", shorten(&readable(site)))
        }
        (None, None) => format!("no Origin header: not allowed for {host}"),
    })
}

/// Returns the refusal of a request for a host that is not among the allowed ones.
#[cold]
fn not_served(parts: &Parts, head: &Head<'_>) -> Refusal {
    let why = match host::text(parts, head) {
        Some(host) => format!("host {:?} is not served here", shorten(host)),
        None => "a request without a host is not served here".to_owned(),
    };
    Refusal::new(StatusCode::MISDIRECTED_REQUEST, why)
}

fn readable(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
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

    /// Whether it is a web page of this host. Its scheme is not compared, since TLS may end before us; a host without
    /// a port has the default one of the origin's scheme.
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

/// A page's origin that is let in although it is foreign.
#[derive(Debug, Clone)]
pub(super) struct AllowedOrigin(String);

impl AllowedOrigin {
    /// # Panics
    ///
    /// If `text` is not `scheme://host` or `scheme://host:port`; `*` and `null` are not, on purpose.
    pub(super) fn new(text: &str) -> Self {
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
