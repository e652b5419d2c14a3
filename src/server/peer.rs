use std::net::SocketAddr;

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
///     request.extension::<PeerAddr>().map(|peer| peer.0.ip().to_string())
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "it is an address and nothing else")]
pub struct PeerAddr(pub SocketAddr);
