use std::net::IpAddr;

use bytes::Bytes;
use http::Response;
use http::request::Parts;

use crate::endpoint::{AllowedHost, refuse_host};

/// Rule for the host names that a server accepts.
#[derive(Debug, Clone, Default)]
pub(super) struct HostRule {
    choice: Choice,
    /// Names in addition to those of the choice.
    added: Vec<AllowedHost>,
}

#[derive(Debug, Clone, Default)]
enum Choice {
    /// Names of the loopback interface on a loopback address, every name on others.
    #[default]
    ByAddress,
    /// Every name.
    Any,
    /// Names of this list.
    These(Vec<AllowedHost>),
}

impl HostRule {
    pub(super) fn add(&mut self, host: &str) {
        self.added.push(AllowedHost::new("allow_host", host));
    }

    pub(super) fn set<H: AsRef<str>>(&mut self, hosts: impl IntoIterator<Item = H>) {
        let hosts = hosts.into_iter().map(|host| AllowedHost::new("allowed_hosts", host.as_ref()));
        self.choice = Choice::These(hosts.collect());
    }

    pub(super) fn set_any(&mut self) {
        self.choice = Choice::Any;
    }

    /// Returns the list for a server at this address. `None`: every name is allowed.
    pub(super) fn at(self, address: IpAddr) -> Option<Hosts> {
        // The address may be an IPv4 address that is mapped to IPv6.
        let is_loopback = address.to_canonical().is_loopback();
        let mut list = match self.choice {
            Choice::These(hosts) if !hosts.is_empty() => hosts,
            Choice::These(_) | Choice::ByAddress if is_loopback => {
                let own = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
                let names = ["localhost", "127.0.0.1", "[::1]", &own];
                names.into_iter().map(|name| AllowedHost::new("allow_host", name)).collect()
            }
            Choice::These(_) | Choice::ByAddress | Choice::Any => return None,
        };
        list.extend(self.added);
        Some(Hosts(list))
    }
}

/// List of allowed host names.
#[derive(Debug)]
pub(super) struct Hosts(Vec<AllowedHost>);

impl Hosts {
    /// Returns 421 for a request to another host, and 400 if the host of the request is missing or not readable.
    pub(super) fn refuse(&self, parts: &Parts) -> Option<Response<Bytes>> {
        refuse_host(&self.0, parts)
    }
}
