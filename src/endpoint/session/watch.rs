/// Sees whether what a body yielded is taken, with no look at a clock: a stall is so many looks in a row that find the
/// body unread and nothing yielded since the last.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Watch {
    // First, as the only one that every delivery touches.
    bytes: u64,
    looks: u32,
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

impl Watch {
    /// In how many looks a stall is seen. It is found at most one look late.
    pub(super) const LOOKS: u32 = 4;

    #[inline]
    pub(super) fn yielded(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// `unread`: it yielded bytes, or was handed over, and was not polled since.
    pub(super) fn look(&mut self, unread: bool) -> Seen {
        let moved = self.seen != self.bytes;
        self.seen = self.bytes;
        self.looks = if unread && !moved { self.looks + 1 } else { 0 };
        match unread {
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
