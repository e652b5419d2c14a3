//! Measures the hub on several threads: publishers that share a sequencer or do not, readers beside them, and wakes of
//! many readers. `cargo bench --features full --bench threads`, or `-- publishers`, `readers`, `wakes` or `floods` for
//! one of
//! these. Times hold for this machine and this run: compare within one run only.

#[allow(dead_code, reason = "the other benches use the rest")]
mod scenarios;

use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use scenarios::hub::Plain;
use tidings::subscriber::EncodedDelivery;
use tidings::{Event, LocalHub, Subscribe, Subscriber, Subscription, Topic};

const ROUNDS: usize = 5;
const PUBLISHES: usize = 200_000;
/// Subscribers of all reader threads together, and bursts that they read.
const SUBSCRIBERS: usize = 1_000;
const BURSTS: usize = 300;

fn main() {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let wanted: Vec<_> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    println!("{cores} cores; median of {ROUNDS} interleaved rounds");
    if is_wanted("publishers") {
        publishers(cores);
    }
    if is_wanted("readers") {
        readers(cores);
    }
    if is_wanted("wakes") {
        wakes();
    }
    if is_wanted("floods") {
        floods();
    }
}

/// Prints the longest publish of another publisher while two threads flood the hub with tiny topics. CPU time leaves
/// out
/// the time for which the system ran other threads.
fn floods() {
    const EACH: usize = 300_000;
    let hub = LocalHub::new();
    let running = AtomicBool::new(true);
    let (mut wall, mut used) = (Vec::new(), 0.0_f64);
    thread::scope(|scope| {
        let flood = |thread: usize| {
            for n in 0..EACH {
                let name = Topic::new(format!("flood/{thread}/{n}")).expect("valid");
                hub.publish_now(&name, "x").expect("open");
            }
        };
        let other = scope.spawn(|| {
            while running.load(Ordering::Relaxed) {
                let (begun, before) = (Instant::now(), cpu());
                hub.publish_now(topic(0), event()).expect("open");
                wall.push(begun.elapsed());
                used = used.max(cpu() - before);
                thread::sleep(Duration::from_micros(500));
            }
        });
        let floods = [0, 1].map(|thread| scope.spawn(move || flood(thread)));
        floods.into_iter().for_each(|flood| flood.join().expect("no panic"));
        running.store(false, Ordering::Relaxed);
        other.join().expect("no panic");
    });
    wall.sort_unstable();
    let at = |part: usize| wall[(wall.len() - 1) * part / 1_000].as_secs_f64() * 1_000.0;
    println!("\na publish of another topic while two threads publish to {EACH} new topics each");
    println!("{:>10}  {:>12}  {:>12}  {:>12}  {:>12}", "publishes", "p50 ms", "p99.9 ms", "worst ms", "worst CPU ms");
    println!("{:>10}  {:>12.3}  {:>12.3}  {:>12.3}  {:>12.3}", wall.len(), at(500), at(999), at(1_000), used / 1e6);
}

/// Objects that publishers on several threads share.
#[derive(Debug, Clone, Copy)]
enum Common {
    Nothing,
    Hub,
    Topic,
}

fn publishers(cores: usize) {
    println!("\npublishes of {PUBLISHES} events a thread, no subscribers");
    println!(
        "{:>8}  {:<12}  {:>12}  {:>14}  {:>10}",
        "threads", "share", "publishes/s", "CPU ns/publish", "to own hub"
    );
    for threads in 1..=cores.max(4) {
        let all = [Common::Nothing, Common::Hub, Common::Topic];
        let mut costs = [const { Vec::new() }; 3];
        for _ in 0..ROUNDS {
            for (costs, common) in costs.iter_mut().zip(all) {
                costs.push(publish(threads, common));
            }
        }
        let costs = costs.map(Cost::median);
        for (cost, common) in costs.iter().zip(all) {
            println!(
                "{threads:>8}  {:<12}  {:>12.0}  {:>14.0}  {:>9.2}x",
                match common {
                    Common::Nothing => "nothing",
                    Common::Hub => "a hub",
                    Common::Topic => "a topic",
                },
                cost.rate,
                cost.cpu,
                cost.rate / costs[0].rate,
            );
        }
    }
}

fn publish(threads: usize, common: Common) -> Cost {
    let shared = LocalHub::new();
    let work = (0..threads).map(|n| {
        let (hub, name) = match common {
            Common::Nothing => (LocalHub::new(), n),
            Common::Hub => (shared.clone(), n),
            Common::Topic => (shared.clone(), 0),
        };
        let topic = topic(name);
        move || (0..PUBLISHES).for_each(|_| drop(hub.publish_now(&topic, event()).map(drop)))
    });
    Cost::of(work.collect(), threads * PUBLISHES)
}

fn readers(cores: usize) {
    println!("\n{SUBSCRIBERS} subscribers of one topic, encoded; one publisher, bursts as fast as they are read");
    println!("{:>8}  {:>5}  {:>12}  {:>15}", "readers", "burst", "deliveries/s", "CPU ns/delivery");
    for burst in [1, 10, 100] {
        for threads in 1..=cores {
            let cost = Cost::median((0..ROUNDS).map(|_| read(threads, burst)).collect());
            println!("{threads:>8}  {burst:>5}  {:>12.0}  {:>15.1}", cost.rate, cost.cpu);
        }
    }
}

