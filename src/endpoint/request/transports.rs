use crate::contract::Transport;

/// Set of transports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Transports(u8);

impl Transports {
    /// Transports whose cargo features are on.
    pub(crate) const BUILT: Self = Self(
        bit(Transport::ShortPoll, cfg!(feature = "short-poll"))
            | bit(Transport::LongPoll, cfg!(feature = "long-poll"))
            | bit(Transport::Chunked, cfg!(feature = "chunked"))
            | bit(Transport::Sse, cfg!(feature = "sse"))
            | bit(Transport::WebSocket, cfg!(feature = "websocket")),
    );

    /// Returns the set of these transports.
    ///
    /// # Panics
    ///
    /// Panics if one of them is not built in, or if there is none.
    pub(crate) fn new(transports: impl IntoIterator<Item = Transport>) -> Self {
        let set = transports.into_iter().fold(0, |set, transport| {
            assert!(
                Self::BUILT.has(transport),
                "transport {transport:?} is not built in: enable the cargo feature of its name"
            );
            set | bit(transport, true)
        });
        assert!(set != 0, "no transport: name at least one");
        Self(set)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn has(self, transport: Transport) -> bool {
        self.0 & bit(transport, true) != 0
    }

    /// Returns the transports of the set whose response is a stream.
    pub(crate) fn streams(self) -> Self {
        Self(self.0 & (bit(Transport::Sse, true) | bit(Transport::Chunked, true)))
    }

    /// Returns the transport of a client that did not ask for one: the first in this order that the set has.
    pub(crate) fn fallback(self) -> Option<Transport> {
        [Transport::ShortPoll, Transport::LongPoll, Transport::Sse, Transport::Chunked]
            .into_iter()
            .find(|&transport| self.has(transport))
    }
}

const fn bit(transport: Transport, set: bool) -> u8 {
    (set as u8) << transport as u8
}
