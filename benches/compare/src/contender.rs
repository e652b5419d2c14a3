//! Servers that are compared.

/// A server under test. All answer the same requests, so nothing else here distinguishes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contender {
    Floor,
    FloorBatch,
    Axum,
    Tuned,
    Tidings,
}

impl Contender {
    /// In the order of the tables.
    pub(crate) const ALL: [Self; 5] = [Self::Floor, Self::FloorBatch, Self::Axum, Self::Tuned, Self::Tidings];

    /// Returns the name in tables and options.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::FloorBatch => "floor-batch",
            Self::Axum => "axum",
            Self::Tuned => "tuned",
            Self::Tidings => "tidings",
        }
    }

    /// Returns the description below the tables.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Self::Floor => "one thread, epoll and frames that are encoded once; one write a message and socket",
            Self::FloorBatch => "the same with one write a socket for all messages that came meanwhile",
            Self::Axum => "the usual code by hand: axum 0.8 and tokio's broadcast channel",
            Self::Tuned => {
                "the same with TCP_NODELAY, a read buffer of 4 KiB, and messages fed before they are flushed"
            }
            Self::Tidings => {
                "the relay example, as it is: an endpoint on hyper's HTTP/1 server, without axum around it; on one CPU it \
                 takes tokio's runtime of one thread, where the two by hand have that of `#[tokio::main]`"
            }
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}
