use http::Extensions;

use crate::contract::{Start, SubscriberInfo};

/// Facts of a request that the span of its session shows. Empty without the feature `tracing`, and if the span is disabled.
#[derive(Clone, Default)]
pub(crate) struct Arrival {
    #[cfg(feature = "tracing")]
    pub(super) text: Option<std::sync::Arc<ArrivalText>>,
}

#[cfg(feature = "tracing")]
pub(super) struct ArrivalText {
    pub(super) peer: Option<std::net::SocketAddr>,
    /// Escaped and cut.
    pub(super) user_agent: Option<String>,
    pub(super) behind: Option<u64>,
}

#[cfg_attr(not(feature = "tracing"), allow(unused_variables, clippy::unused_self, reason = "there is no span"))]
impl Arrival {
    /// Returns the facts of a request whose subscriber begins at `start`.
    #[inline]
    pub(crate) fn of<'a>(
        user_agent: impl FnOnce() -> Option<&'a str>,
        extensions: &Extensions,
        start: Start,
        info: &SubscriberInfo<'_>,
    ) -> Self {
        #[cfg(feature = "tracing")]
        if tracing::span_enabled!(target: super::span::TARGET, tracing::Level::INFO) {
            use crate::endpoint::reject::shorten::Unquoted;

            let text = ArrivalText {
                peer: peer(extensions),
                user_agent: user_agent().map(|text| Unquoted(text).to_string()),
                behind: start.cursor().zip(info.head()).and_then(|(cursor, head)| {
                    let is_known = cursor.epoch() == head.epoch();
                    is_known.then(|| head.sequence().saturating_sub(cursor.sequence()))
                }),
            };
            return Self { text: Some(text.into()) };
        }
        Self::default()
    }
}

/// Returns the address of the client's connection, if the server puts it into the extensions.
#[cfg(feature = "tracing")]
fn peer(extensions: &Extensions) -> Option<std::net::SocketAddr> {
    #[cfg(feature = "server")]
    if let Some(peer) = extensions.get::<crate::endpoint::peer::PeerAddr>() {
        return Some(peer.0);
    }
    #[cfg(all(feature = "axum", feature = "server"))]
    if let Some(peer) = extensions.get::<axum::extract::ConnectInfo<std::net::SocketAddr>>() {
        return Some(peer.0);
    }
    extensions.get::<std::net::SocketAddr>().copied()
}
