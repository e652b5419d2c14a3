use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;

use super::{Feed, Task, VirtualTimer};

/// Publishes events at the given pauses in milliseconds and checks the items of a stream: at most `interval` passes between
/// two items, each keep-alive comes at least half of it after the item before, and no poll reads the clock.
pub(crate) fn check_silence<T: Stream<Item = Bytes> + Unpin>(
    mut stream: T,
    timer: &VirtualTimer,
    feed: &Feed,
    interval: Duration,
    pauses: &[u64],
    is_keep_alive: impl Fn(&Bytes) -> bool,
) {
    let (task, looks) = (Task::new(), timer.looks());
    assert!(!task.drain(&mut stream).0.is_empty(), "the first bytes come at once");
    let mut last = timer.elapsed();
    for pause in pauses {
        let mut left = Duration::from_millis(*pause);
        loop {
            let step = timer.next_in().filter(|next| *next <= left);
            timer.advance(step.unwrap_or(left));
            if step.is_none() {
                feed.event("news", "tick");
            }
            assert_eq!(task.wakes(), 1);
            let (items, over) = task.drain(&mut stream);
            assert!(!over);
            let silence = timer.elapsed() - last;
            assert!(silence <= interval, "silent for {silence:?}");
            for item in items {
                assert!(!is_keep_alive(&item) || silence >= interval / 2, "a keep-alive after {silence:?}");
                last = timer.elapsed();
            }
            let Some(step) = step else { break };
            left -= step;
        }
    }
    assert_eq!(timer.looks(), looks);
}
