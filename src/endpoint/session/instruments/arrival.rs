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
            use crate::endpoint::instruments::peer;
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
