use std::time::Duration;

use crate::contract::SubscribeError;
use crate::time::{Clock, Timer};
use crate::transport::Reply;
use crate::transport::long_poll::LongPollWaiter;
use crate::transport::short_poll::PollQueue;

use crate::conformance::clients::{BoxFuture, Client, ClientEnd, Inbox, Seen, read_reply};
use crate::conformance::run::CaseHub;

const TIMEOUT: Duration = Duration::from_secs(25);
const INTERVAL: Duration = Duration::from_secs(1);

/// A client that subscribes for each poll.
pub(super) struct PollClient {
    hub: CaseHub,
    topics: Vec<String>,
    long: bool,
    inbox: Inbox,
}

impl PollClient {
    pub(super) async fn open(hub: CaseHub, topics: &[&str], cursor: Option<&str>, long: bool) -> Result<Self, String> {
        let mut inbox = Inbox::after(cursor);
        if cursor.is_none() {
            let subscriber = hub.subscribe_after(topics, None).map_err(|error| error.to_string())?;
            read(PollQueue::new(subscriber).reply_loaded().await, &mut inbox)?;
        }
        let topics = topics.iter().map(|&topic| topic.to_owned()).collect();
        Ok(Self { hub, topics, long, inbox })
    }

    async fn read_item(&mut self) -> Result<Seen, String> {
        loop {
            if let Some(seen) = self.inbox.take() {
                return Ok(seen);
            }
            let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
            let subscriber = match self.hub.subscribe_after(&topics, self.inbox.cursor()) {
                Ok(subscriber) => subscriber,
                Err(SubscribeError::Closed) => return Ok(Seen::End(ClientEnd::Finished)),
                Err(error) => return Err(error.to_string()),
            };
            let timer = self.hub.timer().clone();
            let now = timer.now();
            let reply = match self.long {
                true => LongPollWaiter::new(subscriber, &timer, now + TIMEOUT).await,
                false => PollQueue::new(subscriber).reply_loaded().await,
            };
            if reply.is_empty() {
                timer.sleep_until(now + INTERVAL).await;
            }
            read(reply, &mut self.inbox)?;
        }
    }
}

fn read(reply: Reply, inbox: &mut Inbox) -> Result<(), String> {
    let (cursor, len) = (reply.cursor.map(|cursor| cursor.to_string()), reply.len());
    let body = reply.into_parts().concat();
    if body.len() != len {
        return Err(format!("{len} bytes of {}", body.escape_ascii()));
    }
    match read_reply(&body, inbox)? == cursor {
        true => Ok(()),
        false => Err(format!("cursor {cursor:?}: {}", body.escape_ascii())),
    }
}

impl Client for PollClient {
    fn next_item(&mut self) -> BoxFuture<'_, Result<Seen, String>> {
        Box::pin(self.read_item())
    }

    fn cursor(&self) -> Option<&str> {
        self.inbox.cursor()
    }
}
