//! The statistics of a hub add up after any operations in any order, with any budget.

use std::task::Poll;
use std::time::Duration;

use proptest::prelude::*;
use tidings::stats::HubStats;
use tidings::subscriber::{Delivery, EncodedDelivery, Slot};
use tidings::{
    Event, LocalHub, LocalHubBuilder, Overflow, PublishError, Retention, Subscribe, Subscriber, Subscription, Topic,
};

use crate::support::{LineFormat, VirtualTimer, poll, poll_encoded, subtopic};

const TOPICS: usize = 4;

#[derive(Debug, Clone)]
enum Step {
    Publish { topic: usize, len: usize, key: Option<u8>, ttl: Option<u64> },
    PublishAll { topics: Vec<usize> },
    Subscribe { topics: Vec<usize>, overflow: Overflow },
    Poll { index: usize },
    PollEncoded { index: usize, max: usize, slot: Option<Slot> },
    Drain { index: usize },
    Release { index: usize },
    Drop { index: usize },
    Advance { millis: u64 },
    Sweep,
}

fn topics() -> impl Strategy<Value = Vec<usize>> {
    prop::sample::subsequence((0..TOPICS).collect::<Vec<_>>(), 1..=TOPICS)
}

fn step() -> impl Strategy<Value = Step> {
    let ttl = prop_oneof![4 => Just(None), 1 => (1..40_u64).prop_map(Some)];
    let key = prop_oneof![2 => Just(None), 1 => (0..3_u8).prop_map(Some)];
    let overflow = prop_oneof![Just(Overflow::Gap), Just(Overflow::Latest)];
    let slot = prop_oneof![Just(None), Just(Some(Slot::APPLICATION[0])), Just(Some(Slot::APPLICATION[1]))];
    prop_oneof![
        12 => (0..TOPICS, 0..2_000_usize, key, ttl)
            .prop_map(|(topic, len, key, ttl)| Step::Publish { topic, len, key, ttl }),
        3 => prop::collection::vec(0..TOPICS, 0..60).prop_map(|topics| Step::PublishAll { topics }),
        3 => (topics(), overflow).prop_map(|(topics, overflow)| Step::Subscribe { topics, overflow }),
        4 => any::<usize>().prop_map(|index| Step::Poll { index }),
        6 => (any::<usize>(), 0..9_000_usize, slot).prop_map(|(index, max, slot)| Step::PollEncoded { index, max, slot }),
        2 => any::<usize>().prop_map(|index| Step::Drain { index }),
        1 => any::<usize>().prop_map(|index| Step::Release { index }),
        1 => any::<usize>().prop_map(|index| Step::Drop { index }),
        2 => (0..60_u64).prop_map(|millis| Step::Advance { millis }),
        1 => Just(Step::Sweep),
    ]
}

fn retention() -> impl Strategy<Value = Retention> {
    (0..200_usize, 0..60_000_usize, 1..400_u64)
        .prop_map(|(count, bytes, age)| Retention::count(count).bytes(bytes).age(Duration::from_millis(age)))
}

proptest! {
    #![proptest_config(crate::support::cases(250))]

    #[test]
    fn p13_statistics_add_up_and_bytes_stay_within_the_budget(
        retention in retention(),
        limit in 25_000..80_000_usize,
        live_buffer in prop_oneof![Just(0), 1_000..80_000_usize, Just(LocalHubBuilder::LIVE_BUFFER)],
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::new(retention, limit, live_buffer);
        for step in steps {
            world.step(step);
            world.check();
        }
        world.finish();
    }
}

struct World {
    hub: LocalHub,
    clock: VirtualTimer,
    limit: usize,
    names: Vec<Topic>,
    /// Number of events published to each topic.
    published: [u64; TOPICS],
    readers: Vec<Reader>,
    /// Sums of all readers, including those that were dropped.
    total: Account,
}

