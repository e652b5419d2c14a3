use std::sync::Arc;

use crate::hub::holds::{STRETCH, count_steps};
use crate::hub::log::log::Log;
use crate::hub::topics::patterns::below;
use crate::hub::topics::recent::Recent;
use crate::hub::topics::registry::{Named, Registry};
use crate::model::{Pattern, Topic};

/// Number of events per topic up to which finding the topics in the index of recent events costs less than looking at
/// every topic that a pattern matches.
const EVENTS_PER_TOPIC: u64 = 16;
/// Largest number of topics that are looked up by name although the index holds all events.
const FEW: u64 = 4_096;

/// Topic that a pattern matches.
#[derive(Debug)]
pub(crate) enum MatchedTopic {
    Live(Arc<Log>),
    /// Topic that was dropped, and the sequence of its last event then.
    Gone(Topic, u64),
}

/// Search for the topics that a pattern with a wildcard matches.
impl Registry {
    /// Finds every topic that the pattern matches and that had an event after `after` and up to `up_to`, or has lost
    /// one since. Finds other topics, too, if that costs less than to exclude them. Calls `found` at most once for each
    /// topic in memory, without a lock held. Returns the sequence up to which there may have been topics that are
    /// forgotten.
    ///
    /// The cost is at most in proportion to the events after `after`, or to the names that [`below`] yields if some of
    /// these events have left the index.
    pub(crate) fn find_topics(
        &self,
        recent: &Recent,
        pattern: &Pattern,
        after: Option<u64>,
        up_to: u64,
        mut found: impl FnMut(MatchedTopic),
    ) -> u64 {
        let blocks = after.and_then(|after| Some((after, recent.after(after)?)));
        let limit =
            blocks.as_ref().map(|(after, _)| (up_to.saturating_sub(*after) / EVENTS_PER_TOPIC).min(FEW) as usize);
        let mut collected = Vec::new();
        let by_name = match limit {
            None => self.find_by_name(pattern, usize::MAX, &mut found),
            Some(limit) => self.find_by_name(pattern, limit, |matched| collected.push(matched)),
        };
        match (by_name, blocks) {
            (None, Some((after, blocks))) => {
                drop(collected);
                let mut seen = SlotSet::default();
                for block in blocks {
                    let mut fresh = block.slots(after, up_to).filter(|&slot| seen.insert(slot));
                    self.find_in_slots(&mut fresh, pattern, &mut found);
                }
                // After the logs: a topic that was dropped meanwhile is remembered by now.
                self.find_dropped(pattern, after, found)
            }
            (forgotten, _) => {
                collected.into_iter().for_each(found);
                forgotten.unwrap_or(0)
            }
        }
    }

    /// Finds the topics in these slots that the pattern matches.
    fn find_in_slots(
        &self,
        slots: &mut impl Iterator<Item = u32>,
        pattern: &Pattern,
        found: &mut impl FnMut(MatchedTopic),
    ) {
        let (mut stretch, mut logs) = (Vec::with_capacity(STRETCH), Vec::with_capacity(STRETCH));
        loop {
            stretch.extend(slots.take(STRETCH));
            if stretch.is_empty() {
                return;
            }
            self.pool.by_size.find(stretch.drain(..), &mut logs);
            let matches = |log: &Arc<Log>| log.name.as_topic().is_some_and(|topic| pattern.matches(topic));
            logs.drain(..).filter(matches).map(MatchedTopic::Live).for_each(&mut *found);
        }
    }
}

impl Registry {
    /// Finds every topic that the pattern matches, by name. Each topic that existed all the time is found once, whether
    /// or not it was dropped or created again meanwhile. Returns the sequence up to which there may have been others,
    /// which are forgotten; `None` if it would have to look at more than `limit` names.
    fn find_by_name(&self, pattern: &Pattern, limit: usize, mut found: impl FnMut(MatchedTopic)) -> Option<u64> {
        let (mut after, mut looks) = (None::<String>, 0);
        let (mut live, mut gone) = (Vec::with_capacity(STRETCH), Vec::new());
        loop {
            let (mut until, mut last) = (None, None);
            let topics = self.topics.read();
            for (count, (Named(log), (), matches)) in
                (1..).zip(below(&topics.names, pattern, after.as_deref()).take(STRETCH))
            {
                live.extend(matches.then(|| Arc::clone(log)));
                until = (count == STRETCH).then(|| log.name.as_str());
                looks += 1;
                count_steps(1);
            }
            // Dropped topics among the same names, under the same lock: a topic is either in memory or dropped.
            for (count, (topic, sequence, matches)) in
                (1..).zip(topics.tombstones.below(pattern, after.as_deref()).take(STRETCH))
            {
                if until.is_some_and(|until| topic.as_str() > until) {
                    break;
                }
                let is_gone = matches && topics.live.get(topic.as_str()).is_none();
                gone.extend(is_gone.then(|| MatchedTopic::Gone(topic.clone(), sequence)));
                last = (count == STRETCH).then(|| topic.as_str());
                looks += 1;
                count_steps(1);
            }
            let until = last.or(until).map(str::to_owned);
            let forgotten = topics.tombstones.forgotten;
            drop(topics);
            if looks > limit {
                return None;
            }
            let is_before = |log: &Arc<Log>| until.as_deref().is_none_or(|until| log.name.as_str() <= until);
            live.drain(..).filter(is_before).map(MatchedTopic::Live).chain(gone.drain(..)).for_each(&mut found);
            if until.is_none() {
                return Some(forgotten);
            }
            after = until;
        }
    }

