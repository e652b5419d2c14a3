//! Web pages that may publish, and the CORS headers that their browsers need (Fetch §3.2).

use std::borrow::Cow;
use std::net::Ipv6Addr;

use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode};

use crate::pages::Page;
use crate::problem::Problem;

/// Origins that were listed with `--origin`, in their canonical form.
#[derive(Debug)]
pub(crate) struct Origins(Vec<String>);

/// CORS headers of a response.
#[derive(Debug)]
pub(crate) struct Cors {
    /// Listed origin, as the request wrote it.
    origin: Option<HeaderValue>,
    /// Methods of the page, in the response to a preflight.
    methods: Option<&'static str>,
}

impl Origins {
    /// Takes origins in their canonical form.
    pub(crate) fn new(origins: Vec<String>) -> Self {
        Self(origins)
    }

    /// Refuses a request of a web page that is not listed. Any page on the web can make a browser send a request here.
    /// Browsers name the page's origin (RFC 6454 §7); other programs send no origin.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        match headers.get_all(header::ORIGIN).iter().all(|origin| self.lists(origin)) {
            true => Ok(()),
            false => {
                Err(Problem::new(StatusCode::FORBIDDEN, "pages of this origin may not publish; relay --origin adds it"))
            }
        }
    }

    /// Returns the headers of the response to a publication, also to a refused one. Without them the page's script gets only
    /// a network error.
    pub(crate) fn cors(&self, method: &Method, headers: &HeaderMap, methods: &'static str) -> Cors {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let origin = origins.next().filter(|origin| self.lists(origin) && origins.next().is_none());
        // A copy: the header is a slice of the connection's read buffer.
        let origin = origin.and_then(|origin| HeaderValue::from_bytes(origin.as_bytes()).ok());
        Cors { origin, methods: Some(methods).filter(|_| method == Method::OPTIONS) }
    }

    fn lists(&self, origin: &HeaderValue) -> bool {
        // A browser writes an origin in its canonical form.
        let is = |origin: &str| self.0.iter().any(|listed| listed == origin);
        origin.to_str().is_ok_and(|origin| is(origin) || is(&canonical(origin)))
    }
}

impl Cors {
    pub(crate) fn put_on(self, page: &mut Page) {
        let headers = page.headers_mut();
        headers.insert(header::VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = self.origin else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        // As the endpoint does: a proxy in front may require cookies.
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After"));
        if let Some(methods) = self.methods {
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
            headers
                .insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Content-Type, Authorization"));
            // The maximum of Chromium.
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
        }
    }
}

/// Returns an origin in lower case, without its scheme's default port, and with an IPv6 address in one form: nearly as a
/// browser writes it.
pub(crate) fn canonical(origin: &str) -> String {
    let origin = origin.to_ascii_lowercase();
    let origin = match origin.split_once("://") {
        Some((scheme, host)) => format!("{scheme}://{}", canonical_host(host)),
        None => origin,
    };
    let bare = [("https://", ":443"), ("http://", ":80")]
        .into_iter()
        .find_map(|(scheme, port)| origin.strip_suffix(port).filter(|bare| bare.starts_with(scheme)));
    bare.map_or_else(|| origin.clone(), str::to_owned)
}

/// Returns a host, with or without a port, whose IPv6 address is written in one form.
pub(crate) fn canonical_host(host: &str) -> Cow<'_, str> {
    let address = host.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    match address.map(|(address, port)| (address.parse::<Ipv6Addr>(), port)) {
        Some((Ok(address), port)) => format!("[{address}]{port}").into(),
        _ => host.into(),
    }
}
