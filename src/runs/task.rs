use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use super::catch::catch_panic;
use super::entry::{Phase, RunEntry};
use super::failure::FailureCause;
use super::limits::RunLimits;
use super::run_hub::HubReply;
use super::shared::Shared;
use super::source::{BatchEnd, BoxSource, Size, take_ready};
use crate::model::{EndReason, Event};
use crate::time::Sleep;

/// Task of one run: polls the stream and publishes its events, and drops the history after the linger time. Returned by
/// [`Runs::start_unspawned`](crate::runs::Runs::start_unspawned).
///
/// The future is ready when the history is dropped, and at once if the run was joined. A task that is dropped while its run
/// is live ends the run as [failed](crate::EndReason::Failed).
#[must_use = "the run makes no progress until its task is polled"]
pub struct RunTask(Option<RunWorker>);

struct RunWorker {
    shared: Arc<Shared>,
    entry: Arc<RunEntry>,
    /// `None` after the run has ended.
    source: Option<BoxSource>,
    /// Events that are published next. Empty between two polls.
    batch: Vec<Event>,
    /// Batch that the hub is storing, and what follows it.
    publishing: Option<(HubReply, BatchEnd)>,
    sleep: Option<Pin<Box<dyn Sleep>>>,
    /// Instant of the sleep.
    due: Option<Instant>,
}

impl RunTask {
    /// Returns the task of a run. `source` is `None` if the run has ended.
    pub(crate) fn new(shared: Arc<Shared>, entry: Arc<RunEntry>, source: Option<BoxSource>) -> Self {
        Self(Some(RunWorker { shared, entry, source, batch: Vec::new(), publishing: None, sleep: None, due: None }))
    }

    /// Returns a task that is ready at once.
    pub(crate) fn joined() -> Self {
        Self(None)
    }
}

impl Future for RunTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(worker) = &mut self.0 else { return Poll::Ready(()) };
        let polled = catch_panic(|| worker.poll(cx));
        worker.entry.end_poll();
        if worker.source.is_none() {
            // While it is polled, a run cannot be forgotten.
            worker.shared.forget_excess();
        }
        let polled = polled.unwrap_or_else(|text| worker.panicked(&text, cx));
        if polled == Poll::Ready(Next::Forget) {
            worker.shared.forget(&worker.entry);
        }
        if polled.is_ready() {
            self.0 = None;
        }
        polled.map(drop)
    }
}

/// Step after the last poll of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The linger time is over.
    Forget,
    /// Nothing is left to do.
    Nothing,
}

