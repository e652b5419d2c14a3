//! Skips of a subscription with keyed topics: a change of a session's topics while a client is behind.

use std::collections::BTreeMap;
use std::task::Poll;

use proptest::prelude::*;
use tidings::subscriber::Delivery;
use tidings::{Cursor, Event, LocalHub, Pattern, Retention, Start, StateLimits, Subscribe, Subscriber, Subscription};

use crate::support::{cases, poll, topic};

const KEYED: [&str; 2] = ["k/a", "k/b"];
const TOPICS: [&str; 3] = ["k/a", "k/b", "p"];

/// Value of each key of each topic. Of a plain topic, the events.
type State = BTreeMap<(String, String), String>;

/// Event of the hub: its topic, its key, and its text unless it is a removal.
#[derive(Debug, Clone)]
struct Published {
    sequence: u64,
    topic: &'static str,
    key: String,
    is_removal: bool,
}

struct World {
    hub: LocalHub,
    published: Vec<Published>,
}

impl World {
    fn new(removals: usize, live_buffer: usize) -> Self {
        let limits = StateLimits::default().removals(removals);
        let keyed = Retention::count(1).state_limits(limits);
        let builder = LocalHub::builder().retain_for("k/*", keyed).retain_for("p", Retention::count(1_000));
        Self { hub: builder.live_buffer(live_buffer).build(), published: Vec::new() }
    }

    fn publish(&mut self, steps: &[(usize, u8, bool)]) {
        for &(name, key, removes) in steps {
            let (topic, key) = (TOPICS[name], key.to_string());
            let is_removal = removes && KEYED.contains(&topic);
            let text = (self.hub.cursor().sequence() + 1).to_string();
            let event = if is_removal { Event::removal(&key) } else { Event::text(text).with_key(&key) };
            let sequence = self.hub.publish_now(topic, event.unwrap()).unwrap().cursor().unwrap().sequence();
            self.published.push(Published { sequence, topic, key, is_removal });
        }
    }

    fn at(&self, sequence: u64) -> Cursor {
        Cursor::new(self.hub.cursor().epoch(), sequence)
    }

    /// Returns the states of these keyed topics at a sequence.
    fn states(&self, topics: &[&str], sequence: u64) -> State {
        let mut state = State::new();
        for event in self.published.iter().filter(|event| event.sequence <= sequence && topics.contains(&event.topic)) {
            let key = (event.topic.to_owned(), event.key.clone());
            match event.is_removal {
                true => state.remove(&key),
                false => state.insert(key, event.sequence.to_string()),
            };
        }
        state
    }
}

