/// Sees whether a body is polled again after it yielded bytes, with no look at a clock: a stall is so many looks in a
/// row without a poll.
#[derive(Debug)]
pub(super) struct Watch {
    /// Handed over, or yielded bytes, and not polled since.
    owing: bool,
    looks: u32,
    bytes: u64,
    /// How many bytes the last look saw, and how many the endpoint's counter has.
    seen: u64,
    counted: u64,
}

/// What a look saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// The HTTP stack wants more: nothing to watch for.
    Waiting,
    /// It has bytes that it may not be rid of.
    Owing,
    /// It has had them for too long.
    Stalled,
}

impl Default for Watch {
    fn default() -> Self {
        Self { owing: true, looks: 0, bytes: 0, seen: 0, counted: 0 }
    }
}

impl Watch {
    /// In how many looks a stall is seen. It is found at most one look late.
    pub(super) const LOOKS: u32 = 4;

    pub(super) fn polled(&mut self) {
        self.owing = false;
    }

    pub(super) fn yielded(&mut self, bytes: usize) {
        self.owing = true;
        self.bytes += bytes as u64;
    }

    pub(super) fn look(&mut self) -> Seen {
        let moved = self.seen != self.bytes;
        self.seen = self.bytes;
        self.looks = if self.owing && !moved { self.looks + 1 } else { 0 };
        match self.owing {
            true if self.looks >= Self::LOOKS => Seen::Stalled,
            true => Seen::Owing,
            false => Seen::Waiting,
        }
    }

    /// The bytes since the last count.
    pub(super) fn count(&mut self) -> u64 {
        let fresh = self.bytes - self.counted;
        self.counted = self.bytes;
        fresh
    }
}
