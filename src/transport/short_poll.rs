//! Short polls: one request, answered at once with the events since the cursor.

use std::task::{Context, Waker};

use super::limit;
use super::reply::{Draft, Reply};
use crate::contract::Subscriber;

/// Answers a short poll: with what is there, at once.
///
/// Of a source without cursors the reply may [not be complete](Reply::is_complete): its client can't come back for the rest.
///
/// ```
/// use tidings::{LocalHub, Subscribe, Topic};
/// use tidings::transport::short_poll::PollQueue;
///
/// let (hub, news) = (LocalHub::new(), Topic::new("news")?);
/// let subscription = hub.subscribe(Subscribe::topics([&news]))?;
/// let cursor = hub.publish_now("news", "first")?.cursor().expect("a local hub knows it");
///
/// let reply = PollQueue::new(subscription).reply();
/// assert_eq!((reply.cursor, reply.more), (Some(cursor), false));
/// let body = format!(r#"{{"cursor":"{cursor}","events":[{{"id":"{cursor}","topic":"news","data":"first"}}]}}"#);
/// assert_eq!(reply.into_parts().concat(), body.as_bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a poll queue does nothing until it replies"]
pub struct PollQueue<S> {
    subscriber: S,
    draft: Draft,
}

impl<S: Subscriber> PollQueue<S> {
    /// A poll of this subscriber, which begins where the client's cursor says.
    pub fn new(subscriber: S) -> Self {
        Self { subscriber, draft: Draft::new(limit::BATCH) }
    }

    /// At most so many bytes of events (64 KiB unless set), but always at least one event if there is one.
    pub fn max_batch_bytes(mut self, max: usize) -> Self {
        self.draft = Draft::new(max);
        self
    }

    /// Takes what is ready and answers with it.
    #[must_use]
    pub fn reply(mut self) -> Reply {
        self.collect(&mut Context::from_waker(Waker::noop()));
        self.finish()
    }

    /// Takes what is ready. Where the subscriber is pending then, it has the waker.
    pub(crate) fn collect(&mut self, cx: &mut Context<'_>) -> &S {
        self.draft.collect(&mut self.subscriber, cx);
        &self.subscriber
    }

    /// Answers with what was taken.
    pub(crate) fn finish(self) -> Reply {
        let mut reply = self.draft.finish();
        reply.next_in = self.subscriber.info().next_event_in();
        reply
    }
}
