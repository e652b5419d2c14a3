//! Short polls: each request is answered at once with the events after the client's cursor.
//!
//! # Wire format
//!
//! A reply is one JSON object on one line. An [`Endpoint`](crate::Endpoint) sends it as `application/json`, with the cursor
//! as its `ETag` (RFC 9110 §8.8.3).
//!
//! ```json
//! {"cursor":"7.a9","events":[{"id":"7.a8","topic":"news","data":"first"},{"id":"7.a9","topic":"news","data":"second"}]}
//! ```
//!
//! | member | content |
//! |---|---|
//! | `cursor` | cursor for the next poll; `null` if the source has no cursors and has not ended |
//! | `events` | [objects](crate::transport#objects) of events, gaps and ends of topics, in order |
//! | `more` | `true` if the reply reached its limit of bytes while more was ready; else absent |
//! | `end` | `true` if all topics have ended and the client has everything with this reply; else absent |
//!
//! The [end of a topic](crate::Hub::finish) is an object after its last event. A client that polls after the end of its last
//! topic is answered at once:
//!
//! ```json
//! {"cursor":"7.b10","events":[{"id":"7.b10","end":{"topic":"news","reason":"done"}}],"end":true}
//! {"cursor":"7.b10","events":[],"end":true}
//! ```
//!
//! # When to use it
//!
//! Use it for clients that read seldom and need no connection in between: dashboards that refresh every minute, cron jobs, a
//! request from the shell. An event is delayed by half the poll interval on average, and a client that polls often sends
//! many requests for empty replies. Between two polls the server holds nothing for the client.
//!
//! # Limits
//!
//! A reply contains at most [`max_batch_bytes`](PollQueue::max_batch_bytes) of events, and at least one event if one is
//! ready. A snapshot that follows a gap is in the same reply, whatever its size. A client of a source without cursors cannot
//! poll for the rest, see [`Reply::is_complete`].
//!
//! # Example
//!
//! ```
//! use tidings::{LocalHub, Start, Subscribe};
//! use tidings::transport::short_poll::PollQueue;
//!
//! let hub = LocalHub::new();
//! let first = hub.publish_now("news", "first")?.cursor().expect("a local hub numbers its events");
//! let second = hub.publish_now("news", "second")?.cursor().expect("a local hub numbers its events");
//!
//! // The client sent the cursor of the first event.
//! let subscription = hub.subscribe(Subscribe::topics(["news"]).start(Start::After(first)))?;
//! let reply = PollQueue::new(subscription).reply();
//! let body = format!(r#"{{"cursor":"{second}","events":[{{"id":"{second}","topic":"news","data":"second"}}]}}"#);
//! assert_eq!(reply.into_parts().concat(), body.as_bytes());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use super::limit;
use super::reply::{Draft, Progress, Reply};
use crate::contract::Subscriber;

/// Number of times that a poll without events continues after events that a filter left out.
const ROUNDS: u32 = 16;

/// Adapter of a short poll: collects the events that are ready into one [`Reply`].
///
/// The [module page](self) has the wire format and an example of the bytes.
///
/// ```
/// use tidings::{LocalHub, Subscribe};
/// use tidings::transport::short_poll::PollQueue;
///
/// let hub = LocalHub::new();
/// let subscription = hub.subscribe(Subscribe::topics(["news"]))?;
/// for text in ["first", "second"] {
///     hub.publish_now("news", text)?;
/// }
/// let reply = PollQueue::new(subscription).max_batch_bytes(1).reply();
/// assert!(reply.more, "the second event does not fit");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a poll queue does nothing until it replies"]
pub struct PollQueue<S> {
    subscriber: S,
    draft: Draft,
}

impl<S: Subscriber> PollQueue<S> {
    /// Creates a poll of this subscriber, which begins at the client's cursor.
    pub fn new(subscriber: S) -> Self {
        Self { subscriber, draft: Draft::new(limit::BATCH) }
    }

    /// Sets the maximum number of bytes of events in the reply. The reply contains at least one event if one is ready.
    /// Default: 64 KiB. It is about one TCP window.
    pub fn max_batch_bytes(mut self, max: usize) -> Self {
        self.draft = Draft::new(max);
        self
    }

    /// Takes the events that are ready and returns the reply. Of a hub whose history is not in memory it may lack events that
    /// are not loaded; use [`reply_loaded`](Self::reply_loaded) there.
    #[must_use]
    pub fn reply(mut self) -> Reply {
        self.collect(&mut Context::from_waker(Waker::noop()));
        self.finish()
    }

    /// Takes the events that are ready and returns the reply. If there are none and the subscriber
    /// [loads](crate::subscriber::SubscriberInfo::with_loading) events, waits for the first of them, as for those of a hub whose
    /// history is on disk.
    pub async fn reply_loaded(mut self) -> Reply {
        poll_fn(|cx| {
            self.collect(cx);
            if self.is_loading() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
        self.finish()
    }

    /// Returns whether there is no event, and the subscriber loads some.
    pub(crate) fn is_loading(&self) -> bool {
        self.draft.is_empty() && self.subscriber.info().is_loading()
    }

    /// Takes the events that are ready. If the subscriber is pending after that, it has the waker.
    pub(crate) fn collect(&mut self, cx: &mut Context<'_>) -> &S {
        if self.draft.collect(&mut self.subscriber, cx) == Progress::Nothing && self.subscriber.info().is_filtered() {
            self.collect_filtered(cx);
        }
        &self.subscriber
    }

    /// Continues after events that the filter left out: a filtered subscriber is also pending when it has looked at many events
    /// and delivered none.
    #[cold]
    fn collect_filtered(&mut self, cx: &mut Context<'_>) {
        for _ in 1..ROUNDS {
            let before = self.subscriber.cursor();
            let progress = self.draft.collect(&mut self.subscriber, cx);
            if progress != Progress::Nothing || self.subscriber.cursor() == before {
                break;
            }
        }
    }

    /// Returns the reply with the events that were taken.
    pub(crate) fn finish(self) -> Reply {
        let mut reply = self.draft.finish();
        reply.next_in = self.subscriber.info().next_event_in();
        reply
    }
}
