//! Random programs beside a list of records.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::expected::{Model, REMOVALS, TOPICS, counters, is_removal, record, retention};
use super::support::{ALL, Directory, copy_killed, fail, read_pages, sequences, topic, written};
use crate::disk::store::open::Opened;
use crate::disk::store::{Limit, Record, Store, StoreOptions};
use crate::model::{Retention, Topic};

#[derive(Debug, Clone)]
enum Step {
    /// Records of one batch: topic, kind, bytes.
    Write(Vec<(usize, u8, u8)>),
    Read {
        topic: usize,
        after: u64,
        up_to: u64,
        limit: (usize, usize),
    },
    ReadAll {
        after: u64,
        up_to: u64,
        limit: (usize, usize),
        topics: u8,
    },
    Trim {
        work: usize,
    },
    TrimAll,
    /// Records of a write that fails before the history is dropped.
    Drop {
        failed: Vec<(usize, u8, u8)>,
        topic: usize,
        up_to: u64,
    },
    Reopen {
        is_closed: bool,
    },
}

fn steps() -> impl Strategy<Value = Step> {
    let records = |count| proptest::collection::vec((0..4_usize, 0..16_u8, 0..60_u8), count);
    let limit = || (1..9_usize, 1..300_usize);
    prop_oneof![
        5 => records(1..12).prop_map(Step::Write),
        2 => (0..5_usize, 0..80_u64, 0..120_u64, limit())
            .prop_map(|(topic, after, up_to, limit)| Step::Read { topic, after, up_to, limit }),
        2 => (0..80_u64, 0..120_u64, limit(), 0..16_u8)
            .prop_map(|(after, up_to, limit, topics)| Step::ReadAll { after, up_to, limit, topics }),
        1 => (1..20_usize).prop_map(|work| Step::Trim { work }),
        1 => Just(Step::TrimAll),
        2 => (prop_oneof![2 => Just(Vec::new()), 1 => records(1..12)], 0..5_usize, prop_oneof![0..120_u64, Just(u64::MAX)])
            .prop_map(|(failed, topic, up_to)| Step::Drop { failed, topic, up_to }),
        1 => any::<bool>().prop_map(|is_closed| Step::Reopen { is_closed }),
    ]
}

fn options(max_bytes: u64) -> StoreOptions {
    StoreOptions { retention: Arc::new(retention), max_bytes, ..written(Retention::default()) }
}

struct Pair {
    directory: Directory,
    store: Store,
    model: Model,
    options: StoreOptions,
}

impl Pair {
    fn open(max_bytes: u64) -> Self {
        let directory = Directory::new();
        let options = options(max_bytes);
        let (store, opened) = Store::open(&directory.0, &options, 1).unwrap();
        let model = Model { epochs: opened.epochs, ..Model::default() };
        Self { directory, store, model, options }
    }

