use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use super::catch::{catch_panic, wake};
#[cfg(feature = "disk")]
use super::entry::Phase;
use super::entry::RunEntry;
use super::failure::FailureCause;
#[cfg(feature = "disk")]
use super::limits::RunLimits;
use super::lock::lock;
use super::run_hub::HubReply;
use super::shared::Shared;
use crate::contract::PublishError;
use crate::model::EndReason;

/// End of a run that a hub on disk is storing. The reply of the hub completes it, on the hub's thread.
struct StoredEnd {
    shared: Arc<Shared>,
    entry: Arc<RunEntry>,
    kind: EndKind,
    reply: Mutex<Option<HubReply>>,
}

/// Kind of an end that is stored.
enum EndKind {
    /// The end of a run.
    First {
        /// Instant of the end.
        at: Instant,
        /// Whether the application has got a failure of the run.
        is_reported: bool,
    },
    /// The end of an ended run, which the hub has forgotten. The run is [held](RunEntry::hold) until the reply, so that it is
    /// not forgotten, and another run of the topic does not get this end.
    Again,
}

impl Shared {
    /// Ends a run, unless it has ended. Returns whether this call ended it.
    ///
    /// Readers get the end before this returns, or when the disk has stored it. The task drops the stream when it is polled
    /// next.
    pub(crate) fn end(
        self: &Arc<Self>,
        entry: &Arc<RunEntry>,
        reason: EndReason,
        failure: Option<(FailureCause, &str)>,
    ) -> bool {
        let now = self.timer.now();
        let is_first = entry.begin_end(reason);
        if is_first {
            let finished = catch_panic(|| self.hub.finish(&entry.topic, reason));
            if let Some((cause, text)) = failure {
                self.report(&entry.topic, cause, text);
            }
            self.complete_end(entry, EndKind::First { at: now, is_reported: failure.is_some() }, finished);
        }
        is_first
    }

    /// Publishes the end of a run again if the hub has refused it.
    pub(crate) fn end_again(self: &Arc<Self>, entry: &Arc<RunEntry>) {
        let now = self.timer.now();
        if let Some(reason) = entry.begin_end_again() {
            let finished = catch_panic(|| self.hub.finish(&entry.topic, reason));
            // The refusal was reported.
            self.complete_end(entry, EndKind::First { at: now, is_reported: true }, finished);
        }
    }

    /// Notes that the task of a run was dropped: later calls publish its end again if the hub refuses it.
    #[cfg(feature = "disk")]
    pub(crate) fn leave_end(&self, entry: &Arc<RunEntry>) {
        if entry.phase() == Phase::Ending {
            lock(&self.table).without_task.push(Arc::clone(entry));
        }
    }

    /// Publishes the ends of runs without a task again that the hub has refused.
    #[cfg(feature = "disk")]
    pub(crate) fn retry_ends(self: &Arc<Self>, now: Instant) {
        let is_due = |at| RunLimits::retry(at).is_some_and(|due| due <= now);
        let mut due = Vec::new();
        lock(&self.table).without_task.retain(|entry| {
            if entry.refused().is_some_and(is_due) {
                due.push(Arc::clone(entry));
            }
            entry.phase() == Phase::Ending
        });
        due.iter().for_each(|entry| self.end_again(entry));
    }

    /// Publishes the end of an ended run again.
    pub(crate) fn finish_again(self: &Arc<Self>, entry: &Arc<RunEntry>, reason: EndReason) {
        if entry.hold() {
            // Under no lock, because wakers and payloads of the application are called and dropped.
            let finished = catch_panic(|| self.hub.finish(&entry.topic, reason));
            self.complete_end(entry, EndKind::Again, finished);
        }
    }

    /// Completes an end when the hub has stored it. `finished` is the reply of the hub, or the text of a panic.
    fn complete_end(self: &Arc<Self>, entry: &Arc<RunEntry>, kind: EndKind, finished: Result<HubReply, String>) {
        let end = StoredEnd { shared: Arc::clone(self), entry: Arc::clone(entry), kind, reply: Mutex::new(None) };
        match finished {
            Ok(reply) => end.begin(reply),
            Err(text) => {
                end.report(FailureCause::Panic, &text);
                end.complete();
            }
        }
    }
}

impl StoredEnd {
    /// Completes the end now or by a later reply.
    fn begin(mut self, mut reply: HubReply) {
        match Pin::new(&mut reply).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(stored) => self.stored(&stored),
            Poll::Pending => {
                self.reply = Mutex::new(Some(reply));
                Arc::new(self).wake();
            }
        }
    }

    fn stored(&self, stored: &Result<(), PublishError>) {
        if let Err(error) = stored {
            self.report(FailureCause::Hub, &error.to_string());
        }
        match (stored, &self.kind) {
            // The task publishes it again, or the next reader.
            (Err(PublishError::Unavailable(_)), EndKind::First { at, .. }) => {
                self.entry.refuse_end(*at);
                self.entry.wake();
            }
            // The subscriptions of a closed hub end, too.
            _ => self.complete(),
        }
    }

    fn report(&self, cause: FailureCause, text: &str) {
        let is_reported = match self.kind {
            EndKind::First { is_reported, .. } => is_reported,
            // The run has not failed. A panic is that of a reader's waker.
            EndKind::Again => cause != FailureCause::Panic,
        };
        if !is_reported {
            self.shared.report(&self.entry.topic, cause, text);
        }
    }

    fn complete(&self) {
        match self.kind {
            EndKind::First { at, .. } => {
                let drains = lock(&self.shared.table).end(&self.entry, at);
                self.entry.wake();
                drains.into_iter().for_each(wake);
            }
            EndKind::Again => {
                self.entry.release();
                self.shared.forget_expired(self.shared.timer.now());
            }
        }
        self.shared.forget_excess();
    }
}

impl Wake for StoredEnd {
    fn wake(self: Arc<Self>) {
        let waker = Waker::from(Arc::clone(&self));
        let mut reply = lock(&self.reply);
        let Some(waiting) = &mut *reply else { return };
        if let Poll::Ready(stored) = Pin::new(waiting).poll(&mut Context::from_waker(&waker)) {
            *reply = None;
            drop(reply);
            self.stored(&stored);
        }
    }
}
