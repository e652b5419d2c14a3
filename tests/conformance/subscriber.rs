use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use tidings::conformance::{Problem, SourceUnderTest, subscriber};
use tidings::subscriber::{FromStream, Recover, SubscriberExt, from_stream};
use tidings::{Cursor, Event, LocalHub, Snapshot, Start, Subscribe, Subscription, Topic};

/// A stream that tests put events into.
#[derive(Clone, Default)]
struct Fed(Arc<Mutex<Feeding>>);

#[derive(Default)]
struct Feeding {
    events: VecDeque<Event>,
    has_ended: bool,
    waker: Option<Waker>,
}

impl Fed {
    fn change(&self, change: impl FnOnce(&mut Feeding)) {
        let mut feeding = self.0.lock().unwrap();
        change(&mut feeding);
        let waker = feeding.waker.take();
        drop(feeding);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Stream for Fed {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut feeding = self.0.lock().unwrap();
        match feeding.events.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None if feeding.has_ended => Poll::Ready(None),
            None => {
                feeding.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl SourceUnderTest for Fed {
    type Subscriber = FromStream<Self>;
    const IS_IMMEDIATE: bool = true;

    fn subscribe(&self, topics: &[&str]) -> Result<FromStream<Self>, Problem> {
        Ok(from_stream(Topic::new(topics[0])?, self.clone()))
    }

    async fn publish(&self, _: &Topic, event: Event) -> Result<(), Problem> {
        self.change(|feeding| feeding.events.push_back(event));
        Ok(())
    }

    async fn end(&self) -> Result<(), Problem> {
        self.change(|feeding| feeding.has_ended = true);
        Ok(())
    }
}

#[test]
fn stream_of_one_topic_conforms() {
    let failures = subscriber(async || Ok(Fed::default())).unwrap_err();
    // A stream has one topic, so the second topic of the cases is not in its events.
    assert!(failures.iter().all(|failure| failure.on() == "a subscriber of two topics"), "{failures}");
}

type NoSnapshot = fn(&tidings::Gap) -> std::future::Ready<Option<Snapshot>>;

/// Subscriptions that recover.
struct Recovering(LocalHub);

impl SourceUnderTest for Recovering {
    type Subscriber = Recover<Subscription, NoSnapshot>;
    const IS_IMMEDIATE: bool = true;

    fn subscribe(&self, topics: &[&str]) -> Result<Self::Subscriber, Problem> {
        let subscription = self.0.subscribe(Subscribe::topics(topics.iter().copied()))?;
        Ok(subscription.recover_with((|_| std::future::ready(None)) as NoSnapshot))
    }

    async fn publish(&self, topic: &Topic, event: Event) -> Result<(), Problem> {
        self.0.publish_now(topic, event)?;
        Ok(())
    }

    async fn end(&self) -> Result<(), Problem> {
        self.0.close();
        Ok(())
    }

    fn resume(&self, topics: &[&str], cursor: Cursor) -> Option<Result<Self::Subscriber, Problem>> {
        let subscribe = Subscribe::topics(topics.iter().copied()).start(Start::After(cursor));
        let resumed = self.0.subscribe(subscribe).map_err(Problem::from);
        Some(resumed.map(|resumed| resumed.recover_with((|_| std::future::ready(None)) as NoSnapshot)))
    }
}

#[test]
fn subscriptions_that_recover_conform() {
    println!("{}", subscriber(async || Ok(Recovering(LocalHub::new()))).unwrap());
}
