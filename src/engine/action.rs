use crate::engine::engine::LogState;
use crate::engine::history::Read;
use crate::engine::late::LateLosses;
use crate::engine::record::TailRecord;
use crate::model::Pattern;

/// Action of the owner of a [`Merge`](crate::engine::merge::Merge).
#[derive(Debug)]
pub(crate) enum Action {
    /// Publish records in memory, and then have everything up to a sequence. If that is not possible, call
    /// [`Merge::not_published`](crate::engine::merge::Merge::not_published).
    Publish {
        records: Vec<(u64, TailRecord)>,
        up_to: u64,
    },
    /// Read, and call [`page`](crate::engine::merge::Merge::page).
    Read(Read),
    /// Follow names, and call [`followed`](crate::engine::merge::Merge::followed).
    Follow(Vec<Pattern>),
    Unfollow(Vec<Pattern>),
    /// Replace the hub in memory by one that begins at the head, and drop the read.
    Renew(LogState, LateLosses),
}
