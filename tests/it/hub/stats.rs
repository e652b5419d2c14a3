//! The hub's statistics add up, whatever is done in whatever order, and under whatever budget.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use proptest::prelude::*;
use tidings::stats::HubStats;
use tidings::subscriber::{Delivery, EncodedDelivery, Slot};
use tidings::{
    Event, LocalHub, LocalHubBuilder, Overflow, PublishError, Retention, Subscribe, Subscriber, Subscription, Topic,
};

use super::model::{Lines, ManualClock};

const TOPICS: usize = 4;

#[derive(Debug, Clone)]
enum Step {
    Publish { topic: usize, len: usize, key: Option<u8>, ttl: Option<u64> },
    PublishAll { topics: Vec<usize> },
    Subscribe { topics: Vec<usize>, overflow: Overflow },
    Poll { who: usize },
    PollEncoded { who: usize, max: usize, slot: Option<Slot> },
    Drain { who: usize },
    Detach { who: usize },
    Drop { who: usize },
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
        4 => any::<usize>().prop_map(|who| Step::Poll { who }),
        6 => (any::<usize>(), 0..9_000_usize, slot).prop_map(|(who, max, slot)| Step::PollEncoded { who, max, slot }),
        2 => any::<usize>().prop_map(|who| Step::Drain { who }),
        1 => any::<usize>().prop_map(|who| Step::Detach { who }),
        1 => any::<usize>().prop_map(|who| Step::Drop { who }),
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
    fn p13_everything_adds_up_and_stays_within_the_budget(
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
    clock: ManualClock,
    limit: usize,
    names: Vec<Topic>,
    /// How many events were published to each topic.
    published: [u64; TOPICS],
    readers: Vec<Reader>,
    /// Sums of all readers, those that are gone included.
    total: Account,
}

struct Reader {
    subscription: Subscription,
    topics: Vec<usize>,
    /// How many events its topics had when it came.
    before: u64,
    account: Account,
    /// Events that the reader was delivered and the hub has not counted yet.
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
        let clock = ManualClock::new();
        let hub = LocalHub::builder().retain(retention).max_bytes(limit).live_buffer(live_buffer);
        let hub = hub.clock(clock.clone()).build();
        let names = (0..TOPICS).map(|n| Topic::new(format!("topic/{n}")).unwrap()).collect();
        let (published, total) = ([0; TOPICS], Account::default());
        Self { hub, clock, limit, names, published, readers: Vec::new(), total }
    }

    fn step(&mut self, step: Step) {
        let who = |who: usize| who % self.readers.len().max(1);
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
                let what = Subscribe::topics(topics.iter().map(|&n| &self.names[n])).overflow(overflow);
                let subscription = self.hub.subscribe(what).unwrap();
                let before = self.published_to(&topics);
                self.readers.push(Reader { subscription, topics, before, account: Account::default(), uncounted: 0 });
            }
            Step::Poll { who: n } => drop(self.poll(who(n), None)),
            Step::PollEncoded { who: n, max, slot } => drop(self.poll(who(n), Some((Lines(slot), max)))),
            Step::Drain { who: n } => {
                let n = who(n);
                while self.poll(n, None) {}
            }
            Step::Detach { who: n } => {
                let n = who(n);
                self.readers.get_mut(n).into_iter().for_each(|reader| reader.subscription.release());
            }
            Step::Drop { who: n } if !self.readers.is_empty() => {
                let reader = self.readers.swap_remove(who(n));
                self.total.delivered += reader.uncounted;
                drop(reader);
            }
            Step::Drop { .. } => {}
            Step::Advance { millis } => self.clock.advance(Duration::from_millis(millis)),
            Step::Sweep => self.hub.sweep(),
        }
    }

    /// Counts an accepted publish. A refused one must have found nothing left to evict, except for segments in readers'
    /// hands.
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

    /// One poll, which the hub must count as what it was. False when there was nothing.
    fn poll(&mut self, who: usize, encoded: Option<(Lines, usize)>) -> bool {
        let before = self.hub.stats();
        let Some(Reader { subscription, topics, before: owed_from, account, uncounted }) = self.readers.get_mut(who)
        else {
            return false;
        };
        let mut cx = Context::from_waker(Waker::noop());
        let polled = match encoded {
            None => subscription.poll_next(&mut cx).map(|delivery| match delivery {
                Delivery::Events(batch) => (batch.len() as u64, None),
                Delivery::Gap(gap) => (0, Some(gap)),
                other => panic!("{other:?}"),
            }),
            Some((format, max)) => subscription.poll_encoded(&mut cx, &format, max).map(|encoded| match encoded {
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
        // What was delivered may be counted later, but not beyond the next time that there is nothing to read.
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
            Poll::Pending => assert_eq!(account.sum(), owed, "{account:?}: all read, or accounted for"),
            Poll::Ready(_) => assert!(account.sum() <= owed, "{account:?} of {owed}"),
        }
        polled.is_ready()
    }

    fn check(&self) {
        let stats = self.hub.stats();
        assert_eq!(stats.published, self.published.iter().sum::<u64>());
        assert_eq!(stats.published, stats.retained + stats.evicted, "{stats:?}");
        assert!(stats.evicted_by_budget <= stats.evicted);
        assert_eq!(Account::of(&stats), self.total, "nobody but who polls adds to them");
        assert_eq!(stats.subscriptions, self.readers.iter().map(|reader| reader.topics.len()).sum::<usize>());
        assert!(stats.parked <= stats.subscriptions);
        assert!(stats.bytes >= stats.retained_bytes + stats.cached_bytes + stats.pinned_bytes, "{stats:?}");
        let within = stats.bytes - stats.pinned_bytes.min(self.limit / 4);
        assert!(within <= self.limit, "over {}: {stats:?}", self.limit);
        assert!(stats.cached_bytes <= self.limit / 4, "{stats:?}");
    }

    /// Everyone reads on until there is nothing more, and leaves; in the end there is nothing but the counts.
    fn finish(mut self) {
        let mut owed = 0;
        let gone = self.readers.iter().fold(self.total, |total, reader| Account {
            delivered: total.delivered - (reader.account.delivered - reader.uncounted),
            gaps: total.gaps - reader.account.gaps,
            missed: total.missed - reader.account.missed,
            conflated: total.conflated - reader.account.conflated,
            expired: total.expired - reader.account.expired,
        });
        for who in 0..self.readers.len() {
            while self.poll(who, None) {}
            owed += self.published_to(&self.readers[who].topics) - self.readers[who].before;
        }
        self.check();
        assert_eq!(self.total.sum(), gone.sum() + owed);
        self.readers.clear();
        self.clock.advance(Duration::from_secs(1));
        self.hub.sweep();
        let stats = self.hub.stats();
        assert_eq!((stats.bytes, stats.topics, stats.subscriptions, stats.parked), (0, 0, 0, 0), "{stats:?}");
        assert_eq!((stats.published, stats.retained), (stats.evicted, 0));
        assert_eq!(Account::of(&stats), self.total, "what was counted outlives the topics");
    }
}
