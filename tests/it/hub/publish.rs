//! The future that publishes, of the trait that all hubs share.

use std::task::Poll;

use tidings::subscriber::{Delivery, SubscriberExt};
use tidings::{Hub, LocalHub, PublishError, Start, Subscribe, Topic};

use crate::support::Task;

#[test]
fn publish_takes_effect_when_it_is_polled() {
    let (hub, news, task) = (LocalHub::new(), Topic::new("news").unwrap(), Task::new());
    let begin = hub.cursor();
    let mut first = Box::pin(Hub::publish(&hub, &news, "made first".into()));
    let dropped = Hub::publish(&hub, &news, "dropped".into());
    let mut second = Box::pin(Hub::publish(&hub, &news, "made second".into()));
    assert_eq!((hub.cursor(), hub.stats().published), (begin, 0), "nothing was polled");
    drop(dropped);
    assert_eq!(hub.stats().published, 0);
    let receipts = [&mut second, &mut first].map(|publish| match task.poll(publish) {
        Poll::Ready(receipt) => receipt.unwrap(),
        Poll::Pending => panic!("it is ready at its first poll"),
    });
    assert!(receipts[0].cursor().unwrap().sequence() < receipts[1].cursor().unwrap().sequence());
    let mut reader = hub.subscribe(Subscribe::topics([&news]).start(Start::Oldest)).unwrap();
    let mut texts = Vec::new();
    while let Poll::Ready(Delivery::Events(batch)) = task.poll(&mut reader.next()) {
        texts.extend(batch.iter().map(|event| event.event.as_str().unwrap().to_owned()));
    }
    assert_eq!(texts, ["made second", "made first"]);
}

#[test]
fn publish_to_a_hub_that_was_closed_meanwhile_is_refused() {
    let (hub, news) = (LocalHub::new(), Topic::new("news").unwrap());
    let mut late = Box::pin(Hub::publish(&hub, &news, "late".into()));
    hub.close();
    assert!(matches!(Task::new().poll(&mut late), Poll::Ready(Err(PublishError::Closed))));
}
