use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::contract::{BoxSubscriber, Delivery, Subscriber};
use crate::subscriber::{Recover, Recovery};

/// Extension methods of every [`Subscriber`].
///
/// ```
/// use tidings::subscriber::{Delivery, SubscriberExt};
/// use tidings::{LocalHub, Subscribe};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = LocalHub::new();
/// let mut subscription = hub.subscribe(Subscribe::topics(["news"]))?.boxed();
/// hub.publish("news", "first").await?;
/// assert!(matches!(subscription.next().await, Delivery::Events(batch) if batch.len() == 1));
/// hub.close();
/// assert!(matches!(subscription.next().await, Delivery::End(_)));
/// # Ok(())
/// # }
/// ```
pub trait SubscriberExt: Subscriber + sealed::Sealed {
    /// Returns a future of the next delivery.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped before it is ready loses no delivery.
    fn next(&mut self) -> Next<'_, Self> {
        Next { subscriber: self }
    }

    /// Converts the subscriber into a [`Stream`] of its deliveries, which ends after [`Delivery::End`].
    ///
    /// ```
    /// use std::{future::poll_fn, pin::pin};
    /// use futures_core::Stream;
    /// use tidings::subscriber::SubscriberExt;
    /// use tidings::{LocalHub, Subscribe};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let hub = LocalHub::new();
    /// let mut deliveries = pin!(hub.subscribe(Subscribe::topics(["news"]))?.into_stream());
    /// hub.publish("news", "first").await?;
    /// hub.close();
    /// let mut count = 0;
    /// while let Some(_delivery) = poll_fn(|cx| deliveries.as_mut().poll_next(cx)).await {
    ///     count += 1;
    /// }
    /// assert_eq!(count, 2, "the event and the end");
    /// # Ok(())
    /// # }
    /// ```
    fn into_stream(self) -> IntoStream<Self>
    where
        Self: Sized,
    {
        IntoStream { subscriber: Some(self) }
    }

    /// Returns a subscriber that recovers from gaps by snapshots of the application's state. `recovery` is a closure from a
    /// gap to a future of an `Option<Snapshot>`. See [`Recover`].
    fn recover_with<F>(self, recovery: F) -> Recover<Self, F>
    where
        F: Recovery,
        Self: Sized,
    {
        Recover::new(self, recovery)
    }

    /// Boxes the subscriber, to hide its type.
    fn boxed(self) -> BoxSubscriber
    where
        Self: Sized,
    {
        Box::new(self)
    }
}

impl<S: Subscriber + ?Sized> SubscriberExt for S {}

mod sealed {
    #[expect(unnameable_types, reason = "seals the trait")]
    pub trait Sealed {}
    impl<S: super::Subscriber + ?Sized> Sealed for S {}
}

/// Future of [`SubscriberExt::next`].
#[must_use = "futures do nothing unless polled"]
pub struct Next<'a, S: ?Sized> {
    subscriber: &'a mut S,
}

impl<S: Subscriber + ?Sized> Future for Next<'_, S> {
    type Output = Delivery;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Delivery> {
        self.subscriber.poll_next(cx)
    }
}

/// Stream of [`SubscriberExt::into_stream`].
#[must_use = "streams do nothing unless polled"]
pub struct IntoStream<S> {
    subscriber: Option<S>,
}

impl<S> Unpin for IntoStream<S> {}

impl<S: Subscriber> Stream for IntoStream<S> {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let Some(subscriber) = &mut self.subscriber else {
            return Poll::Ready(None);
        };
        let delivery = std::task::ready!(subscriber.poll_next(cx));
        if let Delivery::End(_) = delivery {
            self.subscriber = None;
        }
        Poll::Ready(Some(delivery))
    }
}

impl<S: ?Sized> fmt::Debug for Next<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for IntoStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoStream").finish_non_exhaustive()
    }
}
