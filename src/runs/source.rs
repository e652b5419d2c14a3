use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::failure::FailureCause;
use super::item::RunItem;
use super::run_hub::RunHub;
use crate::model::Event;

/// Maximum number of events that a run publishes at once. After them the task lets other tasks run.
pub(crate) const BATCH: usize = 64;
/// Number of bytes after which a batch is published.
const BATCH_BYTES: usize = 64 << 10;

/// Stream of a run, boxed.
pub(crate) type BoxSource = Pin<Box<dyn Source>>;

/// Stream of a run: a stream whose items become events.
pub(crate) trait Source: Send {
    /// Polls for the next event, the text of an error, or the end.
    fn poll_event(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Event, String>>>;
}

impl<S: Stream + Send> Source for S
where
    S::Item: RunItem,
{
    fn poll_event(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Event, String>>> {
        self.poll_next(cx).map(|item| item.map(RunItem::into_event))
    }
}

/// Reason why a batch has no further events.
pub(crate) enum BatchEnd {
    /// The stream has none ready.
    Pending,
    /// The batch is full.
    Full,
    /// The stream has ended.
    Done,
    /// The run fails after the events of the batch.
    Failed(FailureCause, String),
}

/// Limits of a run.
#[derive(Clone, Copy)]
pub(crate) struct SizeLimits {
    pub(crate) max_events: usize,
    pub(crate) max_bytes: usize,
}

/// Size of a run.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

/// Takes the events that are ready into `batch`, at most as many as a batch and the run may have. `size` is the size of the
/// run, and is advanced.
pub(crate) fn take_ready(
    source: &mut BoxSource,
    cx: &mut Context<'_>,
    hub: &RunHub,
    limits: SizeLimits,
    size: &mut Size,
    batch: &mut Vec<Event>,
) -> BatchEnd {
    let end = size.bytes.saturating_add(BATCH_BYTES);
    while batch.len() < BATCH && size.bytes < end {
        let event = match source.as_mut().poll_event(cx) {
            Poll::Pending => return BatchEnd::Pending,
            Poll::Ready(None) => return BatchEnd::Done,
            Poll::Ready(Some(Err(text))) => return BatchEnd::Failed(FailureCause::Error, text),
            Poll::Ready(Some(Ok(event))) => event,
        };
        let weight = event.weight();
        if let Err(text) = check(&event, weight, hub, limits, *size) {
            return text;
        }
        size.events += 1;
        size.bytes += weight;
        batch.push(event);
    }
    BatchEnd::Full
}

/// Returns the failure of a run by an event that is too large, or one too many.
fn check(event: &Event, weight: usize, hub: &RunHub, limits: SizeLimits, size: Size) -> Result<(), BatchEnd> {
    if size.events >= limits.max_events {
        let text = format!("run has more than {} events; raise `RunsBuilder::max_events`", limits.max_events);
        return Err(BatchEnd::Failed(FailureCause::Limit, text));
    }
    if weight > limits.max_bytes.saturating_sub(size.bytes) {
        let text = format!("run has more than {} bytes; raise `RunsBuilder::max_bytes`", limits.max_bytes);
        return Err(BatchEnd::Failed(FailureCause::Limit, text));
    }
    hub.check_event(event).map_err(|error| BatchEnd::Failed(FailureCause::Hub, error.to_string()))
}
