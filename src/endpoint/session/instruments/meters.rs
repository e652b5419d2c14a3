//! Gauges of all sessions of an endpoint, see `tidings::instruments`.

/// Values of an endpoint's gauges that are in the metrics. Several endpoints of a process share the metrics, so each adds
/// the difference to its last values. Empty without the feature `metrics`.
#[derive(Default)]
pub(crate) struct SessionMeters {
    #[cfg(feature = "metrics")]
    recorded: crate::endpoint::mutex::Mutex<[Live; crate::contract::Transport::ALL.len()]>,
}

#[cfg(feature = "metrics")]
#[derive(Debug, Clone, Copy, Default)]
struct Live {
    sessions: usize,
    behind: usize,
}

#[cfg(feature = "metrics")]
mod with_metrics {
    use std::sync::atomic::Ordering;

    use metrics::gauge;

    use super::{Live, SessionMeters};
    use crate::contract::Transport;
    use crate::endpoint::catch_panic::catch_panic;
    use crate::endpoint::session::session_table::SessionTable;
    use crate::instruments::names;

    /// Number of sessions that are looked up under one hold of the table's lock.
    const PAGE: usize = 256;

    impl SessionMeters {
        /// Counts what the live sessions have written, and sets the gauges.
        pub(crate) fn record(&self, sessions: &SessionTable) {
            let mut live = [Live::default(); Transport::ALL.len()];
            let mut after = None;
            loop {
                let page = sessions.entries_after(after, PAGE);
                for entry in &page {
                    entry.count_written();
                    let live = &mut live[entry.transport() as usize];
                    live.sessions += 1;
                    live.behind += usize::from(entry.is_behind.load(Ordering::Relaxed));
                }
                match page.last() {
                    Some(last) if page.len() == PAGE => after = Some(last.session.id()),
                    _ => break,
                }
            }
            self.set(live);
        }

        fn set(&self, live: [Live; Transport::ALL.len()]) {
            let before = std::mem::replace(&mut *self.recorded.lock(), live);
            for ((transport, before), live) in Transport::ALL.iter().zip(before).zip(live) {
                let transport = transport.as_str();
                let gauges = [
                    (names::SESSIONS, before.sessions, live.sessions),
                    (names::SESSIONS_BEHIND, before.behind, live.behind),
                ];
                for (name, before, now) in gauges {
                    let _ =
                        catch_panic(|| gauge!(name, "transport" => transport).increment(now as f64 - before as f64));
                }
            }
        }
    }

    impl Drop for SessionMeters {
        fn drop(&mut self) {
            let is_recorded = self.recorded.lock().iter().any(|live| live.sessions > 0);
            if is_recorded {
                self.set(Default::default());
            }
        }
    }
}
