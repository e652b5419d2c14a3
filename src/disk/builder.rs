use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::disk::commands::{QueueLimits, commands};
use crate::disk::hub::{DiskHub, Handle, Threads};
use crate::disk::reader::{DiskHistory, DiskReader};
use crate::disk::run_topics::RunTopics;
use crate::disk::stats::Failures;
use crate::disk::store::{DiskError, Durability, Record, Store, StoreOptions};
use crate::disk::writer::DiskWriter;
use crate::engine::shared_reads::SharedReads;
use crate::engine::start::KnownEpochs;
use crate::hub::{ExceededLimit, LocalHub, LocalHubBuilder, Retentions, epoch_now};
#[cfg(doc)]
use crate::model::EndReason;
use crate::model::{Pattern, PatternError, Retention};

/// Publishes that wait for the writer.
const WRITES: QueueLimits = QueueLimits { commands: 65_536, bytes: 64 << 20 };
/// Reads that wait for the reader. Each subscription waits for at most one.
const READS: QueueLimits = QueueLimits { commands: usize::MAX, bytes: usize::MAX };
/// Number of events of states that are read at once when the store is opened.
const STATES: usize = 1_024;

/// Builder of a [`DiskHub`].
///
/// ```
/// use tidings::disk::{DiskHub, Durability};
/// use tidings::{LocalHub, Retention};
///
/// # let directory = std::env::temp_dir().join(format!("tidings-doc-builder-{}", std::process::id()));
/// # let path = &directory;
/// let hub = DiskHub::builder(path)
///     .retain(Retention::count(100_000).bytes(64 << 20))
///     .retain_for("cars/**", Retention::latest_per_key())
///     .max_bytes(4 << 30)
///     .durability(Durability::Written)
///     .memory(LocalHub::builder().max_bytes(64 << 20))
///     .open()?;
/// # hub.close();
/// # std::fs::remove_dir_all(&directory).ok();
/// # Ok::<(), tidings::disk::DiskError>(())
/// ```
///
/// | setting | unit | default |
/// |---|---|---|
/// | [`retain`](Self::retain), [`retain_for`](Self::retain_for) | events, bytes and age of each topic on disk | 1,000 events, 1 MiB, 1 hour |
/// | [`max_bytes`](Self::max_bytes) | bytes of all topics on disk | 1 GiB |
/// | [`durability`](Self::durability) | time at which a publish returns | [`Durability::Synced`] |
/// | [`runs`](Self::runs) | topics of [`Runs`](crate::runs::Runs) | none |
/// | [`memory`](Self::memory) | hub in memory: the newest events, and the states of keyed topics | [`LocalHub::builder`] |
#[derive(Debug)]
#[must_use = "a builder does nothing until `open` is called"]
pub struct DiskHubBuilder {
    path: PathBuf,
    memory: LocalHubBuilder,
    retentions: Retentions,
    runs: Vec<Pattern>,
    options: StoreOptions,
}

