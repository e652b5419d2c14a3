use crate::conformance::adapters::own_adapters;
use crate::conformance::cases::CASES;
use crate::conformance::run::{CaseHub, CaseOptions, Failures, HubUnderTest, Problem, Report, Table};
use crate::conformance::subscriber::{SourceUnderTest, run_cases};
use crate::model::{Cursor, Event, Overflow, Topic};
use crate::subscriber::BoxSubscriber;

/// Tests a hub under virtual time: the promises of its subscriptions, and those to clients over the adapters of this crate.
///
/// The hub needs no runtime of the kit. If it needs one of its own, such as tokio's, enter it before the call:
/// `let _guard = runtime.enter();` with a runtime of several threads.
///
/// ```
/// use std::error::Error;
/// use tidings::LocalHub;
/// use tidings::conformance::{Capabilities, Failures, HubOptions, HubUnderTest, hub};
///
/// /// In place of a hub of your own.
/// struct Hubs;
///
/// impl HubUnderTest for Hubs {
///     type Hub = LocalHub;
///
///     async fn open(&self, options: &HubOptions) -> Result<LocalHub, Box<dyn Error + Send + Sync>> {
///         Ok(LocalHub::builder().retain(options.retention()).build())
///     }
///
///     async fn close(&self, hub: LocalHub) {
///         hub.close();
///     }
///
///     fn capabilities(&self) -> Capabilities {
///         Capabilities::default().with_topic_ends().with_immediate_replies()
///     }
/// }
///
/// fn main() -> Result<(), Failures> {
///     let report = hub(Hubs)?;
///     println!("{report}");
///     assert!(report.skipped().any(|case| case == "state first, then changes"));
///     Ok(())
/// }
/// ```
///
/// # Errors
///
/// Returns the failures.
pub fn hub(hub: impl HubUnderTest) -> Result<Report, Failures> {
    let (table, hub) = (Table::of(CASES, true), CaseHub::new(hub));
    let subscriptions = run_cases(hub.timer(), hub.capabilities().immediate, async || {
        hub.begin(CaseOptions { retain: 1_000, overflow: Overflow::Gap, filter: None }).await?;
        Ok(HubSource(hub.clone()))
    });
    table.drive(&hub, &own_adapters());
    match (subscriptions, table.report()) {
        (Ok(one), Ok(other)) => Ok(Report { cases: one.cases + other.cases, runs: one.runs + other.runs, ..other }),
        (Err(one), Err(other)) => Err(Failures { failed: [one.failed, other.failed].concat() }),
        (Err(failures), _) | (_, Err(failures)) => Err(failures),
    }
}

/// Source of subscriptions of the current hub.
struct HubSource(CaseHub);

impl SourceUnderTest for HubSource {
    type Subscriber = BoxSubscriber;

    fn subscribe(&self, topics: &[&str]) -> Result<BoxSubscriber, Problem> {
        Ok(self.0.subscribe_after(topics, None)?)
    }

    async fn publish(&self, topic: &Topic, event: Event) -> Result<(), Problem> {
        self.0.publish(topic.as_str(), event).await.map(drop)
    }

    async fn end(&self) -> Result<(), Problem> {
        self.0.close().await
    }

    fn resume(&self, topics: &[&str], cursor: Cursor) -> Option<Result<BoxSubscriber, Problem>> {
        Some(self.0.subscribe_after(topics, Some(&cursor.to_string())).map_err(Problem::from))
    }
}
