//! Deliveries of a subscription as text, ends of topics included.

use std::task::Poll;

use tidings::Subscriber;
use tidings::subscriber::{Delivery, EncodedDelivery};

use crate::support::{LineFormat, poll, poll_encoded, texts};

/// Reads what is ready, up to the end: `a: text` for an event, `-a 7` for a gap of a topic that ends at this sequence,
/// `a.done 9` for the end of a topic with its cursor, `a.done 9 last` for the last one, `Finished` for the end.
pub(super) fn ready(subscriber: &mut impl Subscriber) -> Vec<String> {
    let mut items = Vec::new();
    loop {
        match poll(subscriber) {
            Poll::Ready(Delivery::Events(batch)) => {
                items.extend(texts(&batch).iter().map(|text| format!("{}: {text}", batch.topic())));
                continue;
            }
            Poll::Ready(Delivery::Gap(gap)) => {
                let topic = gap.topic.map(|topic| topic.to_string()).unwrap_or_default();
                items.push(format!("-{topic} {}", gap.cursor.sequence()));
                assert_eq!(subscriber.cursor(), Some(gap.cursor), "the cursor of a gap");
            }
            Poll::Ready(Delivery::TopicEnd(end)) => {
                assert_eq!(subscriber.cursor(), Some(end.cursor), "the cursor of the end");
                items.push(of_end(&end));
            }
            Poll::Ready(Delivery::End(end)) => {
                items.push(format!("{end:?}"));
                for _ in 0..2 {
                    assert!(
                        matches!(poll(subscriber), Poll::Ready(Delivery::End(again)) if again == end),
                        "the end stays"
                    );
                }
                return items;
            }
            Poll::Pending => return items,
            other => panic!("{other:?}"),
        }
    }
}

/// Reads encoded deliveries of at most `max` bytes, as [`ready`] does. Events are `7 a text`.
pub(super) fn ready_encoded(subscriber: &mut impl Subscriber, max: usize) -> Vec<String> {
    let mut items = Vec::new();
    loop {
        match poll_encoded(subscriber, &LineFormat(None), max) {
            Poll::Ready(EncodedDelivery::Events(events)) => {
                items.extend(std::str::from_utf8(&events.bytes).unwrap().lines().map(str::to_owned));
            }
            Poll::Ready(EncodedDelivery::TopicEnd(end)) => items.push(of_end(&end)),
            Poll::Ready(EncodedDelivery::End(end)) => {
                items.push(format!("{end:?}"));
                return items;
            }
            Poll::Pending => return items,
            other => panic!("{other:?}"),
        }
    }
}

fn of_end(end: &tidings::TopicEnd) -> String {
    let last = if end.is_last { " last" } else { "" };
    format!("{}.{} {}{last}", end.topic, end.reason.as_str(), end.cursor.sequence())
}
