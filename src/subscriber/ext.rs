use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::contract::{BoxSubscriber, Delivery, Subscriber};

/// Conveniences for every [`Subscriber`].
pub trait SubscriberExt: Subscriber + sealed::Sealed {
    /// The next delivery. Cancel-safe: a future that is dropped unready has taken nothing.
    fn next(&mut self) -> Next<'_, Self> {
        Next { subscriber: self }
    }

    /// The deliveries as a stream, which is over after [`Delivery::End`].
    fn into_stream(self) -> IntoStream<Self>
    where
        Self: Sized,
    {
        IntoStream { subscriber: Some(self) }
    }

    /// The subscriber behind a pointer, where its type must not show.
    fn boxed(self) -> BoxSubscriber
    where
        Self: Sized,
    {
        Box::new(self)
    }
}

impl<S: Subscriber + ?Sized> SubscriberExt for S {}

mod sealed {
    #[expect(unnameable_types, reason = "that is what seals")]
    pub trait Sealed {}
    impl<S: super::Subscriber + ?Sized> Sealed for S {}
}

/// The future of [`SubscriberExt::next`].
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

/// The stream of [`SubscriberExt::into_stream`].
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
