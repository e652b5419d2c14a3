use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::{StatusCode, http};

use super::{BoxFuture, Client, ClientEnd, Connection, Inbox, Item, Seen, Wire};

/// A client that reads one endless response.
pub(super) struct StreamClient<W> {
    _connection: Connection,
    body: Incoming,
    wire: W,
    inbox: Inbox,
}

impl<W: Wire> StreamClient<W> {
    pub(super) async fn open(
        mut connection: Connection,
        request: http::request::Builder,
        media: &str,
        cursor: Option<&str>,
        wire: W,
    ) -> Result<Self, String> {
        let response = connection.send(request, "").await?;
        let found = response.headers().get(CONTENT_TYPE).map(|found| found.as_bytes().escape_ascii().to_string());
        let inbox = Inbox::after(cursor);
        if response.status() == StatusCode::NO_CONTENT && media == "text/event-stream" && found.is_none() {
            let mut this = Self { _connection: connection, body: response.into_body(), wire, inbox };
            this.inbox.put(Item::Seen(Seen::End(ClientEnd::Finished)));
            return Ok(this);
        }
        if response.status() != StatusCode::OK || found.as_deref() != Some(media) {
            return Err(format!("{} of {found:?}", response.status()));
        }
        let mut this = Self { _connection: connection, body: response.into_body(), wire, inbox };
        while this.wire.has_hello() && !this.inbox.has_begun() && this.inbox.is_empty() {
            this.read().await?;
        }
        Ok(this)
    }

    async fn read(&mut self) -> Result<(), String> {
        match self.body.frame().await {
            Some(Ok(frame)) => {
                let bytes = frame.into_data().map_err(|_| "trailers")?;
                self.wire.read(&bytes, &mut self.inbox)
            }
            Some(Err(_)) => {
                self.inbox.put(Item::Seen(Seen::End(ClientEnd::Later)));
                Ok(())
            }
            None => {
                self.inbox.put(Item::Seen(Seen::End(ClientEnd::Finished)));
                self.wire.end()
            }
        }
    }

    async fn read_item(&mut self) -> Result<Seen, String> {
        loop {
            if let Some(seen) = self.inbox.take() {
                return Ok(seen);
            }
            self.read().await?;
        }
    }
}

impl<W: Wire> Client for StreamClient<W> {
    fn next_item(&mut self) -> BoxFuture<'_, Result<Seen, String>> {
        Box::pin(self.read_item())
    }

    fn cursor(&self) -> Option<&str> {
        self.inbox.cursor()
    }
}
