use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::endpoint::mutex::Mutex;

/// Clients that are no sessions and whose connection stays open for a moment, with a limit of their own: soft rejects, which
/// got a 200 or a 101 because a status would not reach them or would end them for good, or clients of ended sources.
#[derive(Debug)]
pub(crate) struct BriefConnections {
    table: Mutex<BriefTable>,
    max: usize,
    /// Age at which a connected client gives its place to another.
    write_timeout: Duration,
}

#[derive(Default)]
struct BriefTable {
    /// Number of clients so far, which is the number of the next one.
    total: u64,
    /// Times at which the connected ones began, by number.
    connected: BTreeMap<u64, Instant>,
    /// Tasks that wait until all below this number are gone.
    waiting: Vec<(u64, Waker)>,
}

/// Place of one client, given back when it is dropped.
pub(crate) struct BriefPermit {
    places: Arc<BriefConnections>,
    number: u64,
}

impl BriefConnections {
    pub(crate) fn new(max: usize, write_timeout: Duration) -> Arc<Self> {
        Arc::new(Self { table: Mutex::new(BriefTable::default()), max, write_timeout })
    }

    /// Returns the number that is connected, and the number so far.
    pub(crate) fn counts(&self) -> (usize, u64) {
        let table = self.table.lock();
        (table.connected.len(), table.total)
    }

    /// Waits until all below the number `before` are gone. Later ones do not delay a drain.
    pub(crate) fn poll_gone(&self, before: u64, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut table = self.table.lock();
        if !table.has_below(before) {
            return Poll::Ready(());
        }
        if !table.waiting.iter().any(|(at, waiting)| *at >= before && waiting.will_wake(&waker)) {
            table.waiting.push((before, waker));
        }
        Poll::Pending
    }
}

impl BriefPermit {
    /// Takes a place. Returns `None` if `max` are taken, and none of them is older than the write timeout.
    pub(crate) fn acquire(places: &Arc<BriefConnections>, now: Instant) -> Option<Self> {
        let BriefConnections { table, max, write_timeout } = &**places;
        let mut table = table.lock();
        if table.connected.len() >= *max {
            // The HTTP stack may never poll the rest of a body whose client does not read.
            while let Some(first) = table.connected.first_entry() {
                if now.saturating_duration_since(*first.get()) < *write_timeout {
                    break;
                }
                first.remove();
            }
        }
        if table.connected.len() >= *max {
            return None;
        }
        let number = table.total;
        table.total += 1;
        table.connected.insert(number, now);
        drop(table);
        Some(Self { places: places.clone(), number })
    }
}

impl BriefTable {
    fn has_below(&self, before: u64) -> bool {
        self.connected.first_key_value().is_some_and(|(&first, _)| first < before)
    }
}

impl Drop for BriefPermit {
    fn drop(&mut self) {
        let mut table = self.places.table.lock();
        table.connected.remove(&self.number);
        let waiting = std::mem::take(&mut table.waiting).into_iter();
        let (waiting, ready): (_, Vec<_>) = waiting.partition(|(before, _)| table.has_below(*before));
        table.waiting = waiting;
        drop(table);
        ready.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

impl fmt::Debug for BriefTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (total, connected) = (self.total, self.connected.len());
        f.debug_struct("BriefTable").field("total", &total).field("connected", &connected).finish_non_exhaustive()
    }
}

impl fmt::Debug for BriefPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BriefPermit").field("number", &self.number).finish_non_exhaustive()
    }
}
