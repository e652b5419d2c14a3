use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::engine::action::Action;
use crate::engine::engine::{Followed, LogState};
use crate::engine::history::{HistoryError, HistoryPage, Read, ReadRange};
use crate::engine::interest::Interest;
use crate::engine::known_topics::KnownTopics;
use crate::engine::late::LateLosses;
use crate::engine::record::{TailBody, TailRecord};
use crate::model::Pattern;

/// Order of the records that a log pushes and that are read from it.
///
/// It does no I/O: its owner carries out [actions](Action), and reports their results. Records are published up to a sequence
/// when all records of followed names up to there are known: the log has [completed](Self::complete) it, or they were read.
#[derive(Debug)]
pub(crate) struct Merge {
    epoch: u64,
    earlier: Vec<(u64, u64)>,
    /// Sequence up to which everything is published.
    merged: u64,
    /// Sequence up to which the pending records were read from the log.
    read_up_to: u64,
    /// Sequence up to which the log has pushed everything, but for what is untrusted.
    complete: u64,
    untrusted: Option<Untrusted>,
    pending: BTreeMap<u64, TailRecord>,
    pending_bytes: usize,
    max_pending: usize,
    topics: KnownTopics,
    pub(crate) interest: Interest,
    reading: Option<Reading>,
    following: Option<Following>,
    /// Whether a follow failed since the log completed something.
    has_failed: bool,
    /// Number of times that the log may have withheld records.
    losses: u64,
    late: LateLosses,
    /// State with which the hub in memory is to be replaced.
    renewal: Option<LogState>,
    /// Number of states that were taken.
    states: u64,
}

/// Records that the log may not have pushed, or that were not held.
#[derive(Debug, Clone, Copy)]
struct Untrusted {
    after: u64,
    /// Least end.
    least: u64,
    /// End. `None` until the log completes the least one or a greater one.
    up_to: Option<u64>,
}

/// Read of records that the log has not pushed.
#[derive(Debug)]
struct Reading {
    read: Read,
    /// Sequence of the record that names the last of them as its predecessor. `None` for untrusted records of all names.
    before: Option<u64>,
    is_asked: bool,
}

#[derive(Debug)]
struct Following {
    names: Vec<Pattern>,
    losses: u64,
}

impl Merge {
    pub(crate) fn new(state: &LogState, max_pending: usize) -> Self {
        Self {
            epoch: state.epoch,
            earlier: state.earlier.clone(),
            merged: state.head,
            read_up_to: 0,
            complete: state.head,
            untrusted: None,
            pending: BTreeMap::new(),
            pending_bytes: 0,
            max_pending,
            topics: KnownTopics::default(),
            interest: Interest::default(),
            reading: None,
            following: None,
            has_failed: false,
            losses: 0,
            late: LateLosses::default(),
            renewal: None,
            states: 0,
        }
    }

    /// Returns whether the log pushes its records.
    pub(crate) fn is_live(&self) -> bool {
        self.untrusted.is_none()
    }

    /// Takes a record that the log pushes.
    pub(crate) fn record(&mut self, sequence: u64, record: TailRecord) {
        if sequence <= self.merged || self.topics.since(&record.topic, &self.interest).is_none() {
            return;
        }
        let bytes = record.bytes();
        if self.pending_bytes + bytes > self.max_pending {
            self.pending_bytes = 0;
            self.losses += 1;
            let last = self.pending.last_key_value().map_or(0, |(last, _)| *last);
            let least = self.untrusted.map_or(0, |untrusted| untrusted.least).max(last).max(sequence);
            self.pending.clear();
            self.untrusted = Some(Untrusted { after: self.merged, least, up_to: None });
            return;
        }
        self.put(sequence, record);
    }

    fn put(&mut self, sequence: u64, record: TailRecord) {
        self.pending_bytes += record.bytes();
        // The log may be in another epoch already, with another record of the sequence.
        let old = self.pending.insert(sequence, record);
        self.pending_bytes -= old.map_or(0, |old| old.bytes());
    }

