//! Limit of the topics that one publisher may create.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::StatusCode;
use tidings::Topic;

use crate::hub::RelayHub;
use crate::peer::Peer;
use crate::problem::Problem;

/// Time for which a topic counts: without a further event it has left history by then.
const PERIOD: Duration = Duration::from_secs(60 * 60);
/// Number of topics that are counted for all peers together.
const MAX_COUNTED: usize = 1_000_000;

/// Topics that each peer created in the last hour.
///
/// A topic counts for a peer that publishes to it while it has no history. If its events expire within the hour, it does
/// not count a second time for the same peer.
#[derive(Debug)]
pub(crate) struct Quota {
    /// Topics of one peer. 0: any number.
    max: usize,
    hashes: RandomState,
    created: Mutex<Created>,
}

#[derive(Debug, Default)]
struct Created {
    count: usize,
    /// Time at which old topics of all peers were last removed.
    pruned: Option<Instant>,
    /// Creation time of each topic, by the hash of its name.
    peers: HashMap<Peer, HashMap<u64, Instant>>,
}

impl Quota {
    pub(crate) fn new(max: usize) -> Self {
        Self { max, hashes: RandomState::new(), created: Mutex::default() }
    }

    /// Counts the topics that do not exist yet. Refuses all of them if the peer may not create that many.
    pub(crate) fn create<'a>(
        &self,
        hub: &RelayHub,
        peer: &Peer,
        topics: impl Iterator<Item = &'a Topic>,
    ) -> Result<(), Problem> {
        if self.max == 0 {
            return Ok(());
        }
        let new = topics.filter(|topic| !hub.has_history(topic)).map(|topic| self.hashes.hash_one(topic));
        let new: HashSet<u64> = new.collect();
        if new.is_empty() {
            return Ok(());
        }
        self.created.lock().unwrap_or_else(PoisonError::into_inner).add(peer, &new, self.max, Instant::now())
    }
}

impl Created {
    fn add(&mut self, peer: &Peer, new: &HashSet<u64>, max: usize, now: Instant) -> Result<(), Problem> {
        let mut more = self.unknown(peer, new);
        if self.of(peer) + more > max {
            self.remove_old_of(peer, now);
            more = self.unknown(peer, new);
        }
        if self.of(peer) + more > max {
            let oldest = self.peers.get(peer).and_then(|topics| topics.values().min().copied()).unwrap_or(now);
            let left = (oldest + PERIOD).saturating_duration_since(now).as_secs();
            let text = format!("topic: a publisher may create {max} topics an hour; relay --new-topics sets it");
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, text);
            return Err(problem.retry_after(u32::try_from(left + 1).unwrap_or(u32::MAX)));
        }
        if self.count + more > MAX_COUNTED {
            self.make_room(now);
        }
        self.count += self.unknown(peer, new);
        let topics = self.peers.entry(peer.clone()).or_default();
        for &hash in new {
            topics.entry(hash).or_insert(now);
        }
        Ok(())
    }

    fn of(&self, peer: &Peer) -> usize {
        self.peers.get(peer).map_or(0, HashMap::len)
    }

    /// Returns the number of topics that do not count for the peer yet.
    fn unknown(&self, peer: &Peer, new: &HashSet<u64>) -> usize {
        let known = self.peers.get(peer);
        new.iter().filter(|hash| known.is_none_or(|known| !known.contains_key(hash))).count()
    }

    fn remove_old_of(&mut self, peer: &Peer, now: Instant) {
        let Some(topics) = self.peers.get_mut(peer) else { return };
        let before = topics.len();
        topics.retain(|_, created| now.saturating_duration_since(*created) < PERIOD);
        self.count -= before - topics.len();
    }

    /// Removes old topics, at most once a minute, since it visits all of them. If that is not enough, removes the topics of the
    /// peer with the most, so that it does not prevent others from creating any.
    fn make_room(&mut self, now: Instant) {
        if self.pruned.is_none_or(|pruned| now.saturating_duration_since(pruned) >= Duration::from_secs(60)) {
            self.pruned = Some(now);
            self.peers.retain(|_, topics| {
                topics.retain(|_, created| now.saturating_duration_since(*created) < PERIOD);
                !topics.is_empty()
            });
            self.count = self.peers.values().map(HashMap::len).sum();
        }
        if self.count >= MAX_COUNTED {
            let most = self.peers.iter().max_by_key(|(_, topics)| topics.len()).map(|(peer, _)| peer.clone());
            let removed = most.and_then(|peer| self.peers.remove(&peer));
            self.count -= removed.map_or(0, |topics| topics.len());
        }
    }
}
