use std::task::{Context, Poll, Waker};

use tidings::subscriber::{Batch, Delivery, EncodedDelivery, Format};
use tidings::{Gap, Subscriber};

/// Polls a subscriber once, with a waker that does nothing.
pub(crate) fn poll(subscriber: &mut impl Subscriber) -> Poll<Delivery> {
    subscriber.poll_next(&mut Context::from_waker(Waker::noop()))
}

/// Polls a subscriber once for at most `max` encoded bytes, with a waker that does nothing.
pub(crate) fn poll_encoded(subscriber: &mut impl Subscriber, format: &dyn Format, max: usize) -> Poll<EncodedDelivery> {
    subscriber.poll_encoded(&mut Context::from_waker(Waker::noop()), format, max)
}

/// Reads the next delivery, which must be a gap.
pub(crate) fn next_gap(subscriber: &mut impl Subscriber) -> Gap {
    match poll(subscriber) {
        Poll::Ready(Delivery::Gap(gap)) => gap,
        other => panic!("expected a gap, got {other:?}"),
    }
}

/// Reads the batches that are ready, up to the end. There must be no gap.
pub(crate) fn ready_batches(subscriber: &mut impl Subscriber) -> impl Iterator<Item = Batch> {
    std::iter::from_fn(|| match poll(subscriber) {
        Poll::Ready(Delivery::Events(batch)) => Some(batch),
        Poll::Ready(Delivery::Gap(gap)) => panic!("unexpected {gap:?}"),
        _ => None,
    })
}

/// Reads the events that are ready, up to the end, and returns the text of each. There must be no gap.
pub(crate) fn ready_texts(subscriber: &mut impl Subscriber) -> Vec<String> {
    ready_batches(subscriber).flat_map(|batch| texts(&batch)).collect()
}

/// Reads the items that are ready, up to the end: `topic: text` for an event, `-topic` for a gap of a topic.
pub(crate) fn ready_items(subscriber: &mut impl Subscriber) -> Vec<String> {
    let mut items = Vec::new();
    loop {
        match poll(subscriber) {
            Poll::Ready(Delivery::Events(batch)) => {
                assert!(batch.iter().all(|event| event.topic == batch.topic()), "a batch has one topic");
                items.extend(texts(&batch).iter().map(|text| format!("{}: {text}", batch.topic())));
            }
            Poll::Ready(Delivery::Gap(gap)) => items.push(format!("-{}", gap.topic.unwrap())),
            _ => return items,
        }
    }
}

/// Returns the text of each event.
pub(crate) fn texts(batch: &Batch) -> Vec<String> {
    batch.iter().map(|event| event.event.as_str().unwrap().to_owned()).collect()
}

/// Returns the sequence of each event.
pub(crate) fn sequences(batch: &Batch) -> Vec<u64> {
    batch.iter().map(|event| event.cursor.unwrap().sequence()).collect()
}
