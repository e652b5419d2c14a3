use std::collections::HashMap;
use std::sync::Arc;

use super::locked::Locked;

/// Calls of the publisher that are under way, counted for each limit key.
#[derive(Debug)]
pub(super) struct Shares {
    calls: Locked<HashMap<Arc<str>, usize>>,
    max: usize,
}

/// One of these calls, until it is dropped.
#[derive(Debug)]
pub(super) struct Share<'a> {
    shares: &'a Shares,
    /// `None` for a client without a key, whose calls are not counted here.
    key: Option<Arc<str>>,
}

impl Shares {
    pub(super) fn new(max: usize) -> Self {
        Self { calls: Locked::default(), max }
    }

    /// Counts a call for a key. `None`: the key has as many as are allowed.
    pub(super) fn take(&self, key: Option<&Arc<str>>) -> Option<Share<'_>> {
        let Some(key) = key.filter(|_| self.max < usize::MAX) else {
            return Some(Share { shares: self, key: None });
        };
        let mut calls = self.calls.lock();
        match calls.get_mut(key) {
            Some(count) if *count >= self.max => return None,
            Some(count) => *count += 1,
            None if self.max == 0 => return None,
            None => drop(calls.insert(key.clone(), 1)),
        }
        Some(Share { shares: self, key: Some(key.clone()) })
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let Some(key) = &self.key else { return };
        let mut calls = self.shares.calls.lock();
        match calls.get_mut(key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(calls.remove(key)),
        }
    }
}