    /// Finds every dropped topic that the pattern matches and that lost an event after a sequence. Returns the sequence
    /// up to which there may have been others, which are forgotten.
    fn find_dropped(&self, pattern: &Pattern, after: u64, mut found: impl FnMut(MatchedTopic)) -> u64 {
        let (mut after, mut gone) = (after, Vec::new());
        loop {
            let topics = self.topics.read();
            let mut until = None;
            for (count, (last, topic)) in (1..).zip(topics.tombstones.after(after).take(STRETCH)) {
                count_steps(1);
                gone.extend(pattern.matches(topic).then(|| MatchedTopic::Gone(topic.clone(), last)));
                until = (count == STRETCH).then_some(last);
            }
            let forgotten = topics.tombstones.forgotten;
            drop(topics);
            gone.drain(..).for_each(&mut found);
            match until {
                Some(until) => after = until,
                None => return forgotten,
            }
        }
    }
}

/// Set of slots.
#[derive(Default)]
struct SlotSet(Vec<u64>);

impl SlotSet {
    /// Adds a slot. Returns whether it was not in the set.
    fn insert(&mut self, slot: u32) -> bool {
        let (word, bit) = (slot as usize / 64, 1 << (slot % 64));
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let is_new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        is_new
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::contract::Subscribe;
    use crate::hub::local::LocalHub;
    use crate::model::Retention;

    /// Publishes `events` events to the topics of these numbers, one after the other.
    fn publish(hub: &LocalHub, topics: impl Iterator<Item = usize> + Clone, events: usize) {
        for n in topics.cycle().take(events) {
            hub.publish_now(Topic::new(format!("room/{n}/chat")).expect("a name"), "").expect("room");
        }
    }

    /// Returns the names of the topics that are found for events after a sequence.
    fn found_names(hub: &LocalHub, pattern: &str, after: Option<u64>) -> Vec<String> {
        let (shared, mut names) = (hub.shared(), Vec::new());
        shared.registry.find_topics(
            &shared.recent,
            &Pattern::new(pattern).expect("a pattern"),
            after,
            shared.settled(),
            |matched| {
                names.push(match matched {
                    MatchedTopic::Live(log) => log.name.as_str().to_owned(),
                    MatchedTopic::Gone(topic, _) => format!("-{topic}"),
                });
            },
        );
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "each topic once");
        names
    }

    #[test]
    fn pattern_is_resumed_by_the_topics_that_had_events_since_and_not_by_all() {
        let hub = LocalHub::new();
        publish(&hub, 0..20_000, 20_000);
        let after = hub.cursor().sequence();
        publish(&hub, (0..20_000).step_by(40), 2_000);
        assert_eq!(found_names(&hub, "room/**", Some(after)).len(), 500);
        assert_eq!(found_names(&hub, "room/40/*", Some(after)), ["room/40/chat"]);
        assert_eq!(found_names(&hub, "room/**", Some(after - 10_000)).len(), 10_000 + 250);
        assert_eq!(found_names(&hub, "room/**", None).len(), 20_000);
        assert_eq!(found_names(&hub, "room/*", Some(0)).len(), 0, "all names have one segment more");
    }

    #[test]
    fn pattern_of_few_topics_is_looked_up_by_name_when_many_events_are_to_be_searched() {
        let hub = LocalHub::new();
        publish(&hub, 0..1_000, 10_000);
        // Of 3,000 events, one is of the topic.
        let after = hub.cursor().sequence() - 3_000;
        let names = hub.shared().registry.find_by_name(&Pattern::new("room/7/*").unwrap(), 3_000 / 16, |_| ());
        assert!(names.is_some(), "one name");
        assert!(hub.shared().registry.find_by_name(&Pattern::new("room/**").unwrap(), 3_000 / 16, |_| ()).is_none());
        assert_eq!(found_names(&hub, "room/7/*", Some(after)), ["room/7/chat"]);
    }

    #[test]
    fn every_topic_is_found_when_events_have_left_the_index() {
        let hub = LocalHub::builder().retain_for("room/1/*", Retention::count(0)).build();
        publish(&hub, 0..3, 20_000);
        assert!(hub.shared().recent.after(0).is_none());
        let mut names = found_names(&hub, "room/**", Some(0));
        names.sort_unstable();
        assert_eq!(names, ["-room/1/chat", "room/0/chat", "room/2/chat"]);
    }

    #[test]
    fn dropped_topics_are_found_in_several_stretches_by_age_and_by_name() {
        let hub = LocalHub::builder().retain(Retention::count(0)).build();
        publish(&hub, 0..1_000, 1_000);
        assert_eq!(found_names(&hub, "room/**", Some(0)).len(), 1_000, "by age");
        assert_eq!(found_names(&hub, "room/**", Some(990)).len(), 10);
        assert_eq!(found_names(&hub, "room/**", None).len(), 1_000, "by name");
    }

    #[test]
    fn topic_created_again_is_found_by_its_loss() {
        let hub = LocalHub::builder().retain_for("room/1/*", Retention::count(0)).build();
        publish(&hub, 0..3, 3);
        let topics = ["other", "room/1/chat"];
        let _revived = topics.map(|name| hub.subscribe(Subscribe::topics([name])).unwrap());
        // The other topic has the slot in the index.
        publish(&hub, 0..1, 10);
        let mut names = found_names(&hub, "room/**", Some(1));
        names.sort_unstable();
        assert_eq!(names, ["-room/1/chat", "room/0/chat", "room/2/chat"]);
        assert_eq!(found_names(&hub, "room/**", Some(3)), ["room/0/chat"]);
    }
}
