//! `Hub::publish`, the future that publishes.

use std::task::Poll;

use tidings::{Hub, LocalHub, PublishError, Start, Subscribe};

use crate::support::{Task, ready_texts, topic};

#[test]
fn publish_future_takes_effect_when_it_is_polled() {
    let (hub, news, task) = (LocalHub::new(), topic("news"), Task::new());
    let begin = hub.cursor();
    let mut first = Box::pin(Hub::publish(&hub, &news, "made first".into()));
    let dropped = Hub::publish(&hub, &news, "dropped".into());
    let mut second = Box::pin(Hub::publish(&hub, &news, "made second".into()));
    assert_eq!((hub.cursor(), hub.stats().published), (begin, 0), "no future was polled");
    drop(dropped);
    assert_eq!(hub.stats().published, 0);
    let receipts = [&mut second, &mut first].map(|publish| match task.poll(publish) {
        Poll::Ready(receipt) => receipt.unwrap(),
        Poll::Pending => panic!("not ready at its first poll"),
    });
    assert!(receipts[0].cursor().unwrap().sequence() < receipts[1].cursor().unwrap().sequence());
    let mut reader = hub.subscribe(Subscribe::topics([&news]).start(Start::Oldest)).unwrap();
    assert_eq!(ready_texts(&mut reader), ["made second", "made first"]);
}

#[test]
fn publish_future_polled_after_close_is_refused() {
    let (hub, news) = (LocalHub::new(), topic("news"));
    let mut late = Box::pin(Hub::publish(&hub, &news, "late".into()));
    hub.close();
    assert!(matches!(Task::new().poll(&mut late), Poll::Ready(Err(PublishError::Closed))));
}
