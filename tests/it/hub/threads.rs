//! The hub under real threads: publishers, and readers that resume with their cursors.

use std::collections::{HashMap, HashSet};
use std::task::{Context, Poll};
use std::thread;

use tidings::subscriber::{Delivery, EncodedBatch, EncodedDelivery, SubscriptionEnd};
use tidings::{EndReason, Event, GapReason, LocalHub, Retention, Start, Subscribe, Subscriber, TopicEnd};

use crate::support::{LineFormat, topic, unpark_waker};

const TOPICS: [&str; 3] = ["a", "b", "c"];
const EVENTS: u64 = 20_000;

/// Follows topics until all of them have ended or the hub is closed, and resumes with the cursor now and then. Checks that
/// every event of each topic is delivered once and in order, and then the end of each topic that is named. Returns the number
/// of events of each topic, and the end.
fn follow(hub: &LocalHub, topics: &[&str], encoded: bool, seed: u64) -> (HashMap<String, u64>, SubscriptionEnd) {
    let waker = unpark_waker();
    let mut cx = Context::from_waker(&waker);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut counts: HashMap<String, u64> = HashMap::new();
    let (mut last, mut ends) = (0, HashSet::new());
    let mut subscription = hub.subscribe(Subscribe::patterns(topics.iter().copied()).start(Start::Oldest)).unwrap();
    let mut count = |topic: &str, number: u64, sequence: u64| {
        let next = counts.entry(topic.to_owned()).or_default();
        assert_eq!(number, *next, "{topic}: an event is lost or repeated");
        *next += 1;
        assert!(sequence > last, "out of order");
        last = sequence;
    };
    let mut has_ended = |end: TopicEnd| {
        assert!(topics.contains(&end.topic.as_str()) && ends.insert(end.topic.to_string()), "twice: {end:?}");
        assert_eq!(end.is_last, ends.len() == topics.len());
        None
    };
    loop {
        let polled = match encoded {
            true => subscription.poll_encoded(&mut cx, &LineFormat::CACHED, 4096).map(|encoded| match encoded {
                EncodedDelivery::Events(EncodedBatch { bytes, .. }) => {
                    for line in std::str::from_utf8(&bytes).unwrap().lines() {
                        let mut parts = line.split(' ');
                        let sequence = parts.next().unwrap().parse().unwrap();
                        count(parts.next().unwrap(), parts.next().unwrap().parse().unwrap(), sequence);
                    }
                    None
                }
                EncodedDelivery::TopicEnd(end) => has_ended(end),
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
                Delivery::TopicEnd(end) => has_ended(end),
                Delivery::End(end) => Some(end),
                other => panic!("{other:?}"),
            }),
        };
        match polled {
            Poll::Pending => thread::park(),
            Poll::Ready(Some(end)) => return (counts, end),
            Poll::Ready(None) => {}
        }
        if random.u8(..) < 8 {
            let start = Start::After(subscription.cursor().unwrap());
            match hub.subscribe(Subscribe::patterns(topics.iter().copied()).start(start)) {
                Ok(again) => subscription = again,
                // The hub was closed: read the old subscription to its end.
                Err(_) => continue,
            }
        }
    }
}

#[test]
fn readers_that_resume_under_threads_get_every_event_once() {
    let hub = LocalHub::builder().retain(Retention::count(usize::MAX).bytes(usize::MAX)).build();
    thread::scope(|scope| {
        let hub = &hub;
        let names: [(&[&str], &[&str]); 4] =
            [(&TOPICS, &TOPICS), (&["a"], &["a"]), (&["*"], &TOPICS), (&["none/**", "**", "b"], &TOPICS)];
        let readers = names.map(|(names, topics)| {
            [false, true].map(|encoded| (topics, scope.spawn(move || follow(hub, names, encoded, 7))))
        });
        let publishers = TOPICS.map(|name| {
            let topic = topic(name);
            scope.spawn(move || {
                for number in 0..EVENTS {
                    hub.publish_now(&topic, Event::text(number.to_string())).unwrap();
                }
                hub.finish(&topic, EndReason::Done).unwrap();
            })
        });
        publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
        hub.close();
        for (n, (topics, reader)) in readers.into_iter().flatten().enumerate() {
            let (counts, end) = reader.join().unwrap();
            assert_eq!(end, if n < 4 { SubscriptionEnd::Finished } else { SubscriptionEnd::Closed });
            assert_eq!(counts, topics.iter().map(|&topic| (topic.to_owned(), EVENTS)).collect());
        }
    });
}

#[test]
fn lagging_reader_under_threads_gets_an_exact_missed_count() {
    let hub = LocalHub::builder().retain(Retention::count(16)).build();
    let topic = topic("a");
    let mut subscription = hub.subscribe(Subscribe::topics([&topic])).unwrap();
    thread::scope(|scope| {
        let hub = &hub;
        scope.spawn(move || {
            for number in 0..EVENTS {
                hub.publish_now(&topic, Event::text(number.to_string())).unwrap();
            }
            hub.close();
        });
        let waker = unpark_waker();
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
                    assert_eq!(gap.cursor.sequence(), next, "a single topic has every sequence");
                }
                Poll::Ready(_) => break,
            }
        }
        assert_eq!(next, EVENTS, "{missed} missed");
    });
}

#[test]
fn pattern_under_threads_follows_topics_that_are_created_and_dropped() {
    // Nothing is retained: each topic is dropped after its event and created again for the next.
    let hub = LocalHub::builder().retain(Retention::count(0)).build();
    let mut subscription = hub.subscribe(Subscribe::patterns(["jobs/*"])).unwrap();
    thread::scope(|scope| {
        let hub = &hub;
        let publishers = [0, 1].map(|lane| {
            scope.spawn(move || {
                for number in 0..EVENTS {
                    let topic = topic(format_args!("jobs/{}", (number + lane) % 100));
                    hub.publish_now(&topic, Event::text(format!("{lane} {number}"))).unwrap();
                }
            })
        });
        scope.spawn(|| {
            publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
            hub.close();
        });
        let waker = unpark_waker();
        let (mut next, mut got, mut had_gap) = ([0; 2], 0, false);
        loop {
            match subscription.poll_next(&mut Context::from_waker(&waker)) {
                Poll::Pending => thread::park(),
                Poll::Ready(Delivery::Events(batch)) => {
                    for event in batch.iter() {
                        let (lane, number) = event.event.as_str().unwrap().split_once(' ').unwrap();
                        let (lane, number): (usize, u64) = (lane.parse().unwrap(), number.parse().unwrap());
                        assert!(number == next[lane] || number > next[lane] && had_gap, "{number} of {next:?}");
                        next[lane] = number + 1;
                        got += 1;
                    }
                }
                // A gap does not say which of the publishers lost an event.
                Poll::Ready(Delivery::Gap(gap)) => had_gap = gap.reason == GapReason::Overflow,
                Poll::Ready(_) => break,
            }
        }
        assert!(had_gap || got == 2 * EVENTS, "{got} events, and no gap");
    });
    drop(subscription);
    assert_eq!((hub.stats().topics, hub.stats().patterns), (0, 0));
}
