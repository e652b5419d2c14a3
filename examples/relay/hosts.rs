//! Hosts for which the relay answers.

use std::net::SocketAddr;

use hyper::{Request, StatusCode, header};

use crate::options::Options;
use crate::origins::canonical_host;
use crate::problem::Problem;

/// Hosts that are answered, with IPv6 addresses in canonical form. Empty: every host.
#[derive(Debug)]
pub(crate) struct Hosts(Vec<String>);

impl Hosts {
    /// Returns the hosts that are answered at this address: its names, those of `--host`, and those of the listed origins.
    /// Without the list a page could bind a name of its own to 127.0.0.1, and so be a page of the relay's host (DNS
    /// rebinding). On an address that is not a loopback address, and without `--host`, every host is answered.
    pub(crate) fn new(address: SocketAddr, options: &Options) -> Self {
        let ip = address.ip();
        if options.hosts.is_empty() && !ip.to_canonical().is_loopback() {
            return Self(Vec::new());
        }
        let own = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
        let listed = options.origins.iter().filter_map(|origin| origin.split_once("://")).map(|(_, host)| host);
        let named = options.hosts.iter().map(String::as_str);
        let all = ["localhost", "127.0.0.1", "[::1]", &own].into_iter().chain(listed).chain(named);
        Self(all.map(|host| canonical_host(host).into_owned()).collect())
    }

    /// Returns each host.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Refuses a request for another host, as the endpoint does. A listed host without a port allows every port.
    pub(crate) fn check<B>(&self, request: &Request<B>) -> Result<(), Problem> {
        let header = || request.headers().get(header::HOST)?.to_str().ok();
        let asked = request.uri().authority().map(|authority| authority.as_str()).or_else(header).unwrap_or_default();
        let asked = &*canonical_host(asked);
        let bare = asked.trim_end_matches(|end: char| end.is_ascii_digit()).strip_suffix(':').unwrap_or(asked);
        // Most names are written in the same form, which the first comparison finds.
        let is = |ours: &String| ours == bare || ours.eq_ignore_ascii_case(bare) || ours.eq_ignore_ascii_case(asked);
        match self.0.is_empty() || self.0.iter().any(is) {
            true => Ok(()),
            false => {
                let why = "this host is not served here; relay --host adds it; proxies must keep Host";
                Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, why))
            }
        }
    }
}
