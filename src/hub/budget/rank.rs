/// Number of size classes: up to 1 KiB, then one for each doubling.
pub(crate) const CLASSES: usize = 24;

/// The use that is made of a log, in the order in which logs of one size class give way: of the first two the one that was
/// filed less recently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rank {
    /// A topic that has begun one segment and has no subscription.
    New,
    /// A topic that has begun several segments and has no subscription.
    Idle,
    /// The log of a pattern, whose events are in the logs of their topics too.
    Pattern,
    /// A topic with subscriptions.
    Followed,
}

impl Rank {
    pub(crate) const ALL: [Self; 4] = [Self::New, Self::Idle, Self::Pattern, Self::Followed];
    pub(crate) const TOPICS: [Self; 3] = [Self::New, Self::Idle, Self::Followed];
    pub(crate) const UNUSED: [Self; 2] = [Self::New, Self::Idle];
    pub(crate) const USED: [Self; 2] = [Self::Pattern, Self::Followed];

    /// Returns how often the bytes of such a log count in the comparison of the classes.
    pub(crate) const fn weight(self) -> u64 {
        match self {
            Self::New => 4,
            Self::Idle => 2,
            Self::Pattern | Self::Followed => 1,
        }
    }
}