struct Reader {
    subscription: Subscription,
    topics: Vec<usize>,
    /// Number of events of the topics when the reader subscribed.
    before: u64,
    account: Account,
    /// Number of events that the reader got and the hub has not counted yet.
    uncounted: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Account {
    delivered: u64,
    gaps: u64,
    missed: u64,
    conflated: u64,
    expired: u64,
}

impl Account {
    fn of(stats: &HubStats) -> Self {
        let &HubStats { delivered, gaps, missed, conflated, expired, .. } = stats;
        Self { delivered, gaps, missed, conflated, expired }
    }

    fn sum(&self) -> u64 {
        self.delivered + self.missed + self.conflated + self.expired
    }
}

impl World {
    fn new(retention: Retention, limit: usize, live_buffer: usize) -> Self {
        let clock = VirtualTimer::new();
        let hub = LocalHub::builder().retain(retention).max_bytes(limit).live_buffer(live_buffer);
        let hub = hub.clock(clock.clone()).build();
        let names = (0..TOPICS).map(subtopic).collect();
        let (published, total) = ([0; TOPICS], Account::default());
        Self { hub, clock, limit, names, published, readers: Vec::new(), total }
    }

    fn step(&mut self, step: Step) {
        let reader = |index: usize| index % self.readers.len().max(1);
        match step {
            Step::Publish { topic, len, key, ttl } => {
                let event = Event::text("x".repeat(len));
                let event = key.map_or(event.clone(), |key| event.with_key(&key.to_string()).unwrap());
                let event = ttl.map_or(event.clone(), |ttl| event.with_ttl(Duration::from_millis(ttl)));
                let published = self.hub.publish_now(&self.names[topic], event).map(drop);
                self.published(&[topic], &published);
            }
            Step::PublishAll { topics } => {
                let events = topics.iter().map(|&topic| (self.names[topic].clone(), Event::text("several")));
                let published = self.hub.publish_batch(events).map(drop);
                self.published(&topics, &published);
            }
            Step::Subscribe { topics, overflow } => {
                let options = Subscribe::topics(topics.iter().map(|&n| &self.names[n])).overflow(overflow);
                let subscription = self.hub.subscribe(options).unwrap();
                let before = self.published_to(&topics);
                self.readers.push(Reader { subscription, topics, before, account: Account::default(), uncounted: 0 });
            }
            Step::Poll { index: n } => drop(self.poll(reader(n), None)),
            Step::PollEncoded { index: n, max, slot } => drop(self.poll(reader(n), Some((LineFormat(slot), max)))),
            Step::Drain { index: n } => {
                let n = reader(n);
                while self.poll(n, None) {}
            }
            Step::Release { index: n } => {
                let n = reader(n);
                self.readers.get_mut(n).into_iter().for_each(|reader| reader.subscription.release());
            }
            Step::Drop { index: n } if !self.readers.is_empty() => {
                let reader = self.readers.swap_remove(reader(n));
                self.total.delivered += reader.uncounted;
                drop(reader);
            }
            Step::Drop { .. } => {}
            Step::Advance { millis } => self.clock.advance(Duration::from_millis(millis)),
            Step::Sweep => self.hub.sweep(),
        }
    }

