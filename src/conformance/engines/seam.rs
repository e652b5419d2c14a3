use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use crate::conformance::engines::EngineUnderTest;
use crate::conformance::engines::node_hub::NodeHub;
use crate::conformance::engines::probe::TailProbe;
use crate::conformance::run::{HubOptions, Problem};
use crate::engine::{Append, AppendBody, Appended, Engine};
use crate::model::{EndReason, Event, Pattern, Topic};
use crate::time::{Clock, StdClock};

/// Maximum time of an operation of an engine.
const LIMIT: Duration = Duration::from_secs(5);

/// Number of logs that cases of engines opened in this process.
static OPENED: AtomicU64 = AtomicU64::new(0);

/// Log of a case, which is empty at first.
pub(super) struct Seam<K> {
    kit: Arc<K>,
    options: HubOptions,
}

impl<K: EngineUnderTest> Seam<K> {
    pub(super) fn new(kit: &Arc<K>, retain: usize) -> Self {
        let name = format!("engine-{}", OPENED.fetch_add(1, Ordering::Relaxed));
        Self { kit: Arc::clone(kit), options: HubOptions { name, retain } }
    }

    /// Opens the engine of another node, which does not run.
    pub(super) async fn engine(&self) -> Result<K::Engine, Problem> {
        within("`open`", self.kit.open(&self.options)).await?
    }

    /// Opens the engine of another node, and receives its records.
    pub(super) async fn probe(&self) -> Result<TailProbe<K::Engine>, Problem> {
        Ok(TailProbe::new(&self.kit, self.engine().await?))
    }

    /// Opens the hub of another node.
    pub(super) async fn hub(&self) -> Result<NodeHub, Problem> {
        within("`open` of a hub", NodeHub::open(&self.kit, &self.options)).await?
    }
}

/// Waits for a future for a limited time. The kit polls a run again after some time, also if it is not woken.
pub(super) async fn within<T>(what: &str, future: impl Future<Output = T>) -> Result<T, Problem> {
    let (mut future, limit) = (pin!(future), StdClock.now() + LIMIT);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Ok(result)),
        Poll::Pending if StdClock.now() < limit => Poll::Pending,
        Poll::Pending => Poll::Ready(Err(format!("no result for {} s: {what}", LIMIT.as_secs()).into())),
    })
    .await
}

/// Appends an event. Returns its sequence.
pub(super) async fn append(engine: &impl Engine, topic: &str, text: &str) -> Result<u64, Problem> {
    let append = event(topic, text)?;
    match within("`append`", engine.append(append)).await?? {
        Appended::At { sequence, .. } => Ok(sequence),
        other => Err(format!("expected the place of an event, got {other:?}").into()),
    }
}

/// Ends a topic. Returns the sequence of the end.
pub(super) async fn finish(engine: &impl Engine, topic: &str, reason: EndReason) -> Result<u64, Problem> {
    match within("`append`", engine.append(end(topic, reason)?)).await?? {
        Appended::At { sequence, .. } => Ok(sequence),
        other => Err(format!("expected the place of an end, got {other:?}").into()),
    }
}

/// Returns an event to append.
pub(super) fn event(topic: &str, text: &str) -> Result<Append, Problem> {
    Ok(Append::new(Topic::new(topic)?, AppendBody::Event(Event::text(text)), fastrand::u128(..)))
}

/// Returns the end of a topic to append.
pub(super) fn end(topic: &str, reason: EndReason) -> Result<Append, Problem> {
    Ok(Append::new(Topic::new(topic)?, AppendBody::End(reason), fastrand::u128(..)))
}

pub(super) fn patterns(names: &[&str]) -> Result<Vec<Pattern>, Problem> {
    Ok(names.iter().map(Pattern::new).collect::<Result<_, _>>()?)
}
