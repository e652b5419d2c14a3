//! Wall time of a hundred rounds of each scenario, with the delivered events a second. `cargo bench --features full
//! --bench speed`. Times hold for this machine and this run: compare within one run only.

#[allow(dead_code, reason = "the other benches use the rest")]
mod scenarios;

use divan::Bencher;
use divan::counter::ItemsCount;

const ROUNDS: usize = 100;

fn main() {
    divan::main();
}

#[divan::bench(args = scenarios::NAMES, consts = [1, 10, 100], sample_count = 7, sample_size = 1)]
fn scenario<const BURST: usize>(bencher: Bencher<'_, '_>, name: &str) {
    let deliveries = scenarios::run(name, BURST, 1).unwrap_or_default() * ROUNDS;
    bencher.counter(ItemsCount::new(deliveries)).bench(|| scenarios::run(name, BURST, ROUNDS));
}

/// Publishes to each of this many topics in turn, with the hub's budget exhausted or unused.
#[divan::bench(args = [1, 1_000, 100_000], consts = [false, true])]
fn publish<const SPENT: bool>(bencher: Bencher<'_, '_>, topics: usize) {
    let mut publish = scenarios::hub::publisher(topics, SPENT);
    bencher.bench_local(|| (0..1_000).for_each(|_| publish()));
}

/// A thousand sessions begin and end. With presence, that is two thousand changes.
#[divan::bench(consts = [false, true])]
fn sessions<const PRESENT: bool>(bencher: Bencher<'_, '_>) {
    let mut crowd = scenarios::presence::Crowd::new(PRESENT);
    bencher.counter(ItemsCount::new(scenarios::presence::SESSIONS)).bench_local(|| crowd.round());
}