    /// Counts an accepted publish. A publish is refused only if nothing is left to evict except segments that readers hold.
    fn published(&mut self, topics: &[usize], outcome: &Result<(), PublishError>) {
        match outcome {
            Ok(()) => topics.iter().for_each(|&topic| self.published[topic] += 1),
            Err(PublishError::Full { limit, .. }) => {
                let stats = self.hub.stats();
                assert_eq!((*limit, stats.retained), (self.limit, 0));
                assert!(stats.pinned_bytes > self.limit / 4, "{stats:?}");
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn published_to(&self, topics: &[usize]) -> u64 {
        topics.iter().map(|&topic| self.published[topic]).sum()
    }

    /// Polls a reader once and checks the counts of the hub. Returns `false` if nothing was ready.
    fn poll(&mut self, index: usize, encoded: Option<(LineFormat, usize)>) -> bool {
        let before = self.hub.stats();
        let Some(Reader { subscription, topics, before: owed_from, account, uncounted }) = self.readers.get_mut(index)
        else {
            return false;
        };
        let polled = match encoded {
            None => poll(subscription).map(|delivery| match delivery {
                Delivery::Events(batch) => (batch.len() as u64, None),
                Delivery::Gap(gap) => (0, Some(gap)),
                other => panic!("{other:?}"),
            }),
            Some((format, max)) => poll_encoded(subscription, &format, max).map(|encoded| match encoded {
                EncodedDelivery::Events(encoding) => (u64::from(encoding.events), None),
                EncodedDelivery::Gap(gap) => (0, Some(gap)),
                other => panic!("{other:?}"),
            }),
        };
        let stats = self.hub.stats();
        let (old, new) = (Account::of(&before), Account::of(&stats));
        let (events, gap) = match &polled {
            Poll::Ready((events, gap)) => (*events, gap.as_ref()),
            Poll::Pending => (0, None),
        };
        // Delivered events are counted at the latest by the next poll that finds nothing.
        *uncounted = (*uncounted + events).checked_sub(new.delivered - old.delivered).expect("counted once");
        assert!(polled.is_ready() || *uncounted == 0);
        assert_eq!(new.gaps - old.gaps, u64::from(gap.is_some()));
        account.delivered += events;
        account.gaps += new.gaps - old.gaps;
        account.missed += new.missed - old.missed;
        account.conflated += new.conflated - old.conflated;
        account.expired += new.expired - old.expired;
        self.total = new;
        let owed: u64 = topics.iter().map(|&topic| self.published[topic]).sum::<u64>() - *owed_from;
        match polled {
            Poll::Pending => assert_eq!(account.sum(), owed, "{account:?}: some events are not accounted for"),
            Poll::Ready(_) => assert!(account.sum() <= owed, "{account:?} of {owed}"),
        }
        polled.is_ready()
    }

    fn check(&self) {
        let stats = self.hub.stats();
        assert_eq!(stats.published, self.published.iter().sum::<u64>());
        assert_eq!(stats.published, stats.retained + stats.evicted, "{stats:?}");
        assert!(stats.evicted_by_budget <= stats.evicted);
        assert_eq!(Account::of(&stats), self.total, "only polls add to them");
        assert_eq!(stats.subscriptions, self.readers.iter().map(|reader| reader.topics.len()).sum::<usize>());
        assert!(stats.parked <= stats.subscriptions);
        assert!(stats.bytes >= stats.retained_bytes + stats.cached_bytes + stats.pinned_bytes, "{stats:?}");
        let within = stats.bytes - stats.pinned_bytes.min(self.limit / 4);
        assert!(within <= self.limit, "over {}: {stats:?}", self.limit);
        assert!(stats.cached_bytes <= self.limit / 4, "{stats:?}");
    }

    /// Lets all readers read everything and leave. Checks that only the counts are left.
    fn finish(mut self) {
        let mut owed = 0;
        let gone = self.readers.iter().fold(self.total, |total, reader| Account {
            delivered: total.delivered - (reader.account.delivered - reader.uncounted),
            gaps: total.gaps - reader.account.gaps,
            missed: total.missed - reader.account.missed,
            conflated: total.conflated - reader.account.conflated,
            expired: total.expired - reader.account.expired,
        });
        for index in 0..self.readers.len() {
            while self.poll(index, None) {}
            owed += self.published_to(&self.readers[index].topics) - self.readers[index].before;
        }
        self.check();
        assert_eq!(self.total.sum(), gone.sum() + owed);
        self.readers.clear();
        self.clock.advance(Duration::from_secs(1));
        self.hub.sweep();
        let stats = self.hub.stats();
        assert_eq!((stats.bytes, stats.topics, stats.subscriptions, stats.parked), (0, 0, 0, 0), "{stats:?}");
        assert_eq!((stats.published, stats.retained), (stats.evicted, 0));
        assert_eq!(Account::of(&stats), self.total, "the counts outlive the topics");
    }
}
