use std::net::Ipv6Addr;

use bytes::Bytes;
use http::request::Parts;
use http::uri::Authority;
use http::{Response, StatusCode, Version};

use super::head::Head;
use crate::endpoint::reject::refusal::Refusal;
use crate::endpoint::reject::refused::shorten;
use crate::endpoint::response::answer;
use crate::endpoint::response::headers;

/// A host and, where one is written, a port. Compares as hosts do: names without case, addresses as what they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HostPort<'a> {
    /// Empty where the host is an address in brackets.
    name: &'a str,
    v6: Option<Ipv6Addr>,
    pub(crate) port: Option<u16>,
}

impl<'a> HostPort<'a> {
    /// Reads `host`, `host:port`, `[v6]` or `[v6]:port`, and nothing else: no user, no path, no white space.
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

    pub(crate) fn same_host(self, other: HostPort<'_>) -> bool {
        // Most are written alike, and that is seen at once.
        self.v6 == other.v6 && (self.name == other.name || self.name.eq_ignore_ascii_case(other.name))
    }
}

/// Names on the wire are ASCII; an international one is punycode there.
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

fn parse_port(digits: &str) -> Option<u16> {
    // `u16::from_str` takes a sign.
    if digits.starts_with('+') { None } else { digits.parse().ok() }
}

/// The host that a request is for: the target's authority, else the Host header. `None` for an HTTP/1.0 request, or an
/// HTTP/2 one, that names none.
///
/// A missing Host in HTTP/1.1, one that is there twice and one that can't be read are 400 (RFC 9112 §3.2).
#[inline]
pub(crate) fn of<'a>(parts: &'a Parts, head: &Head<'a>) -> Result<Option<HostPort<'a>>, Refusal> {
    let bad = |why| Refusal::new(StatusCode::BAD_REQUEST, why);
    let line = head.host.once().map_err(|_| bad("more than one Host header"))?;
    if line.is_none() && parts.version == Version::HTTP_11 {
        return Err(bad("HTTP/1.1 needs a Host header"));
    }
    let text = match (parts.uri.authority(), line) {
        (Some(authority), _) => authority.as_str(),
        (None, Some(line)) => line.to_str().map_err(|_| bad("the Host header can't be read"))?,
        (None, None) => return Ok(None),
    };
    HostPort::parse(text).map(Some).ok_or_else(|| bad("the Host can't be read"))
}

/// Returns the text that the host of a request is read from, if there is one.
pub(crate) fn text<'a>(parts: &'a Parts, head: &Head<'a>) -> Option<&'a str> {
    let authority = parts.uri.authority().map(Authority::as_str);
    authority.or_else(|| head.host.once().ok()??.to_str().ok())
}

/// Returns the refusal of a request whose host is not in a list: 421 (RFC 9110 §15.5.20), or 400 where the host is missing
/// or cannot be read.
pub(crate) fn refuse_host(allowed: &[AllowedHost], parts: &Parts) -> Option<Response<Bytes>> {
    let refusal = check(allowed, parts, &Head::of(parts)).err()?;
    let mut response = answer::text(refusal, None);
    headers::add_common_headers(&mut response, None);
    Some(response)
}

/// Returns the host of a request if it is in the list, or if the list is empty.
#[inline]
pub(crate) fn check<'a>(
    allowed: &[AllowedHost],
    parts: &'a Parts,
    head: &Head<'a>,
) -> Result<Option<HostPort<'a>>, Refusal> {
    let host = of(parts, head)?;
    match allowed.is_empty() || host.is_some_and(|host| allowed.iter().any(|allowed| allowed.allows(host))) {
        true => Ok(host),
        false => Err(not_served(parts, head)),
    }
}

#[cold]
fn not_served(parts: &Parts, head: &Head<'_>) -> Refusal {
    let why = match text(parts, head) {
        Some(host) => format!("host {:?} is not served here (see allowed_hosts)", shorten(host)),
        None => "a request without a host is not served here (see allowed_hosts)".to_owned(),
    };
    Refusal::new(StatusCode::MISDIRECTED_REQUEST, why)
}

/// A host that an endpoint or a server answers for, with one port or with any.
#[derive(Debug, Clone)]
pub(crate) struct AllowedHost {
    name: String,
    v6: Option<Ipv6Addr>,
    port: Option<u16>,
}

impl AllowedHost {
    /// # Panics
    ///
    /// Panics if `text` is not a host with or without a port. The message names the method that was called.
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
