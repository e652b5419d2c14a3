use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::entry::RunEntry;
use crate::contract::{BoxSubscriber, PublishError, Subscribe, SubscribeError};
#[cfg(feature = "disk")]
use crate::disk::DiskHub;
use crate::hub::LocalHub;
use crate::model::{Cursor, EndReason, Event, Retention, Topic};

/// Hub of [`Runs`](crate::runs::Runs): a [`LocalHub`], or a `DiskHub` with the feature `disk`.
///
/// `From` converts a reference to either, so [`Runs::new`](crate::runs::Runs::new) takes `&hub`.
#[derive(Clone)]
pub struct RunHub(Kind);

#[derive(Clone)]
enum Kind {
    Local(LocalHub),
    #[cfg(feature = "disk")]
    Disk(DiskHub),
}

impl From<&LocalHub> for RunHub {
    fn from(hub: &LocalHub) -> Self {
        Self(Kind::Local(hub.clone()))
    }
}

#[cfg(feature = "disk")]
#[cfg_attr(docsrs, doc(cfg(feature = "disk")))]
impl From<&DiskHub> for RunHub {
    fn from(hub: &DiskHub) -> Self {
        Self(Kind::Disk(hub.clone()))
    }
}

impl RunHub {
    /// Returns the hub in memory.
    fn memory(&self) -> &LocalHub {
        match &self.0 {
            Kind::Local(hub) => hub,
            #[cfg(feature = "disk")]
            Kind::Disk(hub) => hub.memory(),
        }
    }

    pub(crate) fn cursor(&self) -> Cursor {
        self.memory().cursor()
    }

    pub(crate) fn has_ended(&self, topic: &Topic) -> bool {
        self.memory().has_ended(topic)
    }

    pub(crate) fn check_event(&self, event: &Event) -> Result<(), PublishError> {
        self.memory().check_event(event)
    }

    /// Keeps the history of a topic until it is [dropped](Self::drop_history). Returns `false` if the hub cannot.
    pub(crate) fn retain(&self, topic: &Topic, retention: Retention) -> bool {
        match &self.0 {
            Kind::Local(hub) => {
                hub.retain_topic(topic, retention);
                true
            }
            #[cfg(feature = "disk")]
            Kind::Disk(hub) => hub.is_run_topic(topic),
        }
    }

    /// Begins to publish all events of a run, or none. They precede those of later calls. If the run has begun to end they are
    /// refused.
    pub(crate) fn publish(&self, run: &RunEntry, events: &mut Vec<Event>) -> HubReply {
        let topic = &run.topic;
        match &self.0 {
            Kind::Local(hub) => HubReply::now(match events.len() {
                0 => Ok(()),
                1 => events.pop().map_or(Ok(()), |event| hub.publish_now(topic, event).map(drop)),
                _ => hub.publish_batch(events.drain(..).map(|event| (topic, event))).map(drop),
            }),
            #[cfg(feature = "disk")]
            Kind::Disk(_) if events.is_empty() => HubReply::now(Ok(())),
            #[cfg(feature = "disk")]
            Kind::Disk(hub) => {
                let events = events.drain(..).map(|event| (topic.clone(), event)).collect();
                // Behind the end in the hub's queue they could be published after the history was dropped. The queue has at most
                // one batch of a run, which waits for it, so a full queue does not refuse it.
                HubReply::begin(hub.queue_batch(events, &|queue| run.if_live(queue)))
            }
        }
    }

    /// Begins to end a topic, after what was published.
    pub(crate) fn finish(&self, topic: &Topic, reason: EndReason) -> HubReply {
        match &self.0 {
            Kind::Local(hub) => HubReply::now(hub.finish(topic, reason).map(drop)),
            #[cfg(feature = "disk")]
            Kind::Disk(hub) => {
                let (hub, topic) = (hub.clone(), topic.clone());
                HubReply::begin(async move { hub.finish(topic, reason).await.map(drop) })
            }
        }
    }

    /// Drops the history of a topic, see [`LocalHub::drop_history`]. On disk that precedes what is published later.
    pub(crate) fn drop_history(&self, topic: &Topic) -> impl Sized + use<> {
        #[cfg(feature = "disk")]
        if let Kind::Disk(hub) = &self.0 {
            hub.drop_stored(topic);
        }
        self.memory().drop_history(topic)
    }

    pub(crate) fn subscribe(&self, what: Subscribe) -> Result<BoxSubscriber, SubscribeError> {
        Ok(match &self.0 {
            Kind::Local(hub) => Box::new(hub.subscribe(what)?),
            #[cfg(feature = "disk")]
            Kind::Disk(hub) => Box::new(hub.subscribe(what)?),
        })
    }

    /// Returns the runs that ended before the hub was opened, the one that ended first before the others.
    #[cfg(feature = "disk")]
    pub(crate) fn take_ended(&self) -> Vec<crate::disk::EndedRun> {
        match &self.0 {
            Kind::Local(_) => Vec::new(),
            Kind::Disk(hub) => hub.take_ended_runs(),
        }
    }
}

/// Reply of the hub: at once from memory, later from a disk. Dropping it undoes nothing.
pub(crate) struct HubReply(Stage);

enum Stage {
    Now(Option<Result<(), PublishError>>),
    #[cfg(feature = "disk")]
    Later(Pin<Box<dyn Future<Output = Result<(), PublishError>> + Send>>),
}

impl HubReply {
    pub(crate) fn now(result: Result<(), PublishError>) -> Self {
        Self(Stage::Now(Some(result)))
    }

    /// Returns the reply to a command that the first poll of the future queues.
    #[cfg(feature = "disk")]
    fn begin(future: impl Future<Output = Result<(), PublishError>> + Send + 'static) -> Self {
        let mut future: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(future);
        match future.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(result) => Self::now(result),
            Poll::Pending => Self(Stage::Later(future)),
        }
    }
}

impl Future for HubReply {
    type Output = Result<(), PublishError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Stage::Now(result) => {
                let _ = cx;
                result.take().map_or(Poll::Pending, Poll::Ready)
            }
            #[cfg(feature = "disk")]
            Stage::Later(future) => future.as_mut().poll(cx),
        }
    }
}

impl fmt::Debug for RunHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Local(hub) => f.debug_tuple("RunHub").field(hub).finish(),
            #[cfg(feature = "disk")]
            Kind::Disk(hub) => f.debug_tuple("RunHub").field(hub).finish(),
        }
    }
}
