/// Detector of stalled clients. It counts checks, and reads no clock.
///
/// A client is stalled if [`CHECKS`](Self::CHECKS) checks in a row find its stream unread and no byte written since the
/// check before.
#[derive(Debug, Clone, Default)]
#[repr(C)]
pub(in crate::endpoint::session) struct WriteProgress {
    // First because every delivery touches this field, and no other.
    written: u64,
    /// Value of `written` at the last check. The endpoint's counter has these bytes.
    checked: u64,
}

/// Result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::endpoint::session) enum Checked {
    /// The HTTP stack asks for more, so there is nothing to watch.
    Reading,
    /// The HTTP stack has bytes that the client may not have taken.
    Unread,
    /// The client took nothing for too long.
    Stalled,
}

impl WriteProgress {
    /// Number of checks within one write timeout. A stall is found at most one check late.
    pub(in crate::endpoint::session) const CHECKS: u8 = 4;

    #[inline]
    pub(in crate::endpoint::session) fn wrote(&mut self, bytes: usize) {
        self.written += bytes as u64;
    }

    /// Checks the client, and counts in `stuck` how many checks in a row found no progress. `is_unread`: the stream yielded
    /// bytes, or is new, and was not polled since.
    ///
    /// Also returns the bytes that were written since they were last counted.
    pub(in crate::endpoint::session) fn check(&mut self, stuck: &mut u8, is_unread: bool) -> (Checked, u64) {
        let fresh = self.take_fresh();
        *stuck = if is_unread && fresh == 0 { stuck.saturating_add(1) } else { 0 };
        let checked = match is_unread {
            true if *stuck >= Self::CHECKS => Checked::Stalled,
            true => Checked::Unread,
            false => Checked::Reading,
        };
        (checked, fresh)
    }

    /// Returns the bytes that were written since they were last counted.
    pub(in crate::endpoint::session) fn take_fresh(&mut self) -> u64 {
        let fresh = self.written - self.checked;
        self.checked = self.written;
        fresh
    }
}
