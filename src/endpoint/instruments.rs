//! Instruments of an endpoint, apart from those of its sessions. See `tidings::instruments`.
#![cfg_attr(
    not(all(feature = "tracing", feature = "metrics")),
    allow(unused_variables, reason = "without the features there is nothing to record")
)]

use super::refused::Refused;
#[cfg(feature = "metrics")]
use super::service::Endpoint;
use crate::contract::Transport;

/// Notes an accepted request to subscribe.
#[inline]
pub(super) fn subscribed(transport: Transport) {
    #[cfg(feature = "metrics")]
    {
        use crate::endpoint::catch_panic::catch_panic;
        use crate::instruments::names::SUBSCRIBES;

        let _ = catch_panic(|| metrics::counter!(SUBSCRIBES, "transport" => transport.as_str()).increment(1));
    }
}

/// Notes a refusal. The caller has no lock.
pub(super) fn refused(refused: &Refused<'_>) {
    #[cfg(any(feature = "tracing", feature = "metrics"))]
    let _ = crate::endpoint::catch_panic::catch_panic(|| {
        #[cfg(feature = "tracing")]
        with_tracing::refused(refused);
        #[cfg(feature = "metrics")]
        metrics::counter!(crate::instruments::names::REFUSALS, "cause" => refused.cause().as_str()).increment(1);
    });
}

/// Returns whether an event of a refusal would be recorded at any level, so that its request is to be kept for it.
#[inline]
pub(super) fn shows_refusals() -> bool {
    #[cfg(feature = "tracing")]
    return tracing::event_enabled!(target: "tidings::refusal", tracing::Level::ERROR);
    #[cfg(not(feature = "tracing"))]
    false
}

/// Returns the address of the client's connection, if the server puts it into the extensions.
#[cfg(feature = "tracing")]
pub(crate) fn peer(extensions: &http::Extensions) -> Option<std::net::SocketAddr> {
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

#[cfg(feature = "tracing")]
mod with_tracing {
    use http::StatusCode;

    use super::Refused;
    use crate::endpoint::reject::RefusalCause;
    use crate::endpoint::reject::shorten::Unquoted;

    /// Emits an event for a refusal at a level.
    macro_rules! event {
        ($level:ident, $refused:expr) => {
            tracing::event!(
                target: "tidings::refusal",
                tracing::Level::$level,
                cause = $refused.cause().as_str(),
                status = $refused.status().map(|status| status.as_u16()),
                close_code = $refused.close_code(),
                method = $refused.method().map(|method| tracing::field::display(Unquoted(method.as_str()))),
                path = $refused.path().map(|path| tracing::field::display(Unquoted(path))),
                peer = $refused.extensions.and_then(super::peer).map(tracing::field::display),
                transport = $refused.transport().map(|transport| transport.as_str()),
                session = $refused.session().map(|session| session.id().get()),
                text = %Unquoted($refused.text()),
                "refused"
            )
        };
    }

    pub(super) fn refused(refused: &Refused<'_>) {
        let has_failed = refused.status() == Some(StatusCode::INTERNAL_SERVER_ERROR);
        match refused.cause() {
            RefusalCause::Internal => event!(ERROR, refused),
            _ if has_failed => event!(ERROR, refused),
            RefusalCause::Busy | RefusalCause::Presence => event!(WARN, refused),
            RefusalCause::Origin | RefusalCause::Publisher | RefusalCause::Request => event!(INFO, refused),
        }
    }
}

#[cfg(feature = "metrics")]
impl Endpoint {
    /// Adds what live sessions have written since the last call to the [metrics](crate::instruments), and sets the gauges of
    /// sessions. Call it before each scrape. A session adds the rest when it ends.
    ///
    /// The cost grows with the number of sessions. The session table's lock is held for at most 256 of them at once.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use tidings::{Endpoint, LocalHub};
    ///
    /// let hub = LocalHub::new();
    /// let events = Endpoint::public(&hub, ["news"]);
    /// // In the handler of `/metrics`, before the exporter renders the page:
    /// events.record_metrics();
    /// hub.stats().record_metrics("main");
    /// # }
    /// ```
    pub fn record_metrics(&self) {
        let shared = self.shared();
        shared.session_meters.record(&shared.sessions);
    }
}
