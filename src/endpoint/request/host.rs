use std::net::Ipv6Addr;

use http::request::Parts;
use http::uri::Authority;
use http::{StatusCode, Version};

use super::head::RequestHead;
use crate::endpoint::reject::refusal::Refusal;
use crate::endpoint::reject::shorten::shorten;

/// Host with an optional port. Names are compared without case, IPv6 addresses by value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HostPort<'a> {
    /// Empty if the host is an IPv6 address in brackets.
    name: &'a str,
    v6: Option<Ipv6Addr>,
    pub(crate) port: Option<u16>,
}

impl<'a> HostPort<'a> {
    /// Parses `host`, `host:port`, `[v6]` or `[v6]:port`. Returns `None` for anything else, such as a user, a path or
    /// white space.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (name, v6, rest) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, rest) = rest.split_once(']')?;
                ("", Some(address.parse().ok()?), rest)
            }
            None => {
                let end = text.bytes().position(|byte| !is_of_name(byte)).unwrap_or(text.len());
                let (name, rest) = text.split_at_checked(end).filter(|(name, _)| !name.is_empty())?;
                (name, None, rest)
            }
        };
        let port = match rest.strip_prefix(':') {
            Some(port) => Some(parse_port(port)?),
            None if rest.is_empty() => None,
            None => return None,
        };
        Some(Self { name, v6, port })
    }

    /// Returns the host and port as text.
    pub(crate) fn shown(self) -> String {
        let host = self.v6.map_or_else(|| self.name.to_owned(), |address| format!("[{address}]"));
        self.port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
    }

    pub(crate) fn same_host(self, other: HostPort<'_>) -> bool {
        // The first comparison is cheap, and mostly enough.
        self.v6 == other.v6 && (self.name == other.name || self.name.eq_ignore_ascii_case(other.name))
    }
}

/// Returns whether a host name may contain this byte. An international name is punycode on the wire.
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

fn parse_port(digits: &str) -> Option<u16> {
    // `u16::from_str` accepts a sign.
    if digits.starts_with('+') { None } else { digits.parse().ok() }
}

/// Returns the host of a request: the authority of the target, else the Host header. `None` if an HTTP/1.0 or HTTP/2
/// request has neither.
///
/// # Errors
///
/// Returns a 400 if the Host header is missing in HTTP/1.1, repeated or malformed (RFC 9112 §3.2).
#[inline]
pub(crate) fn of<'a>(parts: &'a Parts, head: &RequestHead<'a>) -> Result<Option<HostPort<'a>>, Refusal> {
    let bad = |why| Refusal::new(StatusCode::BAD_REQUEST, why);
    let line = head.host.once().map_err(|_| bad("more than one Host header: send one"))?;
    if line.is_none() && parts.version == Version::HTTP_11 {
        return Err(bad("Host header is missing: HTTP/1.1 requires it"));
    }
    let text = match (parts.uri.authority(), line) {
        (Some(authority), _) => authority.as_str(),
        (None, Some(line)) => line.to_str().map_err(|_| bad("Host header is malformed: send `host` or `host:port`"))?,
        (None, None) => return Ok(None),
    };
    HostPort::parse(text).map(Some).ok_or_else(|| bad("host is malformed: send `host` or `host:port`"))
}

/// Returns the text that [`of`] parses, if there is one.
pub(crate) fn text<'a>(parts: &'a Parts, head: &RequestHead<'a>) -> Option<&'a str> {
    let authority = parts.uri.authority().map(Authority::as_str);
    authority.or_else(|| head.host.once().ok()??.to_str().ok())
}

/// Returns the host of a request if it is allowed. An empty list allows every host.
///
/// # Errors
///
/// Returns a 421 if the host is not in the list, and the errors of [`of`].
#[inline]
pub(crate) fn check<'a>(
    allowed: &[AllowedHost],
    parts: &'a Parts,
    head: &RequestHead<'a>,
) -> Result<Option<HostPort<'a>>, Refusal> {
    let host = of(parts, head)?;
    match allowed.is_empty() || host.is_some_and(|host| allowed.iter().any(|allowed| allowed.allows(host))) {
        true => Ok(host),
        false => Err(not_served(parts, head)),
    }
}

#[cold]
fn not_served(parts: &Parts, head: &RequestHead<'_>) -> Refusal {
    let why = match text(parts, head) {
        Some(host) => format!("host {:?} is not allowed (see allowed_hosts; proxies must keep Host)", shorten(host)),
        None => "host is missing (see allowed_hosts): send a Host header, also in health checks".to_owned(),
    };
    Refusal::new(StatusCode::MISDIRECTED_REQUEST, why)
}

/// Host that an endpoint or a server accepts, with one port or with any.
#[derive(Debug, Clone)]
pub(crate) struct AllowedHost {
    name: String,
    v6: Option<Ipv6Addr>,
    port: Option<u16>,
}

impl AllowedHost {
    /// Parses a host. `method` is the name of the builder's method, for the panic message.
    ///
    /// # Panics
    ///
    /// Panics if `text` is not `host` or `host:port`.
    pub(crate) fn new(method: &str, text: &str) -> Self {
        let host = HostPort::parse(text);
        assert!(host.is_some(), "{method} takes `host` or `host:port`, not {text:?}");
        let HostPort { name, v6, port } = host.unwrap_or(HostPort { name: "", v6: None, port: None });
        Self { name: name.to_owned(), v6, port }
    }

    pub(crate) fn allows(&self, host: HostPort<'_>) -> bool {
        let allowed = HostPort { name: &self.name, v6: self.v6, port: self.port };
        allowed.same_host(host) && (allowed.port.is_none() || allowed.port == host.port)
    }
}