/// Readers on several threads, and a publisher that publishes the next burst when all have read the last one.
fn read(threads: usize, burst: usize) -> Cost {
    let (hub, topic, share) = (LocalHub::new(), topic(0), SUBSCRIBERS / threads);
    let turn = Barrier::new(threads + 1);
    let work = (0..=threads).map(|n| {
        let count = if n < threads { share } else { 0 };
        let subscribe = |_| hub.subscribe(Subscribe::topics([&topic])).expect("open");
        let mut all: Vec<_> = (0..count).map(subscribe).collect();
        let (hub, topic, turn) = (&hub, &topic, &turn);
        move || {
            for _ in 0..BURSTS {
                let mut read = || all.iter_mut().map(|one| drain(one, Waker::noop())).sum::<usize>();
                read();
                turn.wait();
                if count == 0 {
                    (0..burst).for_each(|_| drop(hub.publish_now(topic, event()).map(drop)));
                }
                turn.wait();
                assert_eq!(read(), count * burst);
            }
        }
    });
    Cost::of(work.collect(), BURSTS * burst * share * threads)
}

/// Publishes with many waiting subscribers: prints the time of the publish and the cost of each wake.
fn wakes() {
    println!("\na publish to a topic that so many wait for");
    println!(
        "{:>8}  {:<8}  {:>14}  {:>14}  {:>12}",
        "waiting", "notifier", "p50 us, cold", "p50 us, warm", "ns per wake"
    );
    for (parked, with) in [1_000, 10_000, 100_000].into_iter().flat_map(|parked| [(parked, false), (parked, true)]) {
        let (hub, topic, other) = (LocalHub::new(), topic(0), topic(1));
        let mut notifier = if with { hub.notifier() } else { None };
        let subscribe = |_| (hub.subscribe(Subscribe::topics([&topic])).expect("open"), flag());
        let mut all: Vec<_> = (0..parked).map(subscribe).collect();
        let rounds = (3_000_000 / parked).clamp(31, 501);
        let (mut publishes, mut wakes, own) = ([Vec::new(), Vec::new()], Vec::new(), flag());
        for round in 0..2 * rounds {
            for (one, flag) in &mut all {
                drain(one, &Waker::from(Arc::clone(flag)));
            }
            // The subscribers have evicted the hub from this core's caches. Another publish loads it again.
            let is_warm = round % 2 == 1;
            if is_warm {
                hub.publish_now(&other, event()).expect("open");
            }
            let begun = Instant::now();
            hub.publish_now(&topic, event()).expect("open");
            publishes[usize::from(is_warm)].push(begun.elapsed());
            while let Some(notifier) = &mut notifier {
                let polled = Pin::new(notifier).poll(&mut Context::from_waker(&Waker::from(Arc::clone(&own))));
                assert!(polled.is_pending());
                if !own.0.swap(false, Ordering::Relaxed) {
                    break;
                }
            }
            wakes.push(begun.elapsed());
            assert!(all.iter().all(|(_, flag)| flag.0.swap(false, Ordering::Relaxed)), "all were woken");
        }
        let median = |mut times: Vec<Duration>| {
            times.sort_unstable();
            times[times.len() / 2].as_nanos() as f64
        };
        let ([cold, warm], wake) = (publishes.map(|times| median(times) / 1_000.0), median(wakes) / parked as f64);
        println!("{parked:>8}  {:<8}  {cold:>14.2}  {warm:>14.2}  {wake:>12.1}", if with { "yes" } else { "no" });
    }
}

/// Reads everything that is ready, and registers for more. Returns the number of events.
fn drain(subscription: &mut Subscription, waker: &Waker) -> usize {
    let mut events = 0;
    while let Poll::Ready(EncodedDelivery::Events(encoding)) =
        subscription.poll_encoded(&mut Context::from_waker(waker), &Plain, 64 * 1024)
    {
        events += black_box(encoding).events as usize;
    }
    events
}

fn topic(n: usize) -> Topic {
    Topic::new(format!("bench/{n}")).expect("valid")
}

fn event() -> Event {
    Event::binary(Bytes::from_static(&[b'x'; 100]))
}

/// Set when the task was woken.
struct Flag(AtomicBool);

fn flag() -> Arc<Flag> {
    Arc::new(Flag(AtomicBool::new(false)))
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Cost of an operation on several threads.
#[derive(Debug, Clone, Copy)]
struct Cost {
    /// Operations in a second of wall time.
    rate: f64,
    /// Nanoseconds of CPU time per operation; NaN if the system does not report it.
    cpu: f64,
}

impl Cost {
    /// Returns the cost of these operations, each part on a thread of its own.
    fn of<W: FnOnce() + Send>(work: Vec<W>, operations: usize) -> Self {
        let start = Barrier::new(work.len() + 1);
        thread::scope(|scope| {
            let threads: Vec<_> = work
                .into_iter()
                .map(|work| {
                    scope.spawn(|| {
                        start.wait();
                        let before = cpu();
                        work();
                        cpu() - before
                    })
                })
                .collect();
            start.wait();
            let begun = Instant::now();
            let cpu: f64 = threads.into_iter().map(|thread| thread.join().expect("no panic")).sum();
            Self { rate: operations as f64 / begun.elapsed().as_secs_f64(), cpu: cpu / operations as f64 }
        })
    }

    /// Returns the run with the median rate.
    fn median(mut costs: Vec<Self>) -> Self {
        costs.sort_by(|a, b| a.rate.total_cmp(&b.rate));
        costs[costs.len() / 2]
    }
}

/// Returns the nanoseconds for which this thread ran, by the scheduler's count.
fn cpu() -> f64 {
    let counts = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    counts.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or(f64::NAN)
}
