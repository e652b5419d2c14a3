//! Planted faults, each of which a named case finds.

use std::task::{Context, Poll, Waker, ready};

use tidings::conformance::clients::{BoxFuture, Client, Seen};
use tidings::conformance::{AdapterUnderTest, CaseHub, Problem, SourceUnderTest, adapters, own_adapters, subscriber};
use tidings::subscriber::{Delivery, EncodedBatch, EncodedDelivery, Format, SubscriberInfo};
use tidings::{Cursor, Event, LocalHub, Start, Subscribe, Subscriber, Subscription, Topic};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The cursor is that of the newest event.
    CursorAhead,
    /// The first task that polled is woken, and no later one.
    WakesTheFirst,
    /// `register` returns `true` and registers nothing.
    RegistersNothing,
    /// A delivery that `poll_next` has taken is lost if `poll_encoded` follows.
    LosesTaken,
    /// A poll after the end is pending.
    EndsOnce,
    /// The bytes of a delivery exceed the maximum.
    IgnoresMax,
    /// The number of encoded events is wrong.
    Miscounts,
    /// A skip leaves out one event more.
    SkipsTooFar,
    /// A skip to another epoch succeeds.
    SkipsAnywhere,
    /// A release drops what is unread.
    ReleaseDrops,
}

const FOUND_BY: [(Fault, &str); 10] = [
    (Fault::CursorAhead, "cursor up to the last delivery"),
    (Fault::WakesTheFirst, "the last task is woken"),
    (Fault::RegistersNothing, "register"),
    (Fault::LosesTaken, "a pending poll loses nothing"),
    (Fault::EndsOnce, "the end, again and again"),
    (Fault::IgnoresMax, "encoded events equal batches"),
    (Fault::Miscounts, "encoded events equal batches"),
    (Fault::SkipsTooFar, "skip to a cursor"),
    (Fault::SkipsAnywhere, "skip to a cursor"),
    (Fault::ReleaseDrops, "release"),
];

/// A subscription with a fault.
struct Faulty {
    inner: Subscription,
    fault: Fault,
    first: Option<Waker>,
    taken: Option<Delivery>,
    has_ended: bool,
}

impl Faulty {
    fn head(&self) -> Option<Cursor> {
        self.inner.info().head()
    }

    /// Polls the subscription as the fault has it.
    fn poll<T>(&mut self, cx: &mut Context<'_>, poll: impl FnOnce(&mut Subscription, &mut Context<'_>) -> T) -> T {
        if self.fault != Fault::WakesTheFirst {
            return poll(&mut self.inner, cx);
        }
        let first = self.first.get_or_insert_with(|| cx.waker().clone()).clone();
        poll(&mut self.inner, &mut Context::from_waker(&first))
    }

    fn ended(&mut self, is_end: bool) -> bool {
        std::mem::replace(&mut self.has_ended, is_end) && self.fault == Fault::EndsOnce
    }
}

impl Subscriber for Faulty {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        if self.fault == Fault::LosesTaken {
            if let Some(taken) = self.taken.take() {
                return Poll::Ready(taken);
            }
            self.taken = Some(ready!(self.inner.poll_next(cx)));
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let delivery = ready!(self.poll(cx, |inner, cx| inner.poll_next(cx)));
        if self.ended(matches!(delivery, Delivery::End(_))) { Poll::Pending } else { Poll::Ready(delivery) }
    }

    fn poll_encoded(&mut self, cx: &mut Context<'_>, format: &dyn Format, max: usize) -> Poll<EncodedDelivery> {
        let max = if self.fault == Fault::IgnoresMax { usize::MAX } else { max };
        let delivery = ready!(self.poll(cx, |inner, cx| inner.poll_encoded(cx, format, max)));
        if self.ended(matches!(delivery, EncodedDelivery::End(_))) {
            return Poll::Pending;
        }
        Poll::Ready(match delivery {
            EncodedDelivery::Events(events) if self.fault == Fault::Miscounts => {
                EncodedDelivery::Events(EncodedBatch::new(events.bytes, events.events + 1))
            }
            delivery => delivery,
        })
    }

    fn heeds_max(&self) -> bool {
        true
    }

