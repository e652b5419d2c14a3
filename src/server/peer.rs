use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Address of the connection's other end, in the extensions of each request that [`serve`](super::serve) takes.
///
/// Behind a proxy it is the proxy's. An application reads it with
/// [`SubscribeRequest::extension`](crate::SubscribeRequest::extension), or in axum with the extractor
/// `Extension<PeerAddr>`. Under the feature `axum` the extractor `ConnectInfo<SocketAddr>` works too.
///
/// ```
/// use tidings::{SubscribeRequest, server::PeerAddr};
///
/// fn limit_key(request: &SubscribeRequest) -> Option<String> {
///     request.extension().map(PeerAddr::limit_key)
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "it is an address and nothing else")]
pub struct PeerAddr(pub SocketAddr);

impl PeerAddr {
    /// Returns a text of the address to count limits by, without the port: an IPv4 address whole, of an IPv6 address the
    /// first 64 bits, since a client has all addresses that share them.
    #[must_use]
    pub fn limit_key(&self) -> String {
        match self.0.ip().to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        }
    }
}
