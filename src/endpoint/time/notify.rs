use std::future::Future;
use std::pin::Pin;
use std::task::Context;

use crate::endpoint::builder::EndpointBuilder;
use crate::endpoint::catch_panic::catch_panic;
use crate::hub::{LocalHub, NotifierSource, Standby};

impl EndpointBuilder {
    /// Runs the [notifier](LocalHub::notifier) of this hub in the endpoint's [driver](crate::Endpoint::driver), so that a
    /// publish leaves the wakes of its subscribers to the driver. Use it for topics with thousands of subscribers; the
    /// application need not spawn anything. Call it once for each hub. Default: none, and publishers wake subscribers.
    /// Subscriptions of several topics and of patterns are still woken by the publisher.
    ///
    /// A hub has one notifier. If another endpoint or the application runs it, this driver takes over when that one ends.
    /// While no driver runs, such as before the first request, publishers wake subscribers by themselves. The endpoint does
    /// not keep the hub open.
    ///
    /// ```
    /// # fn with(publisher: impl tidings::Publisher, hub: &tidings::LocalHub) -> tidings::Endpoint {
    /// tidings::Endpoint::builder(publisher).notifier(hub).build()
    /// # }
    /// ```
    pub fn notifier(mut self, hub: &LocalHub) -> Self {
        self.notifiers.push(hub.notifier_source());
        self
    }
}

/// Notifiers that a driver runs.
pub(crate) struct Notifiers(Vec<Standby>);

impl Notifiers {
    pub(crate) fn new(sources: &[NotifierSource]) -> Self {
        Self(sources.iter().map(NotifierSource::standby).collect())
    }

    /// Polls each notifier. Drops those of closed hubs.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) {
        self.0.retain_mut(|notifier| match catch_panic(|| Pin::new(notifier).poll(cx)) {
            Ok(polled) => polled.is_pending(),
            Err(_) => {
                // A subscriber's waker panicked. The next poll begins another notifier.
                cx.waker().wake_by_ref();
                true
            }
        });
    }
}