    fn run(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Write(records) => {
                let next = self.model.head() + 1;
                let records = (next..).zip(records).map(|(sequence, parts)| record(sequence, parts));
                let records = records.collect::<Vec<_>>();
                self.store.write(&records).unwrap();
                for record in records {
                    self.model.write(record);
                }
            }
            Step::Read { topic: place, after, up_to, limit } => {
                let name = TOPICS.get(place).copied().unwrap_or("unknown");
                let limit = Limit { events: limit.0, bytes: limit.1 };
                let page = self.store.read(&topic(name), after, up_to, limit).unwrap();
                prop_assert_eq!(page.trimmed, self.model.trimmed.get(name).copied().unwrap_or(0));
                let read = read_pages(|after| self.store.read(&topic(name), after, up_to, limit), after).unwrap();
                let mut expected = self.model.retained(name, after);
                expected.retain(|record| record.sequence() <= up_to);
                prop_assert_eq!(read, expected);
            }
            Step::ReadAll { after, up_to, limit, topics } => {
                let limit = Limit { events: limit.0, bytes: limit.1 };
                let names = TOPICS.iter().zip(0..).filter(|(_, place)| topics & 1 << place != 0);
                let names = names.map(|(name, _)| *name).collect::<Vec<_>>();
                let filter = |topic: &Topic| names.contains(&topic.as_str());
                let read = read_pages(|after| self.store.read_all(after, up_to, limit, filter), after).unwrap();
                let mut expected = names.iter().flat_map(|name| self.model.retained(name, after)).collect::<Vec<_>>();
                expected.retain(|record| record.sequence() <= up_to);
                expected.sort_by_key(Record::sequence);
                // An end may have left the order before the events after it were trimmed.
                let is_event = |record: &Record| matches!(record, Record::Event { .. });
                let events = |records: &[Record]| {
                    sequences(records)
                        .into_iter()
                        .zip(records.iter().map(is_event))
                        .filter(|(_, is_event)| *is_event)
                        .collect::<Vec<_>>()
                };
                prop_assert_eq!(events(&read), events(&expected));
                prop_assert!(read.iter().all(|record| expected.contains(record)));
                let trimmed = names.iter().filter_map(|name| self.model.trimmed.get(*name)).copied().max().unwrap_or(0);
                let expected = if trimmed > after { trimmed } else { 0 };
                prop_assert_eq!(self.store.trimmed(after, None, filter).unwrap(), expected);
            }
            Step::Trim { work } => {
                self.store.trim(self.model.head(), work).unwrap();
                self.note_trimmed()?;
            }
            Step::TrimAll => {
                let mut rounds = 0;
                while self.store.trim(self.model.head(), 10).unwrap() {
                    rounds += 1;
                    prop_assert!(rounds < 1_000, "trimming ends");
                }
                self.note_trimmed()?;
                prop_assert!(self.store.bytes() <= self.options.max_bytes);
                for name in TOPICS {
                    let retention = retention(&topic(name));
                    let retained = self.model.retained(name, 0);
                    let events = retained.iter().filter_map(|record| match record {
                        Record::Event { event, .. } => Some(event.weight()),
                        Record::End { .. } => None,
                    });
                    prop_assert!(events.clone().count() <= retention.count, "{name}");
                    prop_assert!(events.sum::<usize>() <= retention.bytes, "{name}");
                    let trimmed = self.model.trimmed.get(name).copied().unwrap_or(0);
                    let removals = self.model.removals(name);
                    let old = removals.iter().filter(|&&removal| removal <= trimmed).count();
                    prop_assert!(removals.len() <= REMOVALS || old == 0, "{name} {removals:?}, {old} of them old");
                }
            }
            Step::Drop { failed, topic: place, up_to } => {
                // An event after an end forgets the end, which a failed write does not bring back.
                let ends = self.model.ends();
                let failed = (self.model.head() + 1..).zip(failed).map(|(sequence, parts)| record(sequence, parts));
                let failed =
                    failed.filter(|record| ends.iter().all(|end| end.topic() != record.topic())).collect::<Vec<_>>();
                if !failed.is_empty() {
                    fail(&self.store, &failed);
                }
                let name = TOPICS.get(place).copied().unwrap_or("unknown");
                self.store.drop_topic(&topic(name), up_to).unwrap();
                self.model.drop_topic(name, up_to);
            }
            Step::Reopen { is_closed } => self.reopen(is_closed)?,
        }
        Ok(())
    }

    /// Takes the trimmed sequences from the store, and checks that each is of an event, and of one that had to be
    /// trimmed.
    fn note_trimmed(&mut self) -> Result<(), TestCaseError> {
        for row in self.store.topics(None, usize::MAX).unwrap() {
            let name = row.topic.as_str();
            prop_assert_eq!(row.last, self.model.of(name).last().map_or(0, Record::sequence));
            let before = self.model.trimmed.get(name).copied().unwrap_or(0);
            prop_assert!(row.trimmed >= before);
            // With a large budget only the retention of the topic removes its events.
            if row.trimmed > before && self.options.max_bytes > 100_000 {
                let of_topic = self.model.of(name).filter_map(|record| match record {
                    Record::Event { sequence, event, .. } => Some((*sequence, event.weight())),
                    Record::End { .. } => None,
                });
                let kept = of_topic.filter(|(sequence, _)| *sequence >= row.trimmed).collect::<Vec<_>>();
                let retention = retention(&row.topic);
                let weight = kept.iter().map(|(_, weight)| weight).sum::<usize>();
                prop_assert!(kept.len() > retention.count || weight > retention.bytes, "{name} {row:?}");
            }
            self.model.trimmed.insert(name.to_owned(), row.trimmed);
        }
        self.note_forgotten()
    }

    /// Takes the forgotten removals from the store, and checks that each had left history and was one too many.
    fn note_forgotten(&mut self) -> Result<(), TestCaseError> {
        for (topic, sequence) in self.store.states().unwrap().forgotten {
            let name = topic.as_str();
            if self.model.forgotten.insert(name.to_owned(), sequence) == Some(sequence) {
                continue;
            }
            prop_assert!(sequence <= self.model.trimmed[name], "a removal in history is not forgotten");
            let removals = self.model.removals(name);
            prop_assert!(removals.contains(&sequence), "{name} {sequence} of {removals:?}");
            let newer = removals.iter().filter(|&&removal| removal > sequence).count();
            prop_assert!(newer >= REMOVALS, "{name} {sequence} of {removals:?}");
            self.model
                .newest
                .retain(|(of, _), record| of != name || !is_removal(record) || record.sequence() > sequence);
        }
        Ok(())
    }

    fn reopen(&mut self, is_closed: bool) -> Result<(), TestCaseError> {
        if is_closed {
            self.store.close().unwrap();
        } else {
            let copied = copy_killed(&self.directory);
            self.store.close().unwrap();
            self.directory = copied;
        }
        let epoch = self.model.epochs.last().map_or(1, |(epoch, _)| epoch + 1);
        let (store, Opened { head, lost, epochs }) = Store::open(&self.directory.0, &self.options, epoch).unwrap();
        prop_assert_eq!((head, lost), (self.model.head(), None));
        prop_assert_eq!(epochs.last(), Some(&(epoch, head)));
        self.model.epochs = epochs;
        self.store = store;
        self.note_trimmed()
    }

    /// Checks that history and the kept events contain the state of each topic, and no other event that has left history.
    fn check_kept(&self) -> Result<(), TestCaseError> {
        let states = self.model.states();
        let is_kept = |name: &str, record: &Record| {
            record.topic().as_str() == name && record.sequence() <= self.model.trimmed.get(name).copied().unwrap_or(0)
        };
        let (mut all, two) = (Vec::new(), Limit { events: 2, bytes: 100 });
        for name in &TOPICS[2..] {
            let expected = states.iter().filter(|record| is_kept(name, record)).cloned().collect::<Vec<_>>();
            let mut read = Vec::new();
            let mut after = 0;
            while after < u64::MAX {
                let page = self.store.kept(Some(&topic(name)), after, u64::MAX, two, |_| true).unwrap();
                prop_assert!(page.up_to > after && page.records.len() <= 2);
                read.extend(page.records);
                after = page.up_to;
            }
            prop_assert_eq!(&read, &expected);
            all.extend(expected);
            let forgotten = self.store.forgotten(Some(&[&topic(name)]), 0, |_| true).unwrap();
            prop_assert_eq!(forgotten.first().map(|(_, last)| last), self.model.forgotten.get(*name));
        }
        all.sort_by_key(Record::sequence);
        let page = self.store.kept(None, 0, u64::MAX, ALL, |topic| topic.as_str().starts_with("states")).unwrap();
        prop_assert_eq!(page.records, all);
        let forgotten = self.store.forgotten(None, 0, |_| true).unwrap();
        let forgotten = forgotten.iter().map(|(topic, sequence)| (topic.as_ref().unwrap().to_string(), *sequence));
        prop_assert_eq!(forgotten.collect::<BTreeMap<_, _>>(), self.model.forgotten.clone());
        Ok(())
    }

    /// Checks rows of topics, counters, states and ends.
    fn check(&self) -> Result<(), TestCaseError> {
        for row in self.store.topics(None, usize::MAX).unwrap() {
            let expected = self.model.row(row.topic.clone());
            prop_assert_eq!(row, expected);
        }
        let (head, rows) = counters(&self.store);
        prop_assert_eq!(head, rows, "bytes, retained, ends, topics");
        self.check_kept()?;
        prop_assert_eq!(self.store.ends().unwrap(), self.model.ends());
        let mut states = self.store.states().unwrap();
        let mut read = Vec::new();
        loop {
            let next = self.store.next_states(&mut states, 3).unwrap();
            if next.is_empty() {
                break;
            }
            read.extend(next);
        }
        prop_assert_eq!(read, self.model.states());
        let forgotten = states.forgotten.iter().map(|(topic, sequence)| (topic.to_string(), *sequence));
        prop_assert_eq!(forgotten.collect::<BTreeMap<_, _>>(), self.model.forgotten.clone());
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 16))]

    #[test]
    fn store_does_what_a_list_of_records_does(
        steps in proptest::collection::vec(steps(), 1..40),
        max_bytes in prop_oneof![Just(1_u64 << 30), 500..3_000_u64],
    ) {
        let mut pair = Pair::open(max_bytes);
        for step in steps {
            pair.run(step)?;
            pair.check()?;
        }
        pair.reopen(false)?;
        pair.check()?;
    }
}
