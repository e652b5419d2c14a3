//! The races of the hub, each explored over its interleavings. Run with
//! `RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=3 cargo test --release --test loom`.
#![cfg(loom)]

mod budget;
mod close;
mod counts;
mod finish;
mod keyed;
mod late_marks;
mod live_buffer;
mod notifier;
mod overflow;
mod patterns;
mod reads;
mod subscribe;
mod support;
mod ttl;
mod wake_flag;
