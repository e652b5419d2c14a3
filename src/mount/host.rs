use std::net::Ipv6Addr;

use http::request::Parts;
use http::{StatusCode, Version};

use super::head::Head;
use super::refusal::Refusal;

/// A host and, where one is written, a port. Compares as hosts do: without case.
#[derive(Debug, Clone, Copy)]
pub(super) struct HostPort<'a> {
    host: &'a str,
    pub(super) port: Option<u16>,
}

impl<'a> HostPort<'a> {
    /// Reads `host`, `host:port`, `[v6]` or `[v6]:port`, and nothing else: no user, no path, no white space.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let end = match text.strip_prefix('[') {
            Some(rest) => rest.find(']')? + 2,
            None => text.bytes().position(|byte| byte == b':').unwrap_or(text.len()),
        };
        let (host, rest) = text.split_at_checked(end)?;
        let port = match rest.strip_prefix(':') {
            Some(port) => Some(parse_port(port)?),
            None if rest.is_empty() => None,
            None => return None,
        };
        is_host(host).then_some(Self { host, port })
    }

    pub(super) fn same_host(self, other: HostPort<'_>) -> bool {
        match (self.v6(), other.v6()) {
            (None, None) => self.host.eq_ignore_ascii_case(other.host),
            (ours, theirs) => ours == theirs,
        }
    }

    fn v6(self) -> Option<Ipv6Addr> {
        self.host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
    }
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        // Names on the wire are ASCII; an international one is punycode there.
        None => {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
        }
    }
}

fn parse_port(digits: &str) -> Option<u16> {
    // `u16::from_str` takes a sign.
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// The host that a request is for: the target's authority, else the Host header. `None` for an HTTP/1.0 request, or an
/// HTTP/2 one, that names none.
///
/// A missing Host in HTTP/1.1, one that is there twice and one that can't be read are 400 (RFC 9112 §3.2).
pub(super) fn of<'a>(parts: &'a Parts, head: &Head<'a>) -> Result<Option<HostPort<'a>>, Refusal> {
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

/// A host that an endpoint answers for, with one port or with any.
#[derive(Debug, Clone)]
pub(super) struct AllowedHost {
    host: String,
    port: Option<u16>,
}

impl AllowedHost {
    /// # Panics
    ///
    /// If `text` is not a host with or without a port.
    pub(super) fn new(text: &str) -> Self {
        let HostPort { host, port } = HostPort::parse(text).unwrap_or(HostPort { host: "", port: None });
        assert!(!host.is_empty(), "allowed_hosts takes `host` or `host:port`, not {text:?}");
        Self { host: host.to_owned(), port }
    }

    pub(super) fn allows(&self, host: HostPort<'_>) -> bool {
        let allowed = HostPort { host: &self.host, port: self.port };
        allowed.same_host(host) && (allowed.port.is_none() || allowed.port == host.port)
    }
}
