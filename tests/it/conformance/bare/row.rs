use std::sync::Arc;

use tidings::subscriber::BoxSubscriber;
use tidings::transport::chunked::ChunkedStream;
use tidings::transport::sse::SseEncoder;
use tidings::transport::websocket::Subprotocol;
use tidings::{Cursor, Start, Subscribe, SubscribeError};

use super::poll::BarePoller;
use super::stream::BareListener;
use super::websocket::BareSocket;
use crate::clients::{Blocks, Client, Frames, Lines, Seen, Speaks, Waiting};
use crate::conformance::row::Row;
use crate::conformance::stage::Stage;
use crate::support::VirtualTimer;

/// A row for each adapter and what it can write.
pub(crate) fn rows(stage: &Arc<Stage>, timer: &VirtualTimer) -> Vec<Box<dyn Row>> {
    let row = |speaks| Box::new(Bare { speaks, stage: stage.clone(), timer: timer.clone() }) as Box<dyn Row>;
    Speaks::ALL.map(row).into()
}

struct Bare {
    speaks: Speaks,
    stage: Arc<Stage>,
    timer: VirtualTimer,
}

impl Bare {
    fn client(&self, topics: &[&str], cursor: Option<&str>) -> Result<Box<dyn Client>, String> {
        let (stage, timer) = (&self.stage, &self.timer);
        let subscriber = || subscribe(stage, topics, cursor).map_err(|error| error.to_string());
        Ok(match self.speaks {
            Speaks::ShortPoll => Box::new(BarePoller::open(stage.clone(), timer.clone(), topics, cursor, false)?),
            Speaks::LongPoll => Box::new(BarePoller::open(stage.clone(), timer.clone(), topics, cursor, true)?),
            Speaks::Chunked => {
                Box::new(BareListener::open(ChunkedStream::new(subscriber()?, timer), Lines::default(), cursor)?)
            }
            Speaks::Sse => {
                Box::new(BareListener::open(SseEncoder::new(subscriber()?, timer), Blocks::plain(), cursor)?)
            }
            Speaks::SseObjects => {
                let stream = SseEncoder::new(subscriber()?, timer).objects(true);
                Box::new(BareListener::open(stream, Blocks::objects(), cursor)?)
            }
            Speaks::WebSocket => {
                Box::new(BareSocket::open(subscriber()?, timer, Subprotocol::TidingsV1, Frames::objects(), cursor)?)
            }
            Speaks::RawWebSocket => {
                Box::new(BareSocket::open(subscriber()?, timer, Subprotocol::Raw, Frames::raw(), None)?)
            }
        })
    }
}

impl Row for Bare {
    fn name(&self) -> String {
        self.speaks.name().into()
    }

    fn connect<'a>(
        &'a self,
        topics: &'a [&'a str],
        cursor: Option<&'a str>,
    ) -> Waiting<'a, Result<Box<dyn Client>, String>> {
        Box::pin(async move { self.client(topics, cursor) })
    }

    fn shows(&self, seen: Seen) -> Seen {
        self.speaks.shows(seen)
    }

    fn resumes(&self) -> bool {
        self.speaks.resumes()
    }

    fn is_live(&self) -> bool {
        self.speaks.is_live()
    }
}

/// A subscriber from where a client says that it is.
pub(super) fn subscribe(stage: &Stage, topics: &[&str], cursor: Option<&str>) -> Result<BoxSubscriber, SubscribeError> {
    let start = match cursor.map(str::parse::<Cursor>) {
        None => Start::Now,
        Some(Ok(cursor)) => Start::After(cursor),
        Some(Err(_)) => Start::Unreadable,
    };
    stage.subscribe(Subscribe::topics(topics.iter().copied()).start(start))
}