impl DiskHubBuilder {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            memory: LocalHub::builder(),
            retentions: Retentions::default(),
            runs: Vec::new(),
            options: StoreOptions::default(),
        }
    }

    /// Sets the retention on disk of each topic that no [`retain_for`](Self::retain_for) matches. Default: 1,000 events, 1 MiB, 1
    /// hour. The writer removes events that exceed it in the background, at the latest half a second after its last write.
    ///
    /// It also decides whether the topics [keep the newest event of each key](Retention::latest_per_key), on disk and in memory. A
    /// topic that gets a state later begins with an empty one: events from before are not in it.
    pub fn retain(mut self, retention: Retention) -> Self {
        self.retentions.otherwise(retention);
        self
    }

    /// Sets the retention on disk of the topics that match this topic or [`Pattern`], as
    /// [`LocalHubBuilder::retain_for`] does in memory: the narrowest that matches applies, in any order of the calls.
    ///
    /// # Panics
    ///
    /// Panics if the text is not a pattern.
    pub fn retain_for<P>(mut self, pattern: P, retention: Retention) -> Self
    where
        P: TryInto<Pattern>,
        PatternError: From<P::Error>,
    {
        self.retentions.set(pattern_of("retain_for", pattern), retention);
        self
    }

    /// Sets the maximum sum of the stored events, in bytes. Above it the oldest events of all topics are removed, in the background.
    /// Default: 1 GiB. While files are compacted, the directory may use twice as much.
    ///
    /// States of keyed topics do not count, and are not removed. Their limits are those of [`Retention::latest_per_key`] and of the
    /// hub in memory.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.options.max_bytes = bytes;
        self
    }

    /// Sets the time at which a publish returns, and subscribers get the event. Default: [`Durability::Synced`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.options.durability = durability;
        self
    }

    /// Sets the hub in memory: the maximum size of an event, the clock, the limits of memory, and the history that is read without
    /// an access to the disk. Default: [`LocalHub::builder`], with 1,000 events and 1 MiB of each topic in at most 256 MiB.
    ///
    /// A retention of this builder limits memory only. It must have no state: which topics have one is set by
    /// [`retain_for`](Self::retain_for), and their states are in memory, too.
    pub fn memory(self, memory: LocalHubBuilder) -> Self {
        Self { memory, ..self }
    }

    /// Sets the topics of [`Runs`](crate::runs::Runs): those that match this topic or [`Pattern`]. Default: none.
    ///
    /// - Their events are kept until the runs drop them, within [`max_bytes`](Self::max_bytes). A
    ///   [`retain_for`](Self::retain_for) of a narrower pattern precedes that. It may not be
    ///   [`latest_per_key`](Retention::latest_per_key).
    /// - Topics without an end end with the reason [`Failed`](EndReason::Failed) when the directory is opened: the task that
    ///   published to them has ended with its process, and their readers would wait for ever. A client that resumes gets the
    ///   events after its cursor, and then the end.
    ///
    /// Publish nothing else to these topics.
    ///
    /// # Panics
    ///
    /// Panics if the text is not a pattern.
    pub fn runs<P>(mut self, pattern: P) -> Self
    where
        P: TryInto<Pattern>,
        PatternError: From<P::Error>,
    {
        let pattern = pattern_of("runs", pattern);
        self.retentions.set(pattern.clone(), Retention::count(usize::MAX).bytes(usize::MAX).age(Duration::MAX));
        self.runs.push(pattern);
        self
    }

    /// Opens the directory, or creates it. Blocks until that is done: the states of keyed topics are read, and no other events.
    ///
    /// # Errors
    ///
    /// - [`DiskError::Settings`] if settings contradict each other, or are not possible.
    /// - [`DiskError::InUse`] if the directory is open, in this or another process.
    /// - [`DiskError::Damaged`] if files are damaged or missing.
    /// - [`DiskError::StateTooLarge`] if the state of a topic exceeds a limit that was lowered.
    /// - [`DiskError::Full`], [`DiskError::ReadOnly`] and [`DiskError::Io`] if the directory cannot be written or read.
    pub fn open(self) -> Result<DiskHub, DiskError> {
        let Self { path, memory, retentions, runs, mut options } = self;
        let memory = memory.with_states_of(&retentions).map_err(|name| {
            let text = "the hub in memory has a retention with a state for";
            DiskError::Settings(format!("{text} `{name}`: set it by `DiskHubBuilder::retain_for` or `retain`"))
        })?;
        if options.max_bytes == 0 {
            return Err(DiskError::Settings("`DiskHubBuilder::max_bytes` is 0: no event could be kept".to_owned()));
        }
        if let Some(name) = runs.iter().find_map(|pattern| retentions.keyed_in(pattern)) {
            let text = "topics of `DiskHubBuilder::runs` may not keep the newest event of each key, as";
            return Err(DiskError::Settings(format!("{text} `DiskHubBuilder::retain_for` of `{name}` does")));
        }
        let retentions = Arc::new(retentions);
        options.retention = Arc::new(move |topic| Retention::clone(&retentions.of(topic)));
        let (store, opened) = Store::open(&path, &options, epoch_now())?;
        let store = Arc::new(store);
        let mut earlier = opened.epochs;
        let epoch = earlier.pop().map_or(0, |(epoch, _)| epoch);
        let epochs = KnownEpochs { earlier };
        let runs = RunTopics::open(&store, runs, |sequence| epochs.cursor(sequence, epoch))?;
        let base = store.head();
        let hub = memory.build_at(epoch, base);
        restore_states(&hub, &store)?;
        for end in store.ends()? {
            if let Record::End { sequence, topic, reason, .. } = end {
                hub.restore_end(&topic, sequence, reason);
            }
        }
        let failures = Arc::<Failures>::default();
        let (writes, queue) = commands(WRITES);
        let writer = DiskWriter::new(hub.clone(), Arc::clone(&store), queue, Arc::clone(&failures));
        let (reads, queue) = commands(READS);
        let reader = DiskReader { store: Arc::clone(&store), queue };
        let reads = Arc::new(DiskHistory(reads));
        let reader = thread::Builder::new().name("tidings-reader".to_owned()).spawn(|| reader.run())?;
        let writer = thread::Builder::new().name("tidings-writer".to_owned()).spawn(|| writer.run())?;
        Ok(DiskHub::new(Handle {
            hub,
            store,
            history: Arc::new(SharedReads::new(Arc::clone(&reads) as _)),
            epochs,
            epoch,
            runs,
            base,
            lost: opened.lost,
            failures,
            writes,
            reads,
            thread_ids: [writer.thread().id(), reader.thread().id()],
            threads: Mutex::new(Some(Threads { writer, reader })),
        }))
    }
}

/// Returns the pattern of a text.
fn pattern_of<P>(method: &str, pattern: P) -> Pattern
where
    P: TryInto<Pattern>,
    PatternError: From<P::Error>,
{
    match pattern.try_into().map_err(PatternError::from) {
        Ok(pattern) => pattern,
        #[expect(clippy::panic, reason = "documented: the text is one of the program")]
        Err(why) => panic!("{method} takes a topic or a pattern: {why}"),
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
