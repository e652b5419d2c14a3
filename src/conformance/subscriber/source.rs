use std::future::Future;

use crate::conformance::run::{Failures, Problem, Report, VirtualTimer};
use crate::conformance::subscriber::run_cases;
use crate::contract::Subscriber;
use crate::model::{Cursor, Event, Topic};

/// Source of a subscriber that the kit tests.
///
/// [`subscriber`] has an example.
pub trait SourceUnderTest: 'static {
    /// Type of the subscriber.
    type Subscriber: Subscriber;

    /// Whether a publish is ready at its first poll, and the subscriber is pending only if there is no event. The kit then does
    /// not wait for other threads. Default: `false`.
    const IS_IMMEDIATE: bool = false;

    /// Subscribes from now on. The kit calls it once, before the first publish.
    ///
    /// # Errors
    ///
    /// The case fails with the error.
    fn subscribe(&self, topics: &[&str]) -> Result<Self::Subscriber, Problem>;

    /// Publishes an event to one of the topics.
    ///
    /// # Errors
    ///
    /// The case fails with the error.
    fn publish(&self, topic: &Topic, event: Event) -> impl Future<Output = Result<(), Problem>>;

    /// Ends the source: its subscribers yield their end after the last event.
    ///
    /// # Errors
    ///
    /// The case fails with the error.
    fn end(&self) -> impl Future<Output = Result<(), Problem>>;

    /// Subscribes after a cursor. Default: `None`, a subscriber has no other beside it.
    fn resume(&self, topics: &[&str], cursor: Cursor) -> Option<Result<Self::Subscriber, Problem>> {
        let _ = (topics, cursor);
        None
    }
}

/// Tests the promises of a [`Subscriber`]: order, cursors, cancel safety, wakes, encoded batches, skips and the end.
///
/// `open` opens an empty source for each case.
///
/// ```
/// use tidings::conformance::{Failures, Problem, SourceUnderTest, subscriber};
/// use tidings::{Cursor, Event, LocalHub, Start, Subscribe, Subscription, Topic};
///
/// /// In place of a source of your own.
/// struct Source(LocalHub);
///
/// impl SourceUnderTest for Source {
///     type Subscriber = Subscription;
///     const IS_IMMEDIATE: bool = true;
///
///     fn subscribe(&self, topics: &[&str]) -> Result<Subscription, Problem> {
///         Ok(self.0.subscribe(Subscribe::topics(topics.iter().copied()))?)
///     }
///
///     async fn publish(&self, topic: &Topic, event: Event) -> Result<(), Problem> {
///         self.0.publish(topic, event).await?;
///         Ok(())
///     }
///
///     async fn end(&self) -> Result<(), Problem> {
///         self.0.close();
///         Ok(())
///     }
///
///     fn resume(&self, topics: &[&str], cursor: Cursor) -> Option<Result<Subscription, Problem>> {
///         let subscribe = Subscribe::topics(topics.iter().copied()).start(Start::After(cursor));
///         Some(self.0.subscribe(subscribe).map_err(Problem::from))
///     }
/// }
///
/// fn main() -> Result<(), Failures> {
///     let report = subscriber(async || Ok(Source(LocalHub::new())))?;
///     println!("{report}");
///     Ok(())
/// }
/// ```
///
/// # Errors
///
/// Returns the failures.
pub fn subscriber<S: SourceUnderTest>(open: impl AsyncFn() -> Result<S, Problem>) -> Result<Report, Failures> {
    run_cases(&VirtualTimer::new(), S::IS_IMMEDIATE, open)
}
