use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::clients::{BoxFuture, Client, ClientKind, Data, End, Seen};

/// An adapter of a hub and a client for it.
pub(crate) trait Row: Send + Sync {
    fn name(&self) -> String;

    /// Connects a client of these topics, from a cursor or from now on.
    fn connect<'a>(
        &'a self,
        topics: &'a [&'a str],
        cursor: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Box<dyn Client>, String>>;

    /// Returns the part of an item that the wire format can express.
    fn shows(&self, seen: Seen) -> Seen;

    /// Returns whether the clients have cursors.
    fn resumes(&self) -> bool;

    /// Returns whether the clients stay subscribed between reads.
    fn is_live(&self) -> bool;
}

/// Abilities of the transports of the crate.
impl ClientKind {
    pub(super) fn shows(self, seen: Seen) -> Seen {
        match (self, seen) {
            (Self::Sse, Seen::Event(mut event)) if event.data != Data::Removed => {
                (event.topic, event.key) = (None, None);
                event.data = Data::Text(match event.data {
                    Data::Removed => unreachable!(),
                    Data::Text(text) => text.replace("\r\n", "\n").replace('\r', "\n"),
                    Data::Json(json) => json.to_string(),
                    Data::Binary(bytes) => STANDARD.encode(bytes),
                });
                Seen::Event(event)
            }
            (Self::RawWebSocket, Seen::Event(mut event)) => {
                (event.cursor, event.topic, event.key, event.name) = (None, None, None, None);
                if let Data::Json(json) = &event.data {
                    event.data = Data::Text(json.to_string());
                }
                Seen::Event(event)
            }
            (Self::RawWebSocket, Seen::Gap(_)) => Seen::End(End::Gap),
            (_, Seen::End(End::AllEnded)) if self.is_live() => Seen::End(End::Finished),
            (_, seen) => seen,
        }
    }

    pub(super) fn resumes(self) -> bool {
        self != Self::RawWebSocket
    }

    pub(super) fn is_live(self) -> bool {
        !matches!(self, Self::ShortPoll | Self::LongPoll)
    }
}
