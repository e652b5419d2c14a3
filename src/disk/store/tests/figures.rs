//! Speeds and sizes beside a bare file. `TIDINGS_DISK_FIGURES=1` with `--release` measures; without it few events are
//! written.

use std::fs::{self, File};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::support::{Directory, files, topic};
use crate::disk::store::{Durability, Limit, Record, Store, StoreOptions};
use crate::model::{Event, Retention};
use crate::time::{Clock, StdClock};

const PAYLOAD: usize = 128;

fn options(count: usize) -> StoreOptions {
    StoreOptions {
        durability: Durability::Synced,
        retention: Arc::new(move |_| Retention::count(count).bytes(usize::MAX)),
        max_bytes: u64::MAX,
        ..StoreOptions::default()
    }
}

fn time<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = StdClock.now();
    let result = work();
    (StdClock.now() - start, result)
}

struct Source {
    random: fastrand::Rng,
    topics: Vec<crate::model::Topic>,
    next: u64,
}

impl Source {
    fn new(topics: usize) -> Self {
        let topics = (0..topics).map(|number| topic(&format!("topic/{number}"))).collect();
        Self { random: fastrand::Rng::with_seed(1), topics, next: 1 }
    }

    fn batch(&mut self, size: usize) -> Vec<Record> {
        let records = std::iter::repeat_with(|| {
            let payload = std::iter::repeat_with(|| self.random.u8(..)).take(PAYLOAD).collect::<Bytes>();
            let topic = self.topics[self.random.usize(..self.topics.len())].clone();
            let sequence = self.next;
            self.next += 1;
            Record::Event { sequence, topic, at: 1_800_000_000_000 + sequence, event: Event::binary(payload) }
        });
        records.take(size).collect()
    }
}

/// Returns the space that the files take.
fn on_disk(directory: &Directory) -> u64 {
    use std::os::unix::fs::MetadataExt;
    files(&directory.0).iter().filter_map(|path| fs::metadata(path).ok()).map(|file| file.blocks() * 512).sum()
}

fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

#[test]
fn speeds_and_sizes_are_printed() {
    let is_full = std::env::var_os("TIDINGS_DISK_FIGURES").is_some();
    let scale = if is_full { 1 } else { 100 };
    println!("128 random bytes an event, 100 topics, each write synced");
    println!("| events a write | bare file, events/s | store, events/s | ratio |");
    println!("|---|---|---|---|");
    for (size, writes) in [(1, 4_000), (64, 2_000), (1_024, 1_000)] {
        let writes = writes / scale;
        // The two alternate, so that both meet the same state of the machine.
        let (mut bare, mut stored) = (Duration::ZERO, Duration::ZERO);
        let (directory, plain) = (Directory::new(), Directory::new());
        let (store, _) = Store::open(&directory.0, &options(usize::MAX), 1).unwrap();
        fs::create_dir_all(&plain.0).unwrap();
        let mut file = File::create(plain.0.join("log")).unwrap();
        let mut source = Source::new(100);
        for _ in 0..10 {
            for _ in 0..writes / 10 {
                let bytes = vec![7; size * (PAYLOAD + 16)];
                bare += time(|| file.write_all(&bytes).and_then(|()| file.sync_data()).unwrap()).0;
            }
            for _ in 0..writes / 10 {
                let batch = source.batch(size);
                stored += time(|| store.write(&batch).unwrap()).0;
            }
        }
        let (bare, stored) = (per_second(size * writes, bare), per_second(size * writes, stored));
        println!("| {size} | {bare:.0} | {stored:.0} | {:.2} |", stored / bare);
    }

    let count = 1_000_000 / scale;
    let directory = Directory::new();
    let (store, _) = Store::open(&directory.0, &options(usize::MAX), 1).unwrap();
    let mut source = Source::new(10);
    for _ in 0..count.div_ceil(1_000) {
        store.write(&source.batch(1_000)).unwrap();
    }
    let wanted = count / 10;
    let limit = Limit { events: 1_000, bytes: 1 << 20 };
    let last = source.next - 1;
    let catch_up = |store: &Store| {
        let mut read = 0;
        let (took, ()) = time(|| {
            let mut after = 0;
            loop {
                let page = store.read(&topic("topic/3"), after, last, limit).unwrap();
                read += page.records.len();
                after = page.up_to;
                if !page.has_more {
                    break;
                }
            }
        });
        format!("{read} events in {took:.1?}")
    };
    let all = |store: &Store| {
        let mut read = 0;
        let (took, ()) = time(|| {
            let mut after = last - wanted as u64;
            while after < last {
                let page = store.read_all(after, last, limit, |_| true).unwrap();
                read += page.records.len();
                after = page.up_to;
            }
        });
        format!("{read} events in {took:.1?}")
    };
    println!("catch-up of one topic of ten: {}, again {}", catch_up(&store), catch_up(&store));
    println!("catch-up of all topics: {}, again {}", all(&store), all(&store));
    let killed = Directory::new();
    super::support::copy(&directory.0, &killed.0);
    let (closed, ()) = time(|| store.close().unwrap());
    let (clean, (store, _)) = time(|| Store::open(&directory.0, &options(usize::MAX), 2).unwrap());
    let (after_kill, _) = time(|| Store::open(&killed.0, &options(usize::MAX), 2).unwrap());
    println!("{count} events: open {clean:.1?}, after a kill {after_kill:.1?}, close {closed:.1?}");
    println!("catch-up of one topic after open: {}", catch_up(&store));
    let payload = (source.next - 1) * PAYLOAD as u64;
    println!("bytes on disk for a byte of payload: {:.2}", on_disk(&directory) as f64 / payload as f64);
    drop(store);

    // A quarter of the events is retained, then as many are written again.
    let retained = count / 40;
    let (store, _) = Store::open(&directory.0, &options(retained), 3).unwrap();
    let (trimmed, ()) = time(|| while store.trim(0, 10_000).unwrap() {});
    println!("trim of {} events: {trimmed:.1?}", count - 10 * retained);
    for _ in 0..count.div_ceil(1_000) {
        store.write(&source.batch(1_000)).unwrap();
        while store.trim(0, 10_000).unwrap() {}
    }
    store.close().unwrap();
    drop(store);
    let (open, (store, _)) = time(|| Store::open(&directory.0, &options(retained), 4).unwrap());
    let payload = (10 * retained * PAYLOAD) as f64;
    let tables = store.disk_space().unwrap();
    println!(
        "{} events retained after rewriting: open {open:.1?}, tables {:.2}, all files {:.2} bytes a byte",
        10 * retained,
        tables as f64 / payload,
        on_disk(&directory) as f64 / payload
    );
    assert_eq!(store.head(), source.next - 1);
}
