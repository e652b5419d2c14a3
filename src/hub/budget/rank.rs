/// Number of size classes: up to 1 KiB, then one for each doubling.
pub(crate) const CLASSES: usize = 24;

/// Use of a log. Logs of one size class are evicted in this order; of the first two ranks, the least recently filed log
/// first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rank {
    /// Topic that has begun one segment and has no subscription.
    New,
    /// Topic that has begun several segments and has no subscription.
    Idle,
    /// Log of a pattern. Its events are in the logs of their topics, too.
    Pattern,
    /// Topic with subscriptions.
    Followed,
}

impl Rank {
    pub(crate) const ALL: [Self; 4] = [Self::New, Self::Idle, Self::Pattern, Self::Followed];
    pub(crate) const TOPICS: [Self; 3] = [Self::New, Self::Idle, Self::Followed];
    pub(crate) const UNUSED: [Self; 2] = [Self::New, Self::Idle];
    pub(crate) const USED: [Self; 2] = [Self::Pattern, Self::Followed];

    /// Returns the factor of the bytes of such a log in the comparison of the classes.
    pub(crate) const fn weight(self) -> u64 {
        match self {
            Self::New => 4,
            Self::Idle => 2,
            Self::Pattern | Self::Followed => 1,
        }
    }
}
