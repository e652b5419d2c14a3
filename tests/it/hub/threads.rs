//! The hub under real threads: publishers, and readers that come and go with their cursors.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tidings::{
    Delivery, Encoded, Encoding, End, Event, GapReason, LocalHub, Retention, Start, Subscribe, Subscriber, Topic,
};

use super::model::Lines;

const TOPICS: [&str; 3] = ["a", "b", "c"];
const EVENTS: u64 = 20_000;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Follows the topics to the hub's end: every event of each in order and once, or told missed. Now and then it goes
/// away, and comes back with its cursor.
fn follow(hub: &LocalHub, topics: &[&str], encoded: bool, seed: u64) -> HashMap<String, u64> {
    let waker: Waker = Arc::new(Unpark(thread::current())).into();
    let mut cx = Context::from_waker(&waker);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut counts: HashMap<String, u64> = HashMap::new();
    let mut last = 0;
    let mut subscription = hub.subscribe(Subscribe::to(topics.iter().copied()).start(Start::Oldest)).unwrap();
    let mut count = |topic: &str, number: u64, sequence: u64| {
        let next = counts.entry(topic.to_owned()).or_default();
        assert_eq!(number, *next, "of {topic}: lost, or twice");
        *next += 1;
        assert!(sequence > last, "out of order");
        last = sequence;
    };
    loop {
        let polled = match encoded {
            true => subscription.poll_encoded(&mut cx, &Lines(Some(6)), 4096).map(|encoded| match encoded {
                Encoded::Events(Encoding { bytes, .. }) => {
                    for line in std::str::from_utf8(&bytes).unwrap().lines() {
                        let mut parts = line.split(' ');
                        let sequence = parts.next().unwrap().parse().unwrap();
                        count(parts.next().unwrap(), parts.next().unwrap().parse().unwrap(), sequence);
                    }
                    None
                }
                Encoded::End(end) => Some(end),
                other => panic!("{other:?}"),
            }),
            false => subscription.poll_next(&mut cx).map(|delivery| match delivery {
                Delivery::Events(batch) => {
                    for event in batch.iter() {
                        let number = event.event.as_str().unwrap().parse().unwrap();
                        count(event.topic.as_str(), number, event.cursor.unwrap().position().sequence);
                    }
                    None
                }
                Delivery::End(end) => Some(end),
                other => panic!("{other:?}"),
            }),
        };
        match polled {
            Poll::Pending => thread::park(),
            Poll::Ready(Some(End::Closed)) => return counts,
            Poll::Ready(Some(end)) => panic!("{end:?}"),
            Poll::Ready(None) => {}
        }
        if random.u8(..) < 8 {
            let start = Start::After(subscription.cursor().unwrap());
            match hub.subscribe(Subscribe::to(topics.iter().copied()).start(start)) {
                Ok(again) => subscription = again,
                // Closed meanwhile: read the old one to its end.
                Err(_) => continue,
            }
        }
    }
}

#[test]
fn readers_that_come_and_go_get_everything_once() {
    let hub = LocalHub::builder().retain(Retention::count(usize::MAX).bytes(usize::MAX)).build();
    thread::scope(|scope| {
        let hub = &hub;
        let readers = [(3, false), (3, true), (1, false), (1, true)].map(|(topics, encoded)| {
            let topics = &TOPICS[..topics];
            (topics, scope.spawn(move || follow(hub, topics, encoded, 7)))
        });
        let publishers = TOPICS.map(|name| {
            let topic = Topic::new(name).unwrap();
            scope.spawn(move || {
                for number in 0..EVENTS {
                    hub.publish_now(&topic, Event::text(number.to_string())).unwrap();
                }
            })
        });
        publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
        hub.close();
        for (topics, reader) in readers {
            let counts = reader.join().unwrap();
            assert_eq!(counts, topics.iter().map(|&topic| (topic.to_owned(), EVENTS)).collect());
        }
    });
}

#[test]
fn a_reader_that_lags_is_told_exactly_how_much() {
    let hub = LocalHub::builder().retain(Retention::count(16)).build();
    let topic = Topic::new("a").unwrap();
    let mut subscription = hub.subscribe(Subscribe::to([&topic])).unwrap();
    thread::scope(|scope| {
        let hub = &hub;
        scope.spawn(move || {
            for number in 0..EVENTS {
                hub.publish_now(&topic, Event::text(number.to_string())).unwrap();
            }
            hub.close();
        });
        let waker: Waker = Arc::new(Unpark(thread::current())).into();
        let (mut next, mut missed) = (0, 0);
        loop {
            match subscription.poll_next(&mut Context::from_waker(&waker)) {
                Poll::Pending => thread::park(),
                Poll::Ready(Delivery::Events(batch)) => {
                    for event in batch.iter() {
                        assert_eq!(event.event.as_str().unwrap().parse::<u64>().unwrap(), next);
                        next += 1;
                    }
                }
                Poll::Ready(Delivery::Gap(gap)) => {
                    assert_eq!(gap.reason, GapReason::Overflow);
                    next += gap.missed.unwrap();
                    missed += gap.missed.unwrap();
                    assert_eq!(gap.cursor.position().sequence, next, "one topic alone has every sequence");
                }
                Poll::Ready(_) => break,
            }
        }
        assert_eq!(next, EVENTS, "{missed} told missed");
    });
}
