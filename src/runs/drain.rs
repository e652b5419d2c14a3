use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::{Poll, Waker};

use super::failure::FailureCause;
use super::lock::lock;
use super::runs::Runs;
use super::shared::Shared;
use crate::model::EndReason;

impl Runs {
    /// Refuses new runs, waits for the live ones, and ends those that are live after
    /// [`drain_timeout`](crate::runs::RunsBuilder::drain_timeout) as failed. The future is ready when no run is live.
    ///
    /// The drain begins with the call, not with the first poll of the future. From then on [`start`](Self::start) joins runs,
    /// but returns [`RunError::Draining`](crate::runs::RunError::Draining) for a new one. Readers are still accepted, so that
    /// a client whose connection breaks gets the rest of its answer. A future that is dropped does not end the runs.
    ///
    /// A `DiskHub` may store the ends of the runs that were live after `drain_timeout` later: the drain takes no longer if the disk
    /// does not respond. `DiskHub::close` waits for them.
    pub fn drain(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let shared = Arc::clone(self.shared());
        let drain = WaitingDrain { number: lock(&shared.table).begin_drain(), shared: Arc::clone(&shared) };
        let due = shared.timer.now().checked_add(shared.limits.drain_timeout);
        async move {
            let mut over = None;
            poll_fn(|cx| {
                if !drain.register(cx.waker().clone()) {
                    return Poll::Ready(());
                }
                match due {
                    Some(due) => over.get_or_insert_with(|| shared.timer.sleep_until(due)).as_mut().poll(cx),
                    None => Poll::Pending,
                }
            })
            .await;
            let left: Vec<_> = lock(&shared.table).by_topic.values().cloned().collect();
            for entry in left {
                let text = "run was live at the end of the drain; raise `RunsBuilder::drain_timeout`";
                shared.end(&entry, EndReason::Failed, Some((FailureCause::Drain, text)));
            }
        }
    }

    /// Waits for `signal` and then [drains](Self::drain). Pass it to [`Endpoint::drain_on`](crate::Endpoint::drain_on), so
    /// that the sessions are ended after the runs. [`Endpoint::announce_drain_on`](crate::Endpoint::announce_drain_on) makes
    /// [`is_draining`](crate::Endpoint::is_draining) `true` from the signal on, and lets the runs begin to drain after the
    /// [`drain_delay`](crate::EndpointBuilder::drain_delay):
    ///
    /// ```no_run
    /// # #[cfg(feature = "full")]
    /// # async fn run(listener: tokio::net::TcpListener, app: axum::Router, events: tidings::Endpoint, runs: tidings::runs::Runs) -> std::io::Result<()> {
    /// let announced = events.announce_drain_on(tokio::signal::ctrl_c());
    /// tidings::server::serve(listener, app).with_graceful_shutdown(events.drain_on(runs.drain_on(announced))).await
    /// # }
    /// ```
    ///
    /// The two drains together take at most 20 s by default, 10 s each, and the delay is added. Orchestrators kill a process
    /// after 30 s.
    pub fn drain_on<F>(&self, signal: F) -> impl Future<Output = ()> + Send + 'static + use<F>
    where
        F: Future + Send + 'static,
    {
        let runs = self.clone();
        async move {
            drop(signal.await);
            runs.drain().await;
        }
    }
}

/// Drain whose waker is in the table until it is dropped.
struct WaitingDrain {
    number: u64,
    shared: Arc<Shared>,
}

impl WaitingDrain {
    /// Registers the waker. Returns `false` if no run is live.
    fn register(&self, waker: Waker) -> bool {
        let mut table = lock(&self.shared.table);
        if table.live == 0 {
            return false;
        }
        let replaced = table.register_drain(self.number, waker);
        drop(table);
        drop(replaced);
        true
    }
}

impl Drop for WaitingDrain {
    fn drop(&mut self) {
        let waker = lock(&self.shared.table).remove_drain(self.number);
        drop(waker);
    }
}
