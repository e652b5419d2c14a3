use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::service::Endpoint;
use crate::time::{Clock, Timer};

/// Longest pause between the ends of two sessions. The other servers can take 50 clients a second, so a drain of few
/// sessions need not take the whole time.
const LONGEST_STEP: Duration = Duration::from_millis(20);

impl Endpoint {
    /// Ends every session in an orderly way, spread over the [`drain_timeout`](crate::EndpointBuilder::drain_timeout)
    /// so that clients do not reconnect together. The future is ready when the last session and the last refused client
    /// are gone, or when that time is over.
    ///
    /// The drain begins with the call, not with the first poll of the future. From then on new clients get a time
    /// at which to retry; these times are spread as widely as the ends of the sessions. POSTs are still answered. Each
    /// transport announces the end:
    ///
    /// | transport | end |
    /// |---|---|
    /// | polls | a reply with the events so far, which may be empty |
    /// | chunked stream | the events so far, a line `bye`, and the stream breaks off |
    /// | server-sent events | the events so far, a block `tidings.retry` unless [`sse_hello`](crate::EndpointBuilder::sse_hello) is off, and the stream breaks off |
    /// | WebSocket | the events so far, and a close with 1012 |
    ///
    /// Clients resume at another server with their cursor.
    ///
    /// Dropping the future does not stop the drain, but sessions that do not end by themselves are then not cut off
    /// after the time. The method may be called several times.
    ///
    /// ```
    /// use tidings::{Endpoint, LocalHub};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), http::Error> {
    /// let events = Endpoint::public(&LocalHub::new(), ["news"]);
    /// let drained = events.drain();
    /// let request = http::Request::get("/?wait=1").header("host", "localhost").body(String::new())?;
    /// assert_eq!(events.handle(request).await.status(), 503);
    /// drained.await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn drain(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let shared = self.shared().clone();
        let wheel = &shared.runtime.wheel;
        let end = wheel.after(shared.config.drain_timeout);
        let mut sessions = shared.sessions.close();
        fastrand::shuffle(&mut sessions);
        // The last fifth of the time is left for the last sessions to end.
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
                let (_, before) = shared.soft_rejects.counts();
                poll_fn(|cx| shared.soft_rejects.poll_gone(before, cx)).await;
            });
            poll_fn(|cx| match gone.as_mut().poll(cx) {
                Poll::Pending => over.as_mut().poll(cx),
                gone => gone,
            })
            .await;
            shared.sessions.entries().iter().for_each(|session| session.cut());
        }
    }

    /// Waits for `signal` and then [drains](Self::drain): for a server's graceful shutdown, which serves until
    /// the drain has ended.
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
