//! The hub on disk beside a bare file, in one run: publishes a second, catch-up, open, bytes on disk. Times hold for this
//! machine and this run. `cargo bench --features full,disk --bench disk`. With a number as argument: only the history, of as many events.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tidings::disk::{DiskHub, Durability};
use tidings::subscriber::Delivery;
use tidings::{Event, LocalHub, Retention, Start, Subscribe, Subscriber, Topic};
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

const PAYLOAD: usize = 128;
/// Bytes of the bare file for an event: the payload and two numbers.
const PLAIN: usize = PAYLOAD + 16;
const ROUNDS: usize = 21;
/// Topics of the publishes, and of the history.
const TOPICS: (usize, usize) = (100, 10);
const IN_FLIGHT: usize = 1_024;
const CATCH_UP: u64 = 100_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let events = arguments.find_map(|argument| argument.parse().ok());
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    if events.is_none() {
        println!("{PAYLOAD} random bytes an event; medians of {ROUNDS} rounds; load of the machine: {}\n", load());
        println!(
            "| in flight | bare file, events/s | hub, events/s | ratio | p50 of a sync | p50 of a publish | CPU of an event, file and hub |"
        );
        println!("|---|---|---|---|---|---|---|");
        for (in_flight, writes) in [(1, 200), (64, 100), (IN_FLIGHT, 40)] {
            publishes(&runtime, in_flight, writes, everything());
        }
        println!("\nthe same with a retention of 1,000 events a topic");
        publishes(&runtime, IN_FLIGHT, 40, Retention::count(1_000));
    }
    println!("\nload of the machine: {}", load());
    history(&runtime, events.unwrap_or(1_000_000));
    println!("load of the machine: {}", load());
}

fn everything() -> Retention {
    Retention::count(usize::MAX).bytes(usize::MAX)
}

/// Directory that is removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tidings-bench-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    fn open(&self, retention: Retention) -> DiskHub {
        // The hub in memory has little, so that the events come from the disk.
        let memory = LocalHub::builder().retain(Retention::count(16)).live_buffer(0);
        let hub = DiskHub::builder(&self.0).retain(retention).max_bytes(u64::MAX).durability(Durability::Synced);
        hub.memory(memory).open().expect("an open hub")
    }

    fn files(&self) -> Vec<PathBuf> {
        let (mut found, mut left) = (Vec::new(), vec![self.0.clone()]);
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(directory).expect("a directory").flatten() {
                if entry.path().is_dir() { left.push(entry.path()) } else { found.push(entry.path()) }
            }
        }
        found
    }

    /// Returns the space of the files on disk.
    fn space(&self) -> u64 {
        let space = |path: &PathBuf| fs::metadata(path).map(|file| blocks(&file)).unwrap_or(0);
        self.files().iter().map(space).sum()
    }
}

#[cfg(unix)]
fn blocks(file: &fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    file.blocks() * 512
}

#[cfg(not(unix))]
fn blocks(file: &fs::Metadata) -> u64 {
    file.len()
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Topics and payloads.
struct Source {
    topics: Vec<Topic>,
    payloads: Vec<u8>,
}

impl Source {
    fn new(topics: usize) -> Rc<Self> {
        let topics = (0..topics).map(|number| Topic::new(format!("topic/{number}")).expect("a topic")).collect();
        let mut random = fastrand::Rng::with_seed(1);
        Rc::new(Self { topics, payloads: std::iter::repeat_with(|| random.u8(..)).take(1 << 20).collect() })
    }

    fn next(&self) -> (&Topic, Event) {
        let start = fastrand::usize(..self.payloads.len() - PAYLOAD);
        let payload = self.payloads[start..start + PAYLOAD].to_vec();
        (&self.topics[fastrand::usize(..self.topics.len())], Event::binary(payload))
    }
}

/// Publishes a number of events, with at most `in_flight` of them not acknowledged. Returns the times of the publishes.
fn publish(runtime: &Runtime, hub: &DiskHub, source: &Rc<Source>, in_flight: usize, count: usize) -> Vec<Duration> {
    let tasks = LocalSet::new();
    let publishers = (0..in_flight).map(|_| {
        let (hub, source) = (hub.clone(), Rc::clone(source));
        tasks.spawn_local(async move {
            let mut times = Vec::new();
            for _ in 0..count / in_flight {
                let (topic, event) = source.next();
                let start = Instant::now();
                hub.publish(topic, event).await.expect("a published event");
                times.push(start.elapsed());
            }
            times
        })
    });
    let publishers = publishers.collect::<Vec<_>>();
    let mut times = Vec::new();
    tasks.block_on(runtime, async {
        for publisher in publishers {
            times.extend(publisher.await.expect("a task"));
        }
    });
    times
}

fn median<T: Copy + PartialOrd>(mut values: Vec<T>) -> T {
    values.sort_by(|one, other| one.partial_cmp(other).expect("a number"));
    values[values.len() / 2]
}

fn publishes(runtime: &Runtime, in_flight: usize, writes: usize, retention: Retention) {
    let (directory, plain) = (Directory::new("hub"), Directory::new("plain"));
    let hub = directory.open(retention);
    let source = Source::new(TOPICS.0);
    let mut file = File::create(plain.0.join("log")).expect("a file");
    let bytes = source.payloads.iter().copied().cycle().take(in_flight * PLAIN).collect::<Vec<_>>();
    let count = in_flight * writes;
    let (mut of_file, mut of_hub, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut syncs, mut times, mut cpu) = (Vec::new(), Vec::new(), [Duration::ZERO; 2]);
    publish(runtime, &hub, &source, in_flight, count);
    for _ in 0..ROUNDS {
        let (before, start) = (cpu_time(), Instant::now());
        for _ in 0..writes {
            let start = Instant::now();
            file.write_all(&bytes).and_then(|()| file.sync_data()).expect("a synced file");
            syncs.push(start.elapsed());
        }
        let bare = count as f64 / start.elapsed().as_secs_f64();
        cpu[0] += cpu_time().saturating_sub(before);
        let (before, start) = (cpu_time(), Instant::now());
        times.extend(publish(runtime, &hub, &source, in_flight, count));
        let stored = count as f64 / start.elapsed().as_secs_f64();
        cpu[1] += cpu_time().saturating_sub(before);
        of_file.push(bare);
        of_hub.push(stored);
        ratios.push(stored / bare);
    }
    println!(
        "| {in_flight} | {:.0} | {:.0} | {:.2} | {:.0?} | {:.0?} | {:.2?}, {:.2?} |",
        median(of_file),
        median(of_hub),
        median(ratios),
        median(syncs),
        median(times),
        cpu[0] / (ROUNDS * count) as u32,
        cpu[1] / (ROUNDS * count) as u32
    );
    hub.close();
}

/// Returns the time of a subscription from its begin to its last event.
fn read(runtime: &Runtime, hub: &DiskHub, what: Subscribe, events: u64) -> Duration {
    let (took, ()) = time(|| {
        let mut subscription = hub.subscribe(what).expect("a subscription");
        let mut count = 0;
        while count < events {
            match runtime.block_on(std::future::poll_fn(|cx| subscription.poll_next(cx))) {
                Delivery::Events(batch) => count += batch.iter().count() as u64,
                other => unreachable!("{other:?} after {count} events"),
            }
        }
    });
    took
}

fn time<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed(), result)
}

