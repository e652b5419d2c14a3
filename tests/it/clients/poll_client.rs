use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::header::ETAG;

use super::client::target;
use super::{BoxFuture, Client, ClientEnd, Connection, Inbox, Item, Seen, read_reply};

/// A client that polls over one connection: short polls with `If-None-Match`, long polls with `?cursor=`.
pub(super) struct PollClient {
    connection: Connection,
    topics: Vec<String>,
    /// Timeout of a long poll in seconds.
    wait: Option<u64>,
    inbox: Inbox,
}

impl PollClient {
    pub(super) async fn open(
        connection: Connection,
        topics: &[&str],
        cursor: Option<&str>,
        wait: Option<u64>,
    ) -> Result<Self, String> {
        let topics = topics.iter().map(|&topic| topic.to_owned()).collect();
        let mut this = Self { connection, topics, wait, inbox: Inbox::after(cursor) };
        if cursor.is_none() {
            // The first reply sets the cursor, so that no later event is lost if the first long poll fails.
            this.poll(None).await?;
        }
        Ok(this)
    }

    async fn poll(&mut self, wait: Option<u64>) -> Result<(), String> {
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
        let cursor = match status {
            StatusCode::OK => read_reply(&body, &mut self.inbox)?,
            StatusCode::NOT_MODIFIED if body.is_empty() => self.inbox.cursor().map(str::to_owned),
            StatusCode::SERVICE_UNAVAILABLE => {
                self.inbox.put(Item::Seen(Seen::End(ClientEnd::Later)));
                return Ok(());
            }
            _ => return Err(format!("{status}: {}", body.escape_ascii())),
        };
        let tag = tag.as_ref().map(|tag| tag.as_bytes().escape_ascii().to_string());
        match tag == cursor.as_ref().map(|cursor| format!("\\\"{cursor}\\\"")) {
            true => Ok(()),
            false => Err(format!("the tag {tag:?} of a reply with the cursor {cursor:?}")),
        }
    }

    async fn read_item(&mut self) -> Result<Seen, String> {
        loop {
            if let Some(seen) = self.inbox.take() {
                return Ok(seen);
            }
            self.poll(self.wait).await?;
        }
    }
}

impl Client for PollClient {
    fn next_item(&mut self) -> BoxFuture<'_, Result<Seen, String>> {
        Box::pin(self.read_item())
    }

    fn cursor(&self) -> Option<&str> {
        self.inbox.cursor()
    }

    fn needs_request(&self) -> bool {
        self.inbox.is_empty()
    }
}
