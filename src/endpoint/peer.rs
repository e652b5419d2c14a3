use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Address of the client, in the extensions of each request of [`serve`](crate::server::serve).
///
/// Behind a proxy it is the address of the proxy. An application reads it with
/// [`SubscribeRequest::extension`](crate::SubscribeRequest::extension), or in axum with the extractor
/// `Extension<PeerAddr>`. With the feature `axum` the extractor `ConnectInfo<SocketAddr>` works too.
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
    /// Returns a key for limits per client: the IPv4 address, or the first 64 bits of the IPv6 address, because a client
    /// commonly has all addresses with the same 64 bits.
    ///
    /// ```
    /// use tidings::server::PeerAddr;
    ///
    /// let peer = |address: &str| PeerAddr(address.parse().expect("an address"));
    /// assert_eq!(peer("192.0.2.7:51000").limit_key(), "192.0.2.7");
    /// assert_eq!(peer("[2001:db8::7]:51000").limit_key(), "2001:db8::/64");
    /// ```
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