    /// Notes that the log has pushed every record up to a sequence.
    pub(crate) fn complete(&mut self, up_to: u64) {
        self.complete = self.complete.max(up_to);
        if let Some(Untrusted { least, up_to: end @ None, .. }) = &mut self.untrusted {
            *end = Some(self.complete).filter(|complete| complete >= least);
        }
        if std::mem::take(&mut self.has_failed) {
            self.interest.ask_again();
        }
    }

    /// Notes that the log may withhold records after those that it has completed, until it completes more.
    pub(crate) fn lost(&mut self) {
        self.losses += 1;
        let (after, least) = self.untrusted.map_or((self.complete, 0), |untrusted| (untrusted.after, untrusted.least));
        self.untrusted = Some(Untrusted { after, least, up_to: None });
    }

    /// Returns the number of states of the log that were taken.
    pub(crate) fn states(&self) -> u64 {
        self.states
    }

    /// Takes the state of the log. If its epoch is another one, the hub continues at its head.
    pub(crate) fn state(&mut self, state: &LogState) {
        self.states += 1;
        if state.epoch == self.epoch {
            return;
        }
        (self.epoch, self.complete, self.untrusted) = (state.epoch, state.head, None);
        self.earlier.clone_from(&state.earlier);
        // Sequences after the head are given again.
        self.late.end_at(state.head);
        self.pending.clear();
        self.topics = KnownTopics::default();
        self.begin_at(state.head);
    }

    /// Takes the result of [`Action::Follow`]. Returns it if the names are followed.
    pub(crate) fn followed(&mut self, result: Result<Followed, HistoryError>) -> Option<Followed> {
        let Following { names, losses } = self.following.take()?;
        match result {
            // A loss in the meantime was before the names were followed, or after it.
            Ok(followed) if losses == self.losses => {
                self.interest.followed(&names, followed.head);
                return Some(followed);
            }
            Ok(_) => self.interest.ask_again(),
            Err(_) => self.has_failed = true,
        }
        self.interest.not_followed(&names);
        None
    }

    /// Takes the result of [`Action::Read`].
    pub(crate) fn page(&mut self, page: Result<HistoryPage, HistoryError>) {
        let Some(Reading { read, before, .. }) = self.reading.take() else { return };
        match page.ok().filter(|page| page.lost.is_none()) {
            Some(page) => self.add_page(read, before, page),
            // Subscriptions read the events from the log, and get a gap for those that are lost.
            None => {
                self.note_late(&read, before, read.after < self.merged);
                self.begin_at(before.map_or(read.up_to, |before| before - 1));
                self.fill_before(before);
            }
        }
    }

    fn add_page(&mut self, read: Read, before: Option<u64>, page: HistoryPage) {
        let up_to = page.up_to.clamp(read.after + 1, read.up_to);
        let events = page.events.into_iter().map(|event| (event.sequence, event.topic, TailBody::Event(event.event)));
        let ends = page.ends.into_iter().map(|end| (end.sequence, end.topic, TailBody::End(end.reason)));
        let (mut is_late, merged) = (false, self.merged);
        for (sequence, topic, body) in events.chain(ends) {
            is_late |= sequence <= merged;
            if sequence > merged {
                self.put(sequence, TailRecord { topic, previous: None, body });
            }
        }
        if before.is_none() {
            self.read_up_to = up_to;
        }
        if before.is_some() && is_late {
            self.note_late(&read, before, true);
            self.begin_at(merged);
        }
        match up_to < read.up_to {
            true => self.reading = Some(Reading { read: Read { after: up_to, ..read }, before, is_asked: false }),
            false => self.fill_before(before),
        }
    }

    /// Notes records of a read that are before those which subscriptions have passed.
    fn note_late(&mut self, read: &Read, before: Option<u64>, is_late: bool) {
        if let Some(topic) = read.ranges[0].name.as_topic().filter(|_| before.is_some() && is_late) {
            self.late.add(topic, read.after, self.merged);
        }
    }

    /// Notes that the records before a pending one are known.
    fn fill_before(&mut self, sequence: Option<u64>) {
        if let Some(record) = sequence.and_then(|sequence| self.pending.get_mut(&sequence)) {
            record.previous = None;
        }
    }