/// Applies everything that is ready to the states. Returns the events, with whether a gap of the topic preceded them.
fn apply(subscription: &mut Subscription, state: &mut State) -> Vec<(u64, String)> {
    let mut events = Vec::new();
    loop {
        match poll(subscription) {
            Poll::Ready(Delivery::Events(batch)) => {
                for event in batch.iter() {
                    let name = event.topic.to_string();
                    events.push((event.cursor.unwrap().sequence(), name.clone()));
                    let Some(key) = event.event.key().filter(|_| KEYED.contains(&&*name)) else { continue };
                    match event.event.as_str().filter(|_| !event.event.is_removal()) {
                        Some(text) => state.insert((name, key.to_owned()), text.to_owned()),
                        None => state.remove(&(name, key.to_owned())),
                    };
                }
            }
            Poll::Ready(Delivery::Gap(gap)) => {
                assert!(gap.snapshot, "{gap:?}");
                let of = gap.topic.map(|topic| topic.to_string());
                state.retain(|(name, _), _| of.as_ref().is_some_and(|of| of != name));
                events.push((u64::MAX, of.unwrap_or_default()));
            }
            other => {
                assert!(other.is_pending(), "{other:?}");
                return events;
            }
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<(usize, u8, bool)>> {
    prop::collection::vec((0..3_usize, 0..4_u8, prop::bool::weighted(0.3)), 0..12)
}

proptest! {
    #![proptest_config(cases(400))]

    /// The client has everything of the topics that stay up to the cursor to which the subscription skips, and nothing of the
    /// added ones.
    #[test]
    fn skip_with_keyed_topics_yields_the_state_of_added_topics_and_later_changes_of_the_others(
        (removals, live_buffer) in (1..4_usize, prop::sample::select(vec![0, 1 << 20])),
        (before, between, meanwhile, after) in (steps(), steps(), steps(), steps()),
        names in prop_oneof![
            prop::sample::subsequence(TOPICS.to_vec(), 1..=3).prop_map(|names| (names.clone(), names)),
            Just((vec!["k/*"], KEYED.to_vec())),
            Just((vec!["k/*", "p"], TOPICS.to_vec())),
        ],
        added in prop::sample::subsequence(TOPICS.to_vec(), 0..=2),
        (begin, is_marked) in (0..4_u8, any::<bool>()),
        to in 0..=100_u64,
    ) {
        let mut world = World::new(removals, live_buffer);
        let (names, topics) = names;
        let added: Vec<_> = added.into_iter().filter(|name| topics.contains(name)).collect();
        world.publish(&before);
        let from = world.hub.cursor();
        world.publish(&between);
        // Without a cursor, the client gets the events up to the present from another subscription.
        let (start, from) = match begin {
            0 => (Start::After(from), from),
            1 => (Start::Now, world.hub.cursor()),
            2 => (Start::Unreadable, world.hub.cursor()),
            _ => (Start::After(Cursor::new(1, 5)), world.hub.cursor()),
        };
        let request = Subscribe::patterns(names.iter().copied()).start(start);
        let marked = added.iter().filter(|_| is_marked).map(topic);
        let mut subscription = world.hub.subscribe(request.added(marked)).unwrap();
        world.publish(&meanwhile);
        let last = world.hub.cursor().sequence();
        let to = from.sequence() + (last - from.sequence()) * to / 100;
        let stays: Vec<_> = KEYED.into_iter().filter(|name| topics.contains(name) && !added.contains(name)).collect();
        let mut state = world.states(&stays, to);
        let followed: Vec<_> = topics.iter().filter(|name| !added.contains(name)).copied().collect();
        let patterns: Vec<_> = followed.iter().map(|name| Pattern::new(name).unwrap()).collect();
        prop_assert!(subscription.skip_followed(world.at(to), &patterns));
        let (cut, mut state_of_cut) = (subscription.cursor().unwrap(), state.clone());
        world.publish(&after);
        if !followed.is_empty() {
            let resume = Subscribe::topics(followed.iter().copied()).start(Start::After(cut));
            let events = apply(&mut world.hub.subscribe(resume).unwrap(), &mut state_of_cut);
            prop_assert_eq!(state_of_cut, world.states(&stays, u64::MAX), "after a cut at {}", cut);
            let mut later = world.published.iter().filter(|event| followed.contains(&event.topic) && event.topic == "p");
            let lost = later.find(|event| event.sequence > to && !events.iter().any(|(at, _)| *at == event.sequence));
            prop_assert!(lost.is_none(), "{:?} after a cut at {}", lost, cut);
        }
        let mut events = Vec::new();
        if cut != world.at(to) {
            events = apply(&mut subscription, &mut state);
            let is_early = |(sequence, name): &(u64, String)| *sequence == u64::MAX || *sequence <= to && added.contains(&&**name);
            prop_assert!(events.iter().all(is_early), "later than {} before the confirmation: {:?}", to, events);
            prop_assert_eq!(subscription.cursor(), Some(world.at(to)));
        }
        events.extend(apply(&mut subscription, &mut state));
        let keyed: Vec<_> = KEYED.into_iter().filter(|name| topics.contains(name)).collect();
        prop_assert_eq!(state, world.states(&keyed, u64::MAX));
        let has_gap = |name: &str| events.iter().any(|(at, of)| *at == u64::MAX && (of.is_empty() || of == name));
        for (sequence, name) in &events {
            let is_new = *sequence > to || added.contains(&&**name) || has_gap(name);
            prop_assert!(is_new, "{} of {} again, the client is at {}: {:?}", sequence, name, to, events);
        }
        let plain: Vec<_> = events.iter().filter(|(_, name)| name == "p").map(|(sequence, _)| *sequence).collect();
        if topics.contains(&"p") && !added.contains(&"p") {
            let of_plain = world.published.iter().filter(|event| event.topic == "p" && event.sequence > to);
            prop_assert_eq!(plain, of_plain.map(|event| event.sequence).collect::<Vec<_>>());
        }
        prop_assert_eq!(subscription.cursor(), Some(world.hub.cursor()));
    }
}
