use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Poll, Wake, Waker};
use std::time::{Duration, Instant};

use super::mutex::Mutex;
use super::presence::Presence;
use super::service::Endpoint;
use super::shared::Shared;
use super::time::wheel::{Alarm, Wheel};
use crate::time::{Clock, Timer};

/// Longest pause between the ends of two sessions. The other servers can take 50 clients a second, so a drain of few
/// sessions need not take the whole time.
const LONGEST_STEP: Duration = Duration::from_millis(20);

impl Endpoint {
    /// Ends every session in an orderly way, spread over the [`drain_timeout`](crate::EndpointBuilder::drain_timeout)
    /// so that clients do not reconnect together. The future is ready when the last session and the last refused client
    /// are gone, or when that time is over.
    ///
    /// The drain begins with the call, not with the first poll of the future: [`is_draining`](Self::is_draining) is
    /// `true` from then on. With a [`drain_delay`](crate::EndpointBuilder::drain_delay) all requests are answered as
    /// before until the delay has passed, and no session is ended. The `drain_timeout` begins after the delay.
    ///
    /// Then sessions are ended, and new clients get a time at which to retry; these times are spread as widely as the
    /// ends of the sessions. POSTs are still answered. Each transport announces the end:
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
        let (now, begin) = shared.announce_drain();
        let delay = begin.saturating_duration_since(now);
        let end = shared.runtime.wheel.after(delay.saturating_add(shared.config.drain_timeout));
        if delay.is_zero() {
            shared.end_sessions();
        } else {
            shared.end_sessions_at(begin);
        }
        async move {
            if !delay.is_zero() {
                shared.runtime.wheel.sleep(begin).await;
                shared.end_sessions();
            }
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

    /// Returns whether a [drain](Self::drain) was announced: `true` from the call of `drain` on, also during the
    /// [`drain_delay`](crate::EndpointBuilder::drain_delay). It stays `true`.
    ///
    /// Answer the readiness check of a load balancer with it. The load balancer then sends no new clients, before the
    /// first session is ended:
    ///
    /// ```
    /// use axum::extract::State;
    /// use http::StatusCode;
    /// use tidings::Endpoint;
    ///
    /// async fn readyz(State(events): State<Endpoint>) -> StatusCode {
    ///     if events.is_draining() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
    /// }
    /// ```
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.shared().drain.begin.get().is_some()
    }

    /// Waits for `signal`, announces a drain, and waits until the [`drain_delay`](crate::EndpointBuilder::drain_delay)
    /// has passed. [`is_draining`](Self::is_draining) is `true` from the signal on. No session is ended.
    ///
    /// Use it if something else is to be done between the announcement and the [drain](Self::drain), such as the drain
    /// of [runs](crate::runs), which refuse new ones from its beginning. The delay is not repeated by the drain.
    ///
    /// ```no_run
    /// # #[cfg(feature = "full")]
    /// # async fn serve(listener: tokio::net::TcpListener, app: axum::Router, events: tidings::Endpoint, runs: tidings::runs::Runs) -> std::io::Result<()> {
    /// let announced = events.announce_drain_on(tokio::signal::ctrl_c());
    /// tidings::server::serve(listener, app).with_graceful_shutdown(events.drain_on(runs.drain_on(announced))).await
    /// # }
    /// ```
    pub fn announce_drain_on<F>(&self, signal: F) -> impl Future<Output = ()> + Send + 'static + use<F>
    where
        F: Future + Send + 'static,
    {
        let shared = self.shared().clone();
        async move {
            drop(signal.await);
            let (now, begin) = shared.announce_drain();
            if begin > now {
                shared.runtime.wheel.sleep(begin).await;
            }
        }
    }
}

/// Progress of an endpoint's drain.
pub(crate) struct DrainState {
    /// Time of the first end, once the drain is announced.
    begin: OnceLock<Instant>,
    /// Alarm at that time. It ends the sessions if the future of the drain was dropped.
    alarm: Mutex<Alarm>,
}

impl DrainState {
    pub(crate) fn new(wheel: &Wheel) -> Self {
        Self { begin: OnceLock::new(), alarm: Mutex::new(wheel.alarm()) }
    }
}

impl Shared {
    /// Announces a drain, unless one was announced. Returns the time, and that of the first end.
    fn announce_drain(&self) -> (Instant, Instant) {
        // The begin first, so that it is not after the time if there is no delay.
        let begin = self.runtime.wheel.after(self.config.drain_delay);
        let now = self.runtime.wheel.now();
        (now, *self.drain.begin.get_or_init(|| begin))
    }

    /// Ends the sessions at this time.
    fn end_sessions_at(self: &Arc<Self>, begin: Instant) {
        let waker = Waker::from(Arc::new(DelayedEnds { shared: Arc::downgrade(self), begin }));
        let driver = self.drain.alarm.lock().set(begin, waker);
        driver.into_iter().for_each(Waker::wake);
    }

    /// Closes the session table, and begins to end the sessions. Does nothing after the first call.
    fn end_sessions(&self) {
        self.presence.iter().for_each(Presence::stop);
        let mut sessions = self.sessions.close();
        fastrand::shuffle(&mut sessions);
        // The last fifth of the time is left for the last sessions to end.
        let count = u32::try_from(sessions.len()).unwrap_or(u32::MAX);
        let step = (self.config.drain_timeout.mul_f64(0.8) / count.max(1)).min(LONGEST_STEP);
        self.sessions.spread(step * count);
        let mut at = self.runtime.wheel.now();
        for session in sessions {
            session.drain_at(at);
            at += step;
        }
    }
}

/// Waker of the alarm at the end of the delay.
struct DelayedEnds {
    shared: Weak<Shared>,
    begin: Instant,
}

impl Wake for DelayedEnds {
    /// Ends the sessions if the delay has passed. An alarm is also woken when the driver is lost.
    fn wake(self: Arc<Self>) {
        let shared = self.shared.upgrade().filter(|shared| shared.runtime.wheel.now() >= self.begin);
        shared.iter().for_each(|shared| shared.end_sessions());
    }
}
