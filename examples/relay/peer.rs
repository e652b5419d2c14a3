//! Clients by their address, which limits are counted for.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// Text of a peer's address, in the extensions of each request. Of an IPv6 address the first 64 bits, since that many
/// are what one subscriber line gets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Peer(pub(crate) Arc<str>);

impl Peer {
    pub(crate) fn of(address: IpAddr) -> Self {
        let text = match address.to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        };
        Self(text.into())
    }
}