    /// Notes that the records of the last [`Action::Publish`] cannot be published in memory. Subscriptions read them from the log.
    pub(crate) fn not_published(&mut self) {
        self.begin_at(self.merged);
    }

    /// Returns the next action.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Action> {
        if let Some(state) = self.renewal.take() {
            return Some(Action::Renew(state, self.late.clone()));
        }
        let idle = self.interest.take_idle(now);
        if !idle.is_empty() {
            return Some(Action::Unfollow(idle));
        }
        if self.following.is_none() {
            let names = self.interest.take_wanted();
            if !names.is_empty() {
                self.following = Some(Following { names: names.clone(), losses: self.losses });
                return Some(Action::Follow(names));
            }
        }
        self.merge()
    }

    fn merge(&mut self) -> Option<Action> {
        loop {
            if self.read_up_to > self.merged {
                return Some(self.publish(self.read_up_to));
            }
            if let Some(Reading { read, is_asked, .. }) = &mut self.reading {
                return (!std::mem::replace(is_asked, true)).then(|| Action::Read(read.clone()));
            }
            let up_to = match self.untrusted {
                None => self.complete,
                Some(Untrusted { after, .. }) if after > self.merged => after,
                Some(Untrusted { up_to: None, .. }) => return None,
                Some(Untrusted { up_to: Some(up_to), .. }) if up_to <= self.merged => {
                    self.untrusted = None;
                    continue;
                }
                Some(Untrusted { up_to: Some(up_to), .. }) => {
                    let read = Read::new(self.interest.ranges(), self.merged, up_to);
                    match read.ranges.is_empty() {
                        true => self.read_up_to = up_to,
                        false => self.reading = Some(Reading { read, before: None, is_asked: false }),
                    }
                    continue;
                }
            };
            if up_to <= self.merged {
                return None;
            }
            match self.find_hole(up_to) {
                None => return Some(self.publish(up_to)),
                Some((sequence, read)) if read.up_to <= self.merged => {
                    self.note_late(&read, Some(sequence), true);
                    self.fill_before(Some(sequence));
                    self.begin_at(self.merged);
                    return self.renewal.take().map(|state| Action::Renew(state, self.late.clone()));
                }
                Some((sequence, read)) => {
                    self.reading = Some(Reading { read, before: Some(sequence), is_asked: false });
                }
            }
        }
    }

    /// Finds the first pending record whose predecessor in its topic is unknown. Returns its sequence, and the read of the records
    /// before it.
    fn find_hole(&mut self, up_to: u64) -> Option<(u64, Read)> {
        for (&sequence, record) in self.pending.range(self.merged + 1..=up_to) {
            let TailRecord { topic, previous, .. } = record;
            let last = self.topics.last(topic, &self.interest);
            if let Some((previous, last)) = previous.zip(last).filter(|(previous, last)| previous > last) {
                let range = ReadRange::new(Pattern::from(topic));
                return Some((sequence, Read::new(Arc::new([range]), last, previous)));
            }
            self.topics.put(topic, sequence, &self.interest);
        }
        None
    }

    fn publish(&mut self, up_to: u64) -> Action {
        let later = self.pending.split_off(&(up_to + 1));
        let records = std::mem::replace(&mut self.pending, later);
        for (&sequence, record) in &records {
            self.pending_bytes -= record.bytes();
            self.topics.put(&record.topic, sequence, &self.interest);
        }
        self.merged = up_to;
        self.topics.limit(up_to);
        Action::Publish { records: records.into_iter().collect(), up_to }
    }

    /// Asks for a hub in memory that begins after a sequence.
    fn begin_at(&mut self, sequence: u64) {
        self.pending = self.pending.split_off(&(sequence + 1));
        self.pending_bytes = self.pending.values().map(TailRecord::bytes).sum();
        (self.merged, self.read_up_to, self.reading) = (sequence, 0, None);
        self.losses += 1;
        self.interest.renew();
        self.renewal = Some(LogState::new(self.epoch, sequence).with_earlier(self.earlier.clone()));
    }
}
