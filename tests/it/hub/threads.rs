//! The hub under real threads: publishers, and readers that come and go with their cursors.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tidings::subscriber::{Delivery, EncodedBatch, EncodedDelivery, SubscriptionEnd};
use tidings::{Event, GapReason, LocalHub, Retention, Start, Subscribe, Subscriber, Topic};

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
    let mut subscription = hub.subscribe(Subscribe::patterns(topics.iter().copied()).start(Start::Oldest)).unwrap();
    let mut count = |topic: &str, number: u64, sequence: u64| {
        let next = counts.entry(topic.to_owned()).or_default();
        assert_eq!(number, *next, "of {topic}: lost, or twice");
        *next += 1;
        assert!(sequence > last, "out of order");
        last = sequence;
    };
    loop {
        let polled = match encoded {
            true => subscription.poll_encoded(&mut cx, &Lines::CACHED, 4096).map(|encoded| match encoded {
                EncodedDelivery::Events(EncodedBatch { bytes, .. }) => {
                    for line in std::str::from_utf8(&bytes).unwrap().lines() {
                        let mut parts = line.split(' ');
                        let sequence = parts.next().unwrap().parse().unwrap();
                        count(parts.next().unwrap(), parts.next().unwrap().parse().unwrap(), sequence);
                    }
                    None
                }
                EncodedDelivery::End(end) => Some(end),
                other => panic!("{other:?}"),
            }),
            false => subscription.poll_next(&mut cx).map(|delivery| match delivery {
                Delivery::Events(batch) => {
                    for event in batch.iter() {
                        let number = event.event.as_str().unwrap().parse().unwrap();
                        count(event.topic.as_str(), number, event.cursor.unwrap().sequence());
                    }
                    None
                }
                Delivery::End(end) => Some(end),
                other => panic!("{other:?}"),
            }),
        };
        match polled {
            Poll::Pending => thread::park(),
            Poll::Ready(Some(SubscriptionEnd::Closed)) => return counts,
            Poll::Ready(Some(end)) => panic!("{end:?}"),
            Poll::Ready(None) => {}
        }
        if random.u8(..) < 8 {
            let start = Start::After(subscription.cursor().unwrap());
            match hub.subscribe(Subscribe::patterns(topics.iter().copied()).start(start)) {
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
        let names: [(&[&str], &[&str]); 4] =
            [(&TOPICS, &TOPICS), (&["a"], &["a"]), (&["*"], &TOPICS), (&["none/**", "**", "b"], &TOPICS)];
        let readers = names.map(|(names, topics)| {
            [false, true].map(|encoded| (topics, scope.spawn(move || follow(hub, names, encoded, 7))))
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
        for (topics, reader) in readers.into_iter().flatten() {
            let counts = reader.join().unwrap();
            assert_eq!(counts, topics.iter().map(|&topic| (topic.to_owned(), EVENTS)).collect());
        }
    });
}

#[test]
fn a_reader_that_lags_is_told_exactly_how_much() {
    let hub = LocalHub::builder().retain(Retention::count(16)).build();
    let topic = Topic::new("a").unwrap();
    let mut subscription = hub.subscribe(Subscribe::topics([&topic])).unwrap();
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
                    assert_eq!(gap.cursor.sequence(), next, "one topic alone has every sequence");
                }
                Poll::Ready(_) => break,
            }
        }
        assert_eq!(next, EVENTS, "{missed} told missed");
    });
}

#[test]
fn topics_without_end_are_followed_by_a_pattern() {
    // Nothing is kept: each topic is dropped after its one event, and made anew for the next.
    let hub = LocalHub::builder().retain(Retention::count(0)).build();
    let mut subscription = hub.subscribe(Subscribe::patterns(["jobs/*"])).unwrap();
    thread::scope(|scope| {
        let hub = &hub;
        let publishers = [0, 1].map(|lane| {
            scope.spawn(move || {
                for number in 0..EVENTS {
                    let topic = Topic::new(format!("jobs/{}", (number + lane) % 100)).unwrap();
                    hub.publish_now(&topic, Event::text(format!("{lane} {number}"))).unwrap();
                }
            })
        });
        scope.spawn(|| {
            publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
            hub.close();
        });
        let waker: Waker = Arc::new(Unpark(thread::current())).into();
        let (mut next, mut got, mut is_told) = ([0; 2], 0, false);
        loop {
            match subscription.poll_next(&mut Context::from_waker(&waker)) {
                Poll::Pending => thread::park(),
                Poll::Ready(Delivery::Events(batch)) => {
                    for event in batch.iter() {
                        let (lane, number) = event.event.as_str().unwrap().split_once(' ').unwrap();
                        let (lane, number): (usize, u64) = (lane.parse().unwrap(), number.parse().unwrap());
                        assert!(number == next[lane] || number > next[lane] && is_told, "{number} of {next:?}");
                        next[lane] = number + 1;
                        got += 1;
                    }
                }
                // By a gap, each lane may have lost something: which is not said.
                Poll::Ready(Delivery::Gap(gap)) => is_told = gap.reason == GapReason::Overflow,
                Poll::Ready(_) => break,
            }
        }
        assert!(is_told || got == 2 * EVENTS, "{got} came, and nothing was told");
    });
    drop(subscription);
    assert_eq!((hub.stats().topics, hub.stats().patterns), (0, 0));
}
