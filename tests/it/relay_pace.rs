//! Minimum pace of a request body at the relay. `tests/relay` shows it with curl.

use std::time::{Duration, Instant};

use pace::Pace;

#[path = "../../examples/relay/pace.rs"]
mod pace;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn body_that_pauses_is_late_30_s_after_its_last_byte() {
    let begin = Instant::now();
    let mut pace = Pace::begin(begin);
    assert_eq!(pace.deadline(), begin + 30 * SECOND);
    let mut now = begin;
    // 8 MiB with a pause after each: longer than any deadline for the whole body.
    for _ in 0..8 {
        now += 29 * SECOND;
        assert!(now < pace.deadline());
        pace.received(1 << 20, now);
        assert_eq!(pace.deadline(), now + 30 * SECOND);
    }
    assert_eq!(pace.fault(), "body: nothing came for 30 s");
}

#[test]
fn body_of_rare_bytes_is_late_as_soon_as_a_silent_body() {
    for every in [1, 5, 29] {
        let begin = Instant::now();
        let (mut pace, mut now) = (Pace::begin(begin), begin);
        while now + every * SECOND < pace.deadline() {
            now += every * SECOND;
            pace.received(1, now);
        }
        let late = pace.deadline() - begin;
        assert!((30 * SECOND..31 * SECOND).contains(&late), "{late:?}");
        assert_eq!(pace.fault(), "body: it came slower than 8 KiB a second");
    }
}

#[test]
fn body_of_any_length_at_the_minimum_rate_is_not_late() {
    for rate in [8 * 1024, 20_000, 1 << 20] {
        let begin = Instant::now();
        let (mut pace, mut now) = (Pace::begin(begin), begin);
        for _ in 0..(8 << 20) / rate {
            now += SECOND;
            assert!(now < pace.deadline(), "{rate} bytes a second");
            pace.received(rate, now);
        }
    }
    // At half the minimum rate, a body of 8 MiB is late after a minute.
    let begin = Instant::now();
    let (mut pace, mut now) = (Pace::begin(begin), begin);
    while now + SECOND < pace.deadline() {
        now += SECOND;
        pace.received(4 * 1024, now);
    }
    let late = pace.deadline() - begin;
    assert!((59 * SECOND..=60 * SECOND).contains(&late), "{late:?}");
}

#[test]
fn trickle_after_a_burst_is_late_30_s_after_the_burst() {
    for (burst, every) in [(999_000, 10), (8 << 20, 1), (8 << 20, 29)] {
        let begin = Instant::now();
        let (mut pace, mut now) = (Pace::begin(begin), begin);
        pace.received(burst, now);
        while now + every * SECOND < pace.deadline() {
            now += every * SECOND;
            pace.received(1, now);
        }
        let late = pace.deadline() - begin;
        assert!((30 * SECOND..31 * SECOND).contains(&late), "{burst} bytes, and then one every {every} s: {late:?}");
        assert_eq!(pace.fault(), "body: it came slower than 8 KiB a second");
    }
}

#[test]
fn body_at_the_minimum_rate_in_small_reads_is_not_late() {
    let begin = Instant::now();
    let (mut pace, mut now) = (Pace::begin(begin), begin);
    for _ in 0..64 * 1024 {
        // A read of fewer bytes than the rate has in a millisecond counts too.
        now += SECOND / (8 * 1024);
        assert!(now < pace.deadline());
        pace.received(1, now);
    }
    let left = pace.deadline() - now;
    assert!((29 * SECOND..=30 * SECOND).contains(&left), "{left:?}");
}

#[test]
fn number_of_bytes_that_overflows_does_not_panic() {
    let begin = Instant::now();
    let mut pace = Pace::begin(begin);
    pace.received(1 << 40, begin);
    assert_eq!(pace.deadline(), begin + 30 * SECOND);
}
