//! Metrics of one session, see `tidings::instruments`.
#![cfg_attr(not(feature = "metrics"), allow(unused_variables, clippy::unused_self, reason = "there are no metrics"))]

use crate::endpoint::session::{MeteredSubscriber, SessionEnd, SessionEntry, SessionId};
use crate::model::{Cursor, Gap};

/// Parts of a session's counts that are in the metrics. Empty without the feature `metrics`.
#[derive(Default)]
pub(in crate::endpoint::session) struct SessionMeter {
    #[cfg(feature = "metrics")]
    recorded: crate::endpoint::mutex::Mutex<Written>,
}

#[cfg(feature = "metrics")]
#[derive(Debug, Clone, Copy, Default)]
struct Written {
    events: u64,
    bytes: u64,
}

/// Number of deliveries until the next one whose delay is measured. Empty without the feature `metrics`.
#[derive(Debug)]
pub(in crate::endpoint::session) struct Countdown {
    #[cfg(feature = "metrics")]
    left: std::sync::atomic::AtomicU8,
}

/// Number of deliveries of a session of which the delay of one is measured.
#[cfg(feature = "metrics")]
const SAMPLED: u8 = 64;

impl Countdown {
    /// Returns the countdown of a session. Sessions begin at different numbers, so that of one event that many sessions get
    /// the same part is measured as of many events that one session gets.
    #[inline]
    pub(in crate::endpoint::session) fn of(id: SessionId) -> Self {
        Self {
            #[cfg(feature = "metrics")]
            left: std::sync::atomic::AtomicU8::new((id.get() % u64::from(SAMPLED)) as u8),
        }
    }

    /// Counts a delivery. Returns whether its delay is to be measured.
    #[cfg(feature = "metrics")]
    #[inline(always)]
    fn is_over(&self) -> bool {
        use std::sync::atomic::Ordering::Relaxed;

        // The polls of a poll session may count at the same time: a lost count has no effect but on the sample.
        let left = self.left.load(Relaxed);
        self.left.store(if left == 0 { SAMPLED - 1 } else { left - 1 }, Relaxed);
        left == 0
    }
}

impl MeteredSubscriber {
    /// Measures the delay of one of 64 deliveries. `cursor` is that of the last event.
    #[inline(always)]
    pub(in crate::endpoint::session) fn note_delay(&self, cursor: Option<Cursor>) {
        #[cfg(feature = "metrics")]
        if self.entry.countdown.is_over() {
            self.measure_delay(cursor);
        }
    }
}

#[cfg(feature = "metrics")]
mod with_metrics {
    use metrics::{counter, histogram};

    use super::{Cursor, Gap, MeteredSubscriber, SessionEnd, SessionEntry, SessionMeter, Written};
    use crate::contract::Subscriber;
    use crate::endpoint::catch_panic::catch_panic;
    use crate::endpoint::session::track::Track;
    use crate::instruments::names;

    impl MeteredSubscriber {
        #[cold]
        pub(super) fn measure_delay(&self, cursor: Option<Cursor>) {
            let Some(cursor) = cursor else { return };
            let _ = catch_panic(|| {
                if let Some(delay) = self.feed.info().time_since(cursor.sequence()) {
                    histogram!(names::DELAY, "transport" => self.entry.transport().as_str()).record(delay);
                }
            });
        }
    }

    impl SessionMeter {
        /// Returns what was written since the last call.
        fn take(&self, track: &Track) -> Written {
            let mut recorded = self.recorded.lock();
            // Read under the lock, so that the counts of two calls are in the order of the calls.
            let track = track.read();
            let before = std::mem::replace(&mut *recorded, Written { events: track.events, bytes: track.bytes });
            Written {
                events: track.events.saturating_sub(before.events),
                bytes: track.bytes.saturating_sub(before.bytes),
            }
        }
    }

    impl SessionEntry {
        pub(super) fn record_begin(&self) {
            counter!(names::SESSIONS_STARTED, "transport" => self.transport().as_str()).increment(1);
        }

        pub(super) fn record_end(&self, why: SessionEnd) {
            let (transport, reason) = (self.transport().as_str(), why.as_str());
            counter!(names::SESSIONS_ENDED, "transport" => transport, "reason" => reason).increment(1);
        }

        pub(super) fn record_gap(&self, gap: &Gap) {
            let (transport, reason) = (self.transport().as_str(), gap.reason.as_str());
            counter!(names::GAPS, "transport" => transport, "reason" => reason).increment(1);
        }

        pub(super) fn record_written(&self) {
            let more = self.meter.take(&self.track);
            for (name, more) in [(names::WRITTEN_EVENTS, more.events), (names::WRITTEN_BYTES, more.bytes)] {
                if more > 0 {
                    counter!(name, "transport" => self.transport().as_str()).increment(more);
                }
            }
        }
    }
}

#[cfg(feature = "metrics")]
fn caught(record: impl FnOnce()) {
    let _ = crate::endpoint::catch_panic::catch_panic(record);
}

impl SessionEntry {
    pub(super) fn count_begin(&self) {
        #[cfg(feature = "metrics")]
        caught(|| self.record_begin());
    }

    pub(super) fn count_end(&self, why: SessionEnd) {
        #[cfg(feature = "metrics")]
        caught(|| {
            self.record_written();
            self.record_end(why);
        });
    }

    /// Counts a gap. The caller has no lock.
    pub(in crate::endpoint::session) fn count_gap(&self, gap: &Gap) {
        #[cfg(feature = "metrics")]
        caught(|| self.record_gap(gap));
    }

    /// Counts what was written since the last call. The caller has no lock.
    #[inline]
    pub(in crate::endpoint::session) fn count_written(&self) {
        #[cfg(feature = "metrics")]
        caught(|| self.record_written());
    }
}
