use http::HeaderName;
use http::header::FORWARDED;
use http::request::Parts;

use super::host::HostPort;
use crate::endpoint::builder::EndpointBuilder;

/// `X-Forwarded-Host`, which common proxies send.
pub(crate) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

impl EndpointBuilder {
    /// Compares the `Origin` of a page with the host that a proxy names in `X-Forwarded-Host` or `Forwarded` (RFC 7239),
    /// in place of the `Host` header. Default: off, and both headers are ignored.
    ///
    /// Use it only for a proxy that sends another `Host` to the server and cannot be changed. A proxy that passes on
    /// `Host` needs nothing here, which is simpler: see `docs/proxies.md`.
    ///
    /// - **List.** Of several values the last one counts, because proxies append to the values that the client sent.
    /// - **Both headers** must name the same host and port if both are sent, and each value must be `host` or `host:port`.
    ///   Otherwise only pages of [`allow_origin`](Self::allow_origin), and those that the browser marks as `same-origin`,
    ///   are allowed.
    /// - **Port.** A page on a port other than the default one of its scheme needs the port in the header.
    /// - **Neither header.** `Host` counts.
    /// - **[`allowed_hosts`](Self::allowed_hosts)** is compared with `Host` as before.
    ///
    /// # Security
    ///
    /// The proxy must set one of the headers in each request, and clients must not be able to reach the server without
    /// the proxy. Otherwise a page of another site that makes a browser send a chosen value counts as a page of the own
    /// host: it can follow topics and send messages with the user's cookies. A browser sends these headers for a page
    /// only after a preflight, and the endpoint's answer to a preflight never lists them, whatever
    /// [`allow_request_header`](Self::allow_request_header) allows. An outer layer that answers preflights must not list
    /// them either. A browser extension, or another proxy in front, can add them without a preflight.
    ///
    /// A program that is not a browser can send any `Origin`. The rule for origins protects the users of browsers, and
    /// is no authorization.
    ///
    /// ```
    /// use tidings::{EndpointBuilder, LocalHub};
    ///
    /// // The proxy sends `Host: backend:3000` and `X-Forwarded-Host: app.example.com`.
    /// let events = EndpointBuilder::public(&LocalHub::new(), ["news"]).trust_forwarded_host().build();
    /// ```
    pub fn trust_forwarded_host(mut self) -> Self {
        self.config.origins.forwarded = true;
        self
    }
}

/// Host of the request that a proxy received.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ForwardedHost<'a> {
    /// No header names a host.
    Absent,
    Is(HostPort<'a>),
    /// A value is malformed, or two headers name different hosts.
    Unclear,
}

/// Returns the last host of `X-Forwarded-Host` and of `Forwarded`.
pub(crate) fn of(parts: &Parts) -> ForwardedHost<'_> {
    match (last(parts, &X_FORWARDED_HOST).map(Some), last(parts, &FORWARDED).map(host_parameter)) {
        (None, None | Some(None)) => ForwardedHost::Absent,
        (Some(host), None | Some(None)) | (None, Some(host)) => {
            host.and_then(HostPort::parse).map_or(ForwardedHost::Unclear, ForwardedHost::Is)
        }
        (Some(one), Some(other)) => match (one.and_then(HostPort::parse), other.and_then(HostPort::parse)) {
            (Some(one), Some(other)) if one.same_host(other) && one.port == other.port => ForwardedHost::Is(one),
            _ => ForwardedHost::Unclear,
        },
    }
}

/// Returns the last element of a list header. An unreadable one is empty, which is no host.
fn last<'a>(parts: &'a Parts, name: &HeaderName) -> Option<&'a str> {
    let line = parts.headers.get_all(name).iter().next_back()?.to_str().unwrap_or_default();
    Some(line.rsplit(',').next().unwrap_or_default().trim())
}

/// Returns the value of the parameter `host` of an element of `Forwarded`. A quoted value with a backslash is no host.
fn host_parameter(element: &str) -> Option<&str> {
    element.split(';').filter_map(|pair| pair.split_once('=')).find_map(|(name, value)| {
        let value = value.trim();
        let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        name.trim().eq_ignore_ascii_case("host").then_some(bare)
    })
}
