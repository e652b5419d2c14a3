//! Clients by their address, for which limits are counted.

use std::net::SocketAddr;
use std::sync::Arc;

use tidings::server::PeerAddr;

/// Text of a peer's address, in the extensions of each request. For an IPv6 address, it has the first 64 bits, since one
/// client owns all addresses that share them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Peer(pub(crate) Arc<str>);

impl Peer {
    pub(crate) fn of(address: SocketAddr) -> Self {
        Self(PeerAddr(address).limit_key().into())
    }
}
