use std::sync::Arc;
use std::time::Duration;

use tidings::SubscribeError;
use tidings::time::{Clock, Timer};
use tidings::transport::Reply;
use tidings::transport::long_poll::LongPollWaiter;
use tidings::transport::short_poll::PollQueue;

use super::row::subscribe;
use crate::clients::{BoxFuture, Client, End, Inbox, Seen, read_reply};
use crate::conformance::test_hub::TestHub;
use crate::support::VirtualTimer;

const TIMEOUT: Duration = Duration::from_secs(25);
const INTERVAL: Duration = Duration::from_secs(1);

/// A client that subscribes for each poll.
pub(super) struct PollClient {
    hub: Arc<TestHub>,
    timer: VirtualTimer,
    topics: Vec<String>,
    long: bool,
    inbox: Inbox,
}

impl PollClient {
    pub(super) fn open(
        hub: Arc<TestHub>,
        timer: VirtualTimer,
        topics: &[&str],
        cursor: Option<&str>,
        long: bool,
    ) -> Result<Self, String> {
        let mut inbox = Inbox::after(cursor);
        if cursor.is_none() {
            let subscriber = subscribe(&hub, topics, None).map_err(|error| error.to_string())?;
            read(PollQueue::new(subscriber).reply(), &mut inbox)?;
        }
        let topics = topics.iter().map(|&topic| topic.to_owned()).collect();
        Ok(Self { hub, timer, topics, long, inbox })
    }

    async fn read_item(&mut self) -> Result<Seen, String> {
        loop {
            if let Some(seen) = self.inbox.take() {
                return Ok(seen);
            }
            let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
            let subscriber = match subscribe(&self.hub, &topics, self.inbox.cursor()) {
                Ok(subscriber) => subscriber,
                Err(SubscribeError::Closed) => return Ok(Seen::End(End::Finished)),
                Err(error) => return Err(error.to_string()),
            };
            let now = self.timer.now();
            let reply = match self.long {
                true => LongPollWaiter::new(subscriber, &self.timer, now + TIMEOUT).await,
                false => PollQueue::new(subscriber).reply(),
            };
            if reply.is_empty() {
                self.timer.sleep_until(now + INTERVAL).await;
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
