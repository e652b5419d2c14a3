use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::disk::commands::commands;
use crate::disk::hub::{DiskHub, Handle};
use crate::disk::reader::{DiskHistory, DiskReader};
use crate::disk::store::{DiskError, Durability, Loss, Record, Store, StoreOptions};
use crate::disk::writer::DiskWriter;
use crate::engine::start::KnownEpochs;
use crate::hub::{ExceededLimit, LocalHub, LocalHubBuilder, Retentions, epoch_now};
use crate::model::{Pattern, PatternError, Retention};

/// Maximum number of publishes that wait for the writer.
const MOST_WRITES: usize = 65_536;
/// Number of events of states that are read at once when the store is opened.
const STATES: usize = 1_024;
/// Maximum number of reads that wait for the reader.
const MOST_READS: usize = 65_536;

/// Builder of a [`DiskHub`].
#[derive(Debug)]
#[must_use]
pub struct DiskHubBuilder {
    path: PathBuf,
    memory: LocalHubBuilder,
    retentions: Retentions,
    options: StoreOptions,
}

impl DiskHubBuilder {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            memory: LocalHub::builder(),
            retentions: Retentions::default(),
            options: StoreOptions::default(),
        }
    }

    /// Sets the retention of topics without their own, on disk. Default: that of [`Retention::default`].
    pub fn retain(mut self, retention: Retention) -> Self {
        self.retentions.otherwise(retention);
        self
    }

    /// Sets the retention of the topics that a pattern matches, on disk.
    ///
    /// # Panics
    ///
    /// Panics if the text is not a pattern.
    pub fn retain_for<P>(mut self, pattern: P, retention: Retention) -> Self
    where
        P: TryInto<Pattern>,
        PatternError: From<P::Error>,
    {
        let pattern = pattern.try_into().map_err(PatternError::from);
        let why = pattern.as_ref().err().map(ToString::to_string).unwrap_or_default();
        assert!(pattern.is_ok(), "retain_for takes a topic or a pattern: {why}");
        if let Ok(pattern) = pattern {
            self.retentions.set(pattern, retention);
        }
        self
    }

    /// Sets the limit of the directory, in bytes. The oldest events are removed first. Default: 1 GiB.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.options.max_bytes = bytes;
        self
    }

    /// Sets when a publish returns. Default: [`Durability::Synced`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.options.durability = durability;
        self
    }

    /// Sets the hub in memory: its limits, and the events that it holds.
    pub fn memory(self, memory: LocalHubBuilder) -> Self {
        Self { memory, ..self }
    }

    /// Opens the directory, or creates it. Blocks until the store is open.
    ///
    /// # Errors
    ///
    /// Returns the errors of the store, if another process has the directory open, or the files are damaged.
    pub fn open(self) -> Result<DiskHub, DiskError> {
        let Self { path, memory, retentions, mut options } = self;
        let memory = memory.with_states_of(&retentions).map_err(|name| {
            let text = "the hub in memory has a retention with a state for";
            DiskError::Settings(format!("{text} `{name}`: set it by `DiskHubBuilder::retain_for` or `retain`"))
        })?;
        let retentions = Arc::new(retentions);
        options.retention = Arc::new(move |topic| Retention::clone(&retentions.of(topic)));
        let (store, opened) = Store::open(&path, &options, epoch_now())?;
        let store = Arc::new(store);
        let (mut earlier, base) = (opened.epochs, opened.head);
        let epoch = earlier.pop().map_or(0, |(epoch, _)| epoch);
        let hub = memory.build_at(epoch, base);
        restore_states(&hub, &store)?;
        for end in store.ends()? {
            if let Record::End { sequence, topic, reason, .. } = end {
                hub.restore_end(&topic, sequence, reason);
            }
        }
        let (writes, queue) = commands(MOST_WRITES);
        let writer = DiskWriter { hub: hub.clone(), store: Arc::clone(&store), queue, writes: 0 };
        let (reads, queue) = commands(MOST_READS);
        let reader = DiskReader { store: Arc::clone(&store), queue };
        // It ends with the last subscription.
        thread::Builder::new().name("tidings-reader".to_owned()).spawn(|| reader.run())?;
        let writer = thread::Builder::new().name("tidings-writer".to_owned()).spawn(|| writer.run())?;
        let lost: Option<Loss> = opened.lost;
        Ok(DiskHub::new(Handle {
            hub,
            store,
            history: Arc::new(DiskHistory(reads)),
            epochs: KnownEpochs { earlier },
            epoch,
            base,
            lost,
            writes,
            writer: Mutex::new(Some(writer)),
        }))
    }
}

/// Puts the newest event of each key into the hub in memory.
fn restore_states(hub: &LocalHub, store: &Store) -> Result<(), DiskError> {
    store.forget_states()?;
    let mut states = store.states()?;
    loop {
        let events = store.next_states(&mut states, STATES)?;
        if events.is_empty() {
            return Ok(());
        }
        for event in events {
            if let Record::Event { sequence, topic, event, .. } = event {
                let restored = hub.restore_newest(&topic, sequence, event);
                restored.map_err(|ExceededLimit { setting, value }| DiskError::StateTooLarge {
                    topic,
                    setting,
                    value,
                })?;
            }
        }
    }
}