    fn register(&mut self, cx: &mut Context<'_>) -> bool {
        self.fault == Fault::RegistersNothing || self.poll(cx, |inner, cx| inner.register(cx))
    }

    fn cursor(&self) -> Option<Cursor> {
        if self.fault == Fault::CursorAhead { self.head() } else { self.inner.cursor() }
    }

    fn skip_to(&mut self, cursor: Cursor) -> bool {
        match self.fault {
            Fault::SkipsAnywhere => drop(self.inner.skip_to(cursor)),
            Fault::SkipsTooFar => {
                return self.inner.skip_to(Cursor::new(cursor.epoch(), cursor.sequence() + 1))
                    || self.inner.skip_to(cursor);
            }
            _ => return self.inner.skip_to(cursor),
        }
        true
    }

    fn release(&mut self) {
        if let Some(head) = self.head().filter(|_| self.fault == Fault::ReleaseDrops) {
            self.inner.skip_to(head);
        }
        self.inner.release();
    }

    fn info(&self) -> SubscriberInfo<'_> {
        self.inner.info()
    }
}

struct FaultySource {
    hub: LocalHub,
    fault: Fault,
}

impl FaultySource {
    fn faulty(&self, subscribe: Subscribe) -> Result<Faulty, Problem> {
        let inner = self.hub.subscribe(subscribe)?;
        Ok(Faulty { inner, fault: self.fault, first: None, taken: None, has_ended: false })
    }
}

impl SourceUnderTest for FaultySource {
    type Subscriber = Faulty;
    const IS_IMMEDIATE: bool = true;

    fn subscribe(&self, topics: &[&str]) -> Result<Faulty, Problem> {
        self.faulty(Subscribe::topics(topics.iter().copied()))
    }

    async fn publish(&self, topic: &Topic, event: Event) -> Result<(), Problem> {
        self.hub.publish_now(topic, event)?;
        Ok(())
    }

    async fn end(&self) -> Result<(), Problem> {
        self.hub.close();
        Ok(())
    }

    fn resume(&self, topics: &[&str], cursor: Cursor) -> Option<Result<Faulty, Problem>> {
        Some(self.faulty(Subscribe::topics(topics.iter().copied()).start(Start::After(cursor))))
    }
}

#[test]
fn faults_of_subscribers_are_found() {
    for (fault, case) in FOUND_BY {
        let failures = subscriber(async || Ok(FaultySource { hub: LocalHub::new(), fault })).unwrap_err();
        assert!(failures.iter().any(|failure| failure.case() == case), "{fault:?}: {failures}");
    }
}

/// An adapter whose clients lose each fifth item.
struct LossyAdapter(Box<dyn AdapterUnderTest>);

struct LossyClient {
    inner: Box<dyn Client>,
    count: usize,
}

impl Client for LossyClient {
    fn next_item(&mut self) -> BoxFuture<'_, Result<Seen, String>> {
        Box::pin(async move {
            self.count += 1;
            if self.count % 5 == 0 {
                self.inner.next_item().await?;
            }
            self.inner.next_item().await
        })
    }

    fn cursor(&self) -> Option<&str> {
        self.inner.cursor()
    }
}

impl AdapterUnderTest for LossyAdapter {
    fn name(&self) -> String {
        "lossy".into()
    }

    fn connect<'a>(
        &'a self,
        hub: &'a CaseHub,
        topics: &'a [&'a str],
        cursor: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Box<dyn Client>, String>> {
        Box::pin(async move {
            let inner = self.0.connect(hub, topics, cursor).await?;
            Ok(Box::new(LossyClient { inner, count: 0 }) as Box<dyn Client>)
        })
    }

    fn shows(&self, seen: Seen) -> Seen {
        self.0.shows(seen)
    }
}

#[test]
fn fault_of_an_adapter_is_found() {
    let inner = own_adapters().into_iter().find(|adapter| adapter.name() == "chunked").unwrap();
    let failures = adapters(vec![Box::new(LossyAdapter(inner))]).unwrap_err();
    assert!(failures.iter().all(|failure| failure.on().contains("lossy")), "{failures}");
    for case in ["order across topics", "resume at every cut"] {
        assert!(failures.iter().any(|failure| failure.case() == case), "{case} does not find it: {failures}");
    }
}