impl RunWorker {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        loop {
            let observed = self.entry.begin_poll(cx);
            if observed.phase != Phase::Live {
                if let Err(text) = self.drop_source() {
                    self.shared.report(&self.entry.topic, FailureCause::Panic, &text);
                }
            }
            match observed.phase {
                Phase::Live => {
                    let ended =
                        self.poll_time(cx, observed.unwatched_since).is_ready() || self.poll_source(cx).is_ready();
                    if !ended {
                        return Poll::Pending;
                    }
                }
                // The thread that ends the run wakes the task afterwards.
                Phase::Ending => {
                    let Some(at) = observed.refused else { return Poll::Pending };
                    ready!(self.poll_sleep(cx, RunLimits::retry(at)));
                    self.shared.end_again(&self.entry);
                }
                Phase::Ended(at) => {
                    let due = self.shared.limits.linger_end(at);
                    return self.poll_sleep(cx, due).map(|()| Next::Forget);
                }
                Phase::Forgotten => return Poll::Ready(Next::Nothing),
            }
        }
    }

    /// Ends the run if its lifetime is over, or if it had no reader for too long. Is ready if it ended the run.
    fn poll_time(&mut self, cx: &mut Context<'_>, unwatched_since: Option<Instant>) -> Poll<()> {
        let limits = &self.shared.limits;
        let lifetime = limits.lifetime_end(self.entry.began);
        let unwatched = unwatched_since.and_then(|since| limits.unwatched_end(since));
        let due = lifetime.into_iter().chain(unwatched).min();
        ready!(self.poll_sleep(cx, due));
        if due == lifetime {
            let text = format!(
                "run exceeded its lifetime of {:?}; raise `RunsBuilder::lifetime`",
                self.shared.limits.lifetime
            );
            self.shared.end(&self.entry, EndReason::Failed, Some((FailureCause::Limit, &text)));
        } else {
            self.shared.end(&self.entry, EndReason::Stopped, None);
        }
        Poll::Ready(())
    }

    /// Publishes the events that are ready. Is ready if the run has ended.
    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (mut reply, end) = match self.publishing.take() {
            Some(publishing) => publishing,
            None => match self.publish_ready(cx) {
                Some(publishing) => publishing,
                None => return Poll::Pending,
            },
        };
        let end = match Pin::new(&mut reply).poll(cx) {
            Poll::Ready(Ok(())) => end,
            Poll::Ready(Err(error)) => BatchEnd::Failed(FailureCause::Hub, error.to_string()),
            Poll::Pending => {
                // The stream may become ready meanwhile, so it is polled again.
                let end = if matches!(end, BatchEnd::Pending) { BatchEnd::Full } else { end };
                self.publishing = Some((reply, end));
                return Poll::Pending;
            }
        };
        match end {
            BatchEnd::Pending => return Poll::Pending,
            BatchEnd::Full => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            BatchEnd::Done => match self.drop_source() {
                Ok(()) => self.shared.end(&self.entry, EndReason::Done, None),
                Err(text) => self.shared.end(&self.entry, EndReason::Failed, Some((FailureCause::Panic, &text))),
            },
            BatchEnd::Failed(cause, text) => self.shared.end(&self.entry, EndReason::Failed, Some((cause, &text))),
        };
        Poll::Ready(())
    }

    /// Begins to publish the events that are ready. Returns the reply of the hub, and what follows the events. `None` if the
    /// run has no stream any more.
    fn publish_ready(&mut self, cx: &mut Context<'_>) -> Option<(HubReply, BatchEnd)> {
        let Self { shared, entry, batch, .. } = self;
        let source = self.source.as_mut()?;
        let before = Size { events: entry.events(), bytes: entry.bytes() };
        let mut size = before;
        let end = catch_panic(|| take_ready(source, cx, &shared.hub, shared.limits.sizes(), &mut size, batch));
        let end = end.unwrap_or_else(|text| BatchEnd::Failed(FailureCause::Panic, text));
        let reply = catch_panic(|| shared.hub.publish(entry, batch));
        let reply = reply.unwrap_or_else(|text| {
            // The events are published. The panic is that of a reader's waker, or of a payload that the hub has evicted.
            shared.report(&entry.topic, FailureCause::Panic, &text);
            HubReply::now(Ok(()))
        });
        shared.add(entry, size.events - before.events, size.bytes - before.bytes);
        Some((reply, end))
    }

    /// Polls the sleep until `due`.
    fn poll_sleep(&mut self, cx: &mut Context<'_>, due: Option<Instant>) -> Poll<()> {
        let Some(at) = due else { return Poll::Pending };
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                if self.due != due {
                    sleep.as_mut().reset(at);
                }
                sleep
            }
            none => none.insert(self.shared.timer.sleep_until(at)),
        };
        self.due = due;
        sleep.as_mut().poll(cx)
    }

    /// Drops the stream. Returns the text of its panic.
    fn drop_source(&mut self) -> Result<(), String> {
        let source = self.source.take();
        (self.batch, self.publishing) = (Vec::new(), None);
        catch_panic(|| drop(source))
    }

    /// Ends the run after a panic of code that is not the stream's, such as the timer's.
    fn panicked(&mut self, text: &str, cx: &Context<'_>) -> Poll<Next> {
        let is_live = self.end_as_failed(FailureCause::Panic, text);
        if is_live {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // It would panic again. A later call of `Runs` drops the history.
        Poll::Ready(Next::Nothing)
    }

    /// Drops the stream and ends the run as failed, unless it has ended. Returns whether this call ended it.
    fn end_as_failed(&mut self, cause: FailureCause, text: &str) -> bool {
        let has_ended = self.shared.end(&self.entry, EndReason::Failed, Some((cause, text)));
        if let Err(text) = self.drop_source() {
            self.shared.report(&self.entry.topic, FailureCause::Panic, &text);
        }
        has_ended
    }
}

impl Drop for RunWorker {
    fn drop(&mut self) {
        if self.source.is_some() {
            let text = "task of the run was dropped: its runtime has ended, or the task was aborted";
            // A panic of the timer must not become an abort.
            let _panicked = catch_panic(|| self.end_as_failed(FailureCause::Dropped, text));
        }
        #[cfg(feature = "disk")]
        self.shared.leave_end(&self.entry);
    }
}

impl fmt::Debug for RunTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topic = self.0.as_ref().map(|worker| &worker.entry.topic);
        f.debug_struct("RunTask").field("topic", &topic).finish_non_exhaustive()
    }
}
