//! A hub of its own, tested by the conformance kit, and faults that the kit finds.
//!
//! ```text
//! cargo run --example conformance_hub --features full,conformance
//! cargo run --example conformance_hub --features full,conformance -- --fault silent-gap
//! ```
//!
//! The hub wraps a `LocalHub`; a hub over a database or a broker is tested in the same way. With `--fault` it is planted a fault:
//!
//! - `lost`: each seventh event is acknowledged, and delivered to no one.
//! - `doubled`: each seventh event is delivered twice.
//! - `reordered`: the first two events of a batch are delivered in the wrong order.
//! - `silent-gap`: a subscriber that missed events gets no gap.
//!
//! The program prints the cases that failed, and then its exit status is 1.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tidings::conformance::{self, Capabilities, Failures, HubOptions, HubUnderTest, Report};
use tidings::subscriber::{Batch, Delivery, SubscriberInfo};
use tidings::{
    Cursor, EndReason, Event, Hub, LocalHub, Pattern, PublishError, Receipt, Subscribe, SubscribeError, Subscriber,
    Subscription, Topic, TopicEnd,
};

/// Topic of lost events. Nothing subscribes to it.
const LOST: &str = "lost";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Lost,
    Doubled,
    Reordered,
    SilentGap,
}

impl Fault {
    const ALL: [(&str, Self); 4] = [
        ("lost", Self::Lost),
        ("doubled", Self::Doubled),
        ("reordered", Self::Reordered),
        ("silent-gap", Self::SilentGap),
    ];
}

/// The hub that is tested.
#[derive(Clone)]
struct OwnHub {
    hub: LocalHub,
    fault: Option<Fault>,
    published: Arc<AtomicUsize>,
}

impl OwnHub {
    /// Returns whether the next event has this fault.
    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault) && self.published.fetch_add(1, Ordering::Relaxed) % 7 == 6
    }
}

impl Hub for OwnHub {
    type Subscription = OwnSubscription;

    async fn publish(&self, topic: &Topic, event: Event) -> Result<Receipt, PublishError> {
        if self.has(Fault::Lost) {
            return self.hub.publish(LOST, event).await;
        }
        let receipt = self.hub.publish(topic, event.clone()).await?;
        if self.has(Fault::Doubled) {
            self.hub.publish(topic, event).await?;
        }
        Ok(receipt)
    }

    async fn finish(&self, topic: &Topic, reason: EndReason) -> Result<TopicEnd, PublishError> {
        self.hub.finish(topic, reason)
    }

    fn subscribe(&self, what: Subscribe) -> Result<OwnSubscription, SubscribeError> {
        Ok(OwnSubscription { inner: self.hub.subscribe(what)?, fault: self.fault })
    }
}

struct OwnSubscription {
    inner: Subscription,
    fault: Option<Fault>,
}

impl Subscriber for OwnSubscription {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        loop {
            let delivery = ready!(self.inner.poll_next(cx));
            return Poll::Ready(match (delivery, self.fault) {
                (Delivery::Gap(_), Some(Fault::SilentGap)) => continue,
                (Delivery::Events(batch), Some(Fault::Reordered)) => Delivery::Events(reordered(&batch)),
                (delivery, _) => delivery,
            });
        }
    }

    fn register(&mut self, cx: &mut Context<'_>) -> bool {
        self.inner.register(cx)
    }

    fn cursor(&self) -> Option<Cursor> {
        self.inner.cursor()
    }

    fn skip_to(&mut self, cursor: Cursor) -> bool {
        self.inner.skip_to(cursor)
    }

    fn skip_followed(&mut self, cursor: Cursor, followed: &[Pattern]) -> bool {
        self.inner.skip_followed(cursor, followed)
    }

    fn release(&mut self) {
        self.inner.release();
    }

    fn info(&self) -> SubscriberInfo<'_> {
        self.inner.info()
    }
}

/// Returns a batch whose first two events changed places.
fn reordered(batch: &Batch) -> Batch {
    let cursors = batch.iter().filter_map(|event| event.cursor);
    let mut events: Vec<_> =
        batch.iter().zip(cursors).map(|(event, cursor)| (cursor.sequence(), event.event.clone())).collect();
    if events.len() > 1 {
        events.swap(0, 1);
    }
    let epoch = batch.iter().find_map(|event| event.cursor).map_or(0, Cursor::epoch);
    Batch::new(batch.topic().clone(), epoch, events)
}

/// Opens hubs for the kit.
struct OwnHubs {
    fault: Option<Fault>,
}

impl HubUnderTest for OwnHubs {
    type Hub = OwnHub;

    async fn open(&self, options: &HubOptions) -> Result<OwnHub, Box<dyn Error + Send + Sync>> {
        let hub = LocalHub::builder().retain(options.retention()).live_buffer(0);
        let hub = hub.retain_for(HubOptions::KEYED_TOPICS, options.keyed_retention()).build();
        Ok(OwnHub { hub, fault: self.fault, published: Arc::default() })
    }

    async fn close(&self, hub: OwnHub) {
        hub.hub.close();
    }

    fn capabilities(&self) -> Capabilities {
        let capabilities = Capabilities::default().with_topic_ends().with_keyed_topics();
        capabilities.with_exact_eviction().with_immediate_replies()
    }
}

fn test(fault: Option<Fault>) -> Result<Report, Failures> {
    conformance::hub(OwnHubs { fault })
}

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let fault = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => None,
        ["--fault", name] if Fault::ALL.iter().any(|(known, _)| *known == name) => {
            Fault::ALL.iter().find(|(known, _)| *known == name).map(|(_, fault)| *fault)
        }
        _ => {
            eprintln!("usage: conformance_hub [--fault lost|doubled|reordered|silent-gap]");
            return ExitCode::from(2);
        }
    };
    match test(fault) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(failures) => {
            println!("{failures}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, test};

    #[test]
    fn hub_conforms() {
        println!("{}", test(None).unwrap());
    }

    #[test]
    fn each_fault_is_found() {
        for (fault, case) in [
            (Fault::Lost, "order across topics"),
            (Fault::Doubled, "order across topics"),
            (Fault::Reordered, "order"),
            (Fault::SilentGap, "gap on eviction"),
        ] {
            let failures = test(Some(fault)).unwrap_err();
            println!("{fault:?}: {failures}");
            assert!(failures.iter().any(|failure| failure.case() == case), "{fault:?}: {failures}");
        }
    }
}
