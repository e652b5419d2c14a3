use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::{Bytes, BytesMut};

use crate::conformance::run::{CaseResult, Problem};
use crate::conformance::subscriber::SourceUnderTest;
use crate::contract::{Delivery, EncodedDelivery, EventRef, Format, Slot, Subscriber, SubscriptionEnd};
use crate::model::{Cursor, Event, Topic};

/// Bytes of a delivery that are enough for all events of a case.
pub(super) const ENOUGH: usize = 1 << 20;

/// A source, its subscriber, and the events that the subscriber has not delivered.
pub(super) struct Probe<S: SourceUnderTest> {
    pub(super) source: S,
    pub(super) subscriber: S::Subscriber,
    topics: Vec<Topic>,
    pub(super) unread: Vec<Published>,
    /// Number of events that were published.
    count: usize,
}

/// An event that was published or delivered.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Published {
    pub(super) topic: String,
    pub(super) text: String,
}

/// Events of a delivery.
#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) events: Vec<Published>,
    /// Cursors of the first and of the last event.
    pub(super) cursors: Option<(Cursor, Cursor)>,
}

impl fmt::Debug for Published {
    /// Writes the topic and the begin of the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begin: String = self.text.chars().take(8).collect();
        write!(f, "{}: {begin:?}", self.topic)
    }
}

/// Compares events with the first of the expected ones.
pub(super) fn same(expected: &[Published], events: &[Published]) -> CaseResult {
    for (number, event) in events.iter().enumerate() {
        match expected.get(number) {
            Some(expected) if expected == event => {}
            Some(expected) => return Err(format!("expected {expected:?}, got {event:?}").into()),
            None => return Err(format!("expected no event, got {event:?}").into()),
        }
    }
    Ok(())
}

impl<S: SourceUnderTest> Probe<S> {
    pub(super) fn new(source: S, topics: &[&str]) -> Result<Self, Problem> {
        let subscriber = source.subscribe(topics).map_err(|error| format!("did not subscribe: {error}"))?;
        let topics = topics.iter().map(|topic| Topic::new(*topic)).collect::<Result<_, _>>()?;
        Ok(Self { source, subscriber, topics, unread: Vec::new(), count: 0 })
    }

    /// Publishes texts to the topics: several to one topic, then to the next.
    pub(super) async fn publish(&mut self, count: usize) -> CaseResult {
        for _ in 0..count {
            let text = format!("{} {}", self.count, "x".repeat(self.count * 37 % 400));
            self.publish_text(text).await?;
        }
        Ok(())
    }

    pub(super) async fn publish_text(&mut self, text: String) -> CaseResult {
        let topic = &self.topics[self.count / 3 % self.topics.len()];
        self.count += 1;
        self.unread.push(Published { topic: topic.to_string(), text: text.clone() });
        self.source.publish(topic, Event::text(text)).await
    }

    /// Reads and compares all events that were published.
    pub(super) async fn read_all(&mut self) -> CaseResult {
        while !self.unread.is_empty() {
            self.read().await?;
        }
        Ok(())
    }

    /// Reads the next batch and compares its events.
    pub(super) async fn read(&mut self) -> Result<Delivered, Problem> {
        let delivered = batch(next(&mut self.subscriber).await)?;
        self.take(&delivered.events)?;
        Ok(delivered)
    }

    /// Reads the next encoded events and compares them.
    pub(super) async fn read_encoded(&mut self, max: usize) -> Result<Delivered, Problem> {
        let delivery = poll_fn(|cx| self.subscriber.poll_encoded(cx, &Lines(None), max)).await;
        let delivered = lines(delivery, max, self.subscriber.heeds_max())?;
        self.take(&delivered.events)?;
        Ok(delivered)
    }

    /// Polls once for a batch, and reads encoded events if it is pending.
    pub(super) async fn poll_then_read_encoded(&mut self) -> CaseResult {
        match self.subscriber.poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(delivery) => self.take(&batch(delivery)?.events),
            Poll::Pending => self.read_encoded(ENOUGH).await.map(drop),
        }
    }

    /// Polls once for encoded events, and reads a batch if it is pending.
    pub(super) async fn poll_encoded_then_read(&mut self) -> CaseResult {
        let delivery = self.subscriber.poll_encoded(&mut Context::from_waker(Waker::noop()), &Lines(None), ENOUGH);
        match delivery {
            Poll::Ready(delivery) => {
                let delivered = lines(delivery, ENOUGH, self.subscriber.heeds_max())?;
                self.take(&delivered.events)
            }
            Poll::Pending => self.read().await.map(drop),
        }
    }

    /// Removes events from those that are unread.
    pub(super) fn take(&mut self, events: &[Published]) -> CaseResult {
        same(&self.unread, events)?;
        self.unread.drain(..events.len());
        Ok(())
    }

    /// Polls once. The subscriber must be pending.
    pub(super) fn poll_pending(&mut self, waker: &Waker) -> CaseResult {
        match self.subscriber.poll_next(&mut Context::from_waker(waker)) {
            Poll::Pending => Ok(()),
            Poll::Ready(delivery) => Err(format!("expected no delivery, got {delivery:?}").into()),
        }
    }

    /// Polls once for bytes. The subscriber must be pending.
    pub(super) fn poll_encoded_pending(&mut self, waker: &Waker) -> CaseResult {
        match self.subscriber.poll_encoded(&mut Context::from_waker(waker), &Lines(None), ENOUGH) {
            Poll::Pending => Ok(()),
            Poll::Ready(delivery) => Err(format!("expected no delivery, got {delivery:?}").into()),
        }
    }
}

