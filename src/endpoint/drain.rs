use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::service::Endpoint;
use crate::time::{Clock, Timer};

/// Longest pause between the ends of two sessions. Fifty clients a second come back to other servers without harm, so a
/// few sessions do not take the whole window.
const LONGEST_STEP: Duration = Duration::from_millis(20);

impl Endpoint {
    /// Ends every session in order, spread over the drain timeout so that their clients do not come back together.
    /// The future is ready when the last session and the last refused client are gone, or when the drain timeout is over.
    ///
    /// The drain begins with the call, not with the first poll. From then on new clients are told to come later, at times that are spread as widely
    /// as the sessions' ends: a busy topic's polls all come at once. POSTs are still answered. Each transport has an
    /// announced end: polls are answered, with what is there or empty; streams send what is there and break off (after
    /// a line `bye`, or a block `tidings.retry` unless [`sse_hello`](crate::EndpointBuilder::sse_hello) is off);
    /// WebSockets are closed with 1012. All of them resume elsewhere with the cursor that they have.
    ///
    /// Dropping the future does not cancel the drain. Sessions that do not end by themselves are then not cut off after the
    /// timeout. There may be any number of such futures at once.
    pub fn drain(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let shared = self.shared().clone();
        let wheel = &shared.runtime.wheel;
        let end = wheel.after(shared.config.drain_timeout);
        let mut sessions = shared.sessions.close();
        fastrand::shuffle(&mut sessions);
        // The last sessions need a fifth of the timeout for their last items.
        let count = u32::try_from(sessions.len()).unwrap_or(u32::MAX);
        let step = (shared.config.drain_timeout.mul_f64(0.8) / count.max(1)).min(LONGEST_STEP);
        shared.sessions.spread(step * count);
        let mut at = wheel.now();
        for session in sessions {
            session.drain_at(at);
            at += step;
        }
        async move {
            let mut over = shared.runtime.wheel.sleep_until(end);
            let mut gone = pin!(async {
                poll_fn(|cx| shared.sessions.poll_empty(cx)).await;
                let (_, before) = shared.rejects.counts();
                poll_fn(|cx| shared.rejects.poll_gone(before, cx)).await;
            });
            poll_fn(|cx| match gone.as_mut().poll(cx) {
                Poll::Pending => over.as_mut().poll(cx),
                gone => gone,
            })
            .await;
            shared.sessions.entries().iter().for_each(|session| session.cut());
        }
    }

    /// [Drains](Self::drain) when `signal` is ready, for a server's graceful shutdown. The server answers until every
    /// session is gone.
    ///
    /// ```no_run
    /// # async fn serve(listener: tokio::net::TcpListener, app: axum::Router, events: tidings::Endpoint) -> std::io::Result<()> {
    /// axum::serve(listener, app).with_graceful_shutdown(events.drain_on(tokio::signal::ctrl_c())).await
    /// # }
    /// ```
    pub fn drain_on<F>(&self, signal: F) -> impl Future<Output = ()> + Send + 'static + use<F>
    where
        F: Future + Send + 'static,
    {
        let endpoint = self.clone();
        async move {
            drop(signal.await);
            endpoint.drain().await;
        }
    }
}
