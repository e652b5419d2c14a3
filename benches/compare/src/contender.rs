//! Who is compared.

/// A server under test. They answer the same requests, so nothing else here knows them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contender {
    /// A single-threaded epoll server that writes encoded frames: one write a message.
    Floor,
    /// The same, with one write per socket and turn of its loop.
    FloorBatch,
    /// What is written by hand today: axum and tokio's broadcast channel.
    Axum,
    /// The same with `TCP_NODELAY`, a small read buffer, and messages fed before they are flushed.
    Tuned,
    /// The `relay` example.
    Tidings,
}

impl Contender {
    /// In the order of the tables.
    pub(crate) const ALL: [Self; 5] = [Self::Floor, Self::FloorBatch, Self::Axum, Self::Tuned, Self::Tidings];

    /// As tables write it, and options name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::FloorBatch => "floor-batch",
            Self::Axum => "axum",
            Self::Tuned => "tuned",
            Self::Tidings => "tidings",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}
