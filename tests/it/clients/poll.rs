use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::header::ETAG;

use super::client::target;
use super::inbox::Item;
use super::{Client, Connection, End, Inbox, Seen, Waiting, read_reply};

/// A client that asks, over one connection: short polls with `If-None-Match`, long ones with `?cursor=`.
pub(super) struct Poller {
    connection: Connection,
    topics: Vec<String>,
    /// How long it would wait for an answer, in seconds.
    wait: Option<u64>,
    inbox: Inbox,
}

impl Poller {
    pub(super) async fn open(
        connection: Connection,
        topics: &[&str],
        cursor: Option<&str>,
        wait: Option<u64>,
    ) -> Result<Self, String> {
        let topics = topics.iter().map(|&topic| topic.to_owned()).collect();
        let mut this = Self { connection, topics, wait, inbox: Inbox::after(cursor) };
        if cursor.is_none() {
            // What is published after this is not lost, whatever becomes of the first long poll.
            this.ask(None).await?;
        }
        Ok(this)
    }

    async fn ask(&mut self, wait: Option<u64>) -> Result<(), String> {
        let cursor = self.inbox.cursor();
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        let mut request = match wait {
            Some(wait) => {
                let request = self.connection.request("GET", &target(&topics, &[], cursor));
                request.header("prefer", format!("wait={wait}"))
            }
            None => self.connection.request("GET", &target(&topics, &[], None)),
        };
        if let (Some(cursor), None) = (cursor, wait) {
            request = request.header("if-none-match", format!("\"{cursor}\""));
        }
        let response = self.connection.send(request, "").await?;
        let (status, tag) = (response.status(), response.headers().get(ETAG).cloned());
        let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        let said = match status {
            StatusCode::OK => read_reply(&body, &mut self.inbox)?,
            StatusCode::NOT_MODIFIED if body.is_empty() => self.inbox.cursor().map(str::to_owned),
            StatusCode::SERVICE_UNAVAILABLE => {
                self.inbox.put(Item::Seen(Seen::End(End::Later)));
                return Ok(());
            }
            _ => return Err(format!("{status}: {}", body.escape_ascii())),
        };
        let tag = tag.as_ref().map(|tag| tag.as_bytes().escape_ascii().to_string());
        match tag == said.as_ref().map(|cursor| format!("\\\"{cursor}\\\"")) {
            true => Ok(()),
            false => Err(format!("the tag {tag:?} of a reply up to {said:?}")),
        }
    }

    async fn next(&mut self) -> Result<Seen, String> {
        loop {
            if let Some(seen) = self.inbox.look() {
                return Ok(seen);
            }
            self.ask(self.wait).await?;
        }
    }
}

impl Client for Poller {
    fn see(&mut self) -> Waiting<'_, Result<Seen, String>> {
        Box::pin(self.next())
    }

    fn cursor(&self) -> Option<&str> {
        self.inbox.cursor()
    }

    fn must_ask(&self) -> bool {
        self.inbox.is_empty()
    }
}