pub(super) async fn next(subscriber: &mut impl Subscriber) -> Delivery {
    poll_fn(|cx| subscriber.poll_next(cx)).await
}

/// Reads the end, after ends of topics.
pub(super) async fn end(subscriber: &mut impl Subscriber) -> Result<SubscriptionEnd, Problem> {
    loop {
        match next(subscriber).await {
            Delivery::End(end) => return Ok(end),
            Delivery::TopicEnd(_) => {}
            other => return Err(format!("expected the end, got {other:?}").into()),
        }
    }
}

/// Returns the events of a batch.
pub(super) fn batch(delivery: Delivery) -> Result<Delivered, Problem> {
    let Delivery::Events(batch) = delivery else { return Err(format!("expected events, got {delivery:?}").into()) };
    if batch.iter().any(|event| event.topic != batch.topic()) {
        return Err(format!("a batch of several topics: {batch:?}").into());
    }
    let text = |event: &EventRef<'_>| event.event.as_str().unwrap_or_default().to_owned();
    let events: Vec<_> =
        batch.iter().map(|event| Published { topic: event.topic.to_string(), text: text(&event) }).collect();
    delivered(events, &batch.iter().map(|event| event.cursor).collect::<Vec<_>>())
}

/// Returns the events of encoded lines.
pub(super) fn lines(delivery: EncodedDelivery, max: usize, heeds_max: bool) -> Result<Delivered, Problem> {
    let EncodedDelivery::Events(encoded) = delivery else {
        return Err(format!("expected events, got {delivery:?}").into());
    };
    let bytes: &Bytes = &encoded.bytes;
    let text = std::str::from_utf8(bytes)?;
    let Some(whole) = text.strip_suffix('\n') else {
        return Err(format!("a part of an event, or none: {}", bytes.escape_ascii()).into());
    };
    let (mut events, mut cursors) = (Vec::new(), Vec::new());
    for line in whole.split('\n') {
        let mut parts = line.splitn(3, '\t');
        let (Some(cursor), Some(topic), Some(text)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(format!("a line that the format did not write: {line:?}").into());
        };
        events.push(Published { topic: topic.to_owned(), text: text.to_owned() });
        cursors.push(if cursor.is_empty() { None } else { Some(cursor.parse()?) });
    }
    if encoded.events as usize != events.len() {
        return Err(format!("{} events in the bytes of {}", encoded.events, events.len()).into());
    }
    if heeds_max && bytes.len() > max && events.len() > 1 {
        return Err(format!("{} events of {} bytes; the maximum is {max}", events.len(), bytes.len()).into());
    }
    delivered(events, &cursors)
}

fn delivered(events: Vec<Published>, cursors: &[Option<Cursor>]) -> Result<Delivered, Problem> {
    if events.is_empty() {
        return Err("a delivery without events".into());
    }
    let known: Vec<_> = cursors.iter().flatten().collect();
    if !known.is_empty() && known.len() != cursors.len() {
        return Err("events with and without a cursor in one delivery".into());
    }
    if let Some(pair) = known.windows(2).find(|pair| !is_before(*pair[0], *pair[1])) {
        return Err(format!("the cursor {} follows {}", pair[1], pair[0]).into());
    }
    let cursors = known.first().zip(known.last()).map(|(first, last)| (**first, **last));
    Ok(Delivered { events, cursors })
}

/// Returns whether a cursor is before another one of its epoch.
pub(super) fn is_before(earlier: Cursor, later: Cursor) -> bool {
    earlier.epoch() == later.epoch() && earlier.sequence() < later.sequence()
}

/// Format of a line for each event: cursor, topic and text.
#[derive(Debug)]
pub(super) struct Lines(pub(super) Option<Slot>);

impl Format for Lines {
    fn slot(&self) -> Option<Slot> {
        self.0
    }

    fn encode(&self, event: &EventRef<'_>, out: &mut BytesMut) {
        let cursor = event.cursor.map(|cursor| cursor.to_string()).unwrap_or_default();
        let line = format!("{cursor}\t{}\t{}\n", event.topic, event.event.as_str().unwrap_or_default());
        out.extend_from_slice(line.as_bytes());
    }
}

/// Waker that a case gives to a subscriber.
#[derive(Debug, Default)]
pub(super) struct Signal(Mutex<Signaled>);

#[derive(Debug, Default)]
struct Signaled {
    is_woken: bool,
    case: Option<Waker>,
}

impl Signal {
    /// Returns a signal and its waker.
    pub(super) fn new() -> (Arc<Self>, Waker) {
        let signal = Arc::new(Self::default());
        (Arc::clone(&signal), signal.into())
    }

    /// Waits until the waker was called.
    pub(super) async fn woken(&self) {
        poll_fn(|cx| {
            let mut signaled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            signaled.case = Some(cx.waker().clone());
            if signaled.is_woken { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        let case = {
            let mut signaled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            signaled.is_woken = true;
            signaled.case.take()
        };
        case.into_iter().for_each(Waker::wake);
    }
}