/// Writes a history, reads it, opens it, and removes a part of it.
fn history(runtime: &Runtime, events: u64) {
    let (directory, killed) = (Directory::new("history"), Directory::new("killed"));
    let source = Source::new(TOPICS.1);
    let hub = directory.open(everything());
    // One topic has a tenth.
    let of_topic = events / TOPICS.1 as u64 * 9 / 10;
    let (written, _) = time(|| publish(runtime, &hub, &source, IN_FLIGHT, (events - CATCH_UP) as usize));
    let middle = hub.cursor();
    publish(runtime, &hub, &source, IN_FLIGHT, CATCH_UP as usize);
    println!("history of {events} events in {} topics, written in {written:.1?}", TOPICS.1);
    let catch_up = |hub: &DiskHub, when: &str| {
        let one = Subscribe::topics([&source.topics[3]]).start(Start::Oldest);
        let one = read(runtime, hub, one, of_topic.min(CATCH_UP));
        let all = Subscribe::patterns(["**"]).start(Start::After(middle));
        let all = read(runtime, hub, all, CATCH_UP - CATCH_UP % IN_FLIGHT as u64);
        println!(
            "catch-up {when}: {} of one topic {one:.1?}, {CATCH_UP} of all topics {all:.1?}",
            of_topic.min(CATCH_UP)
        );
    };
    catch_up(&hub, "while open");
    copy_killed(&directory, &killed);
    let (closed, ()) = time(|| hub.close());
    drop(hub);
    let (clean, hub) = time(|| directory.open(everything()));
    let (after_kill, other) = time(|| killed.open(everything()));
    drop((other, killed));
    println!("open {clean:.1?}, after a kill {after_kill:.1?}; close {closed:.1?}");
    catch_up(&hub, "after open");
    drop(hub);
    let payload = |events: u64| (events * PAYLOAD as u64) as f64;
    println!("bytes on disk for a byte of payload: {:.2}", directory.space() as f64 / payload(events));

    // A quarter of the events is retained, then as many are written again.
    let retained = events / TOPICS.1 as u64 / 4;
    let hub = directory.open(Retention::count(retained as usize).bytes(usize::MAX));
    publish(runtime, &hub, &source, IN_FLIGHT, events as usize);
    // fjall merges tables in threads of its own.
    std::thread::sleep(Duration::from_secs(2));
    hub.close();
    let retained = retained * TOPICS.1 as u64;
    println!("{retained} events retained after rewriting: {:.2}", directory.space() as f64 / payload(retained));
}

/// Copies the directory of an open hub. A copy during which fjall changed files is of no one time, and is repeated.
fn copy_killed(from: &Directory, to: &Directory) {
    let versions = || {
        let mut files = from.files();
        files.sort();
        let version = |path: PathBuf| {
            let file = fs::metadata(&path).and_then(|file| Ok((file.len(), file.modified()?))).ok();
            (path, file)
        };
        files.into_iter().map(version).collect::<Vec<_>>()
    };
    loop {
        let before = versions();
        let copied = copy(&from.0, &to.0);
        if copied.is_ok() && versions() == before {
            return;
        }
        fs::remove_dir_all(&to.0).expect("a removed directory");
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.path().is_dir() { copy(&entry.path(), &to)? } else { fs::copy(entry.path(), to).map(drop)? }
    }
    Ok(())
}

/// Returns the CPU time of the process, or zero if the system does not show it.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split(' ');
    let ticks: u64 = fields.skip(12).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown").to_owned()
}
