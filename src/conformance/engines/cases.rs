use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::conformance::engines::node_hub::NodeHubs;
use crate::conformance::engines::seam::Seam;
use crate::conformance::engines::{EngineUnderTest, hubs, logs, pages, tails};
use crate::conformance::hub;
use crate::conformance::run::drive::drive;
use crate::conformance::run::report::{Failure, Failures, Report};
use crate::conformance::run::{CaseResult, VirtualTimer};

/// A case and its run, which begins when it is polled.
type Run = (&'static str, Pin<Box<dyn Future<Output = CaseResult>>>);

/// Tests an engine: its log, the records that it pushes, and an [`EngineHub`](crate::engine::EngineHub) of each of two nodes. If
/// all these cases pass, tests such a hub as [`hub`] does, with ends of topics and restarts: a restart is the hub of another node
/// on the same log.
///
/// Engines and drivers run on threads of their own, see [`EngineUnderTest::block_on`]. An operation, or a record that is expected, is
/// waited for for 5 s. An engine whose appends are [queued](crate::engine::Appended::Queued) cannot be tested.
///
/// ```no_run
/// use std::error::Error;
/// use tidings::conformance::{self, EngineUnderTest, HubOptions};
/// use tidings::engine::Engine;
///
/// /// Opens engines of your own.
/// struct Engines<F>(F);
///
/// impl<E: Engine, F: Fn(&str) -> E + Send + Sync + 'static> EngineUnderTest for Engines<F> {
///     type Engine = E;
///
///     async fn open(&self, options: &HubOptions) -> Result<E, Box<dyn Error + Send + Sync>> {
///         Ok((self.0)(options.name()))
///     }
/// }
///
/// fn conforms<E: Engine>(open: impl Fn(&str) -> E + Send + Sync + 'static) {
///     println!("{}", conformance::engine(Engines(open)).unwrap());
/// }
/// ```
///
/// The example `engine_in_memory` in the repository has an engine, and planted faults that the kit finds.
///
/// # Errors
///
/// Returns the failures.
pub fn engine(engine: impl EngineUnderTest) -> Result<Report, Failures> {
    let (kit, timer, mut failed) = (Arc::new(engine), VirtualTimer::new(), Vec::new());
    let cases = cases(&kit);
    let count = cases.len();
    for (case, run) in cases {
        if let Err(problem) = drive(&timer, false, run) {
            failed.push(Failure { case, on: "an engine".to_owned(), problem: problem.to_string() });
        }
    }
    if !failed.is_empty() {
        return Err(Failures { failed });
    }
    let report = hub(NodeHubs(kit))?;
    Ok(Report { cases: report.cases + count, runs: report.runs + count, ..report })
}

fn cases<K: EngineUnderTest>(kit: &Arc<K>) -> Vec<Run> {
    vec![
        ("state of the log", Box::pin(logs::state(Seam::new(kit, 100)))),
        ("one record appended twice", Box::pin(logs::twice(Seam::new(kit, 100)))),
        ("topic that has ended", Box::pin(logs::ended(Seam::new(kit, 100)))),
        ("events and ends at once", Box::pin(logs::at_once(Seam::new(kit, 100)))),
        ("pages in order", Box::pin(pages::order(Seam::new(kit, 100)))),
        ("pages of the last events", Box::pin(pages::last(Seam::new(kit, 100)))),
        ("pages prove losses", Box::pin(pages::lost(Seam::new(kit, 4)))),
        ("follow completes its head", Box::pin(tails::head(Seam::new(kit, 100)))),
        ("follow yields ends", Box::pin(tails::ends(Seam::new(kit, 100)))),
        ("records before their completion", Box::pin(tails::complete(Seam::new(kit, 100)))),
        ("records name their predecessor", Box::pin(tails::previous(Seam::new(kit, 100)))),
        ("unfollow stops records", Box::pin(tails::unfollow(Seam::new(kit, 100)))),
        ("event of another node", Box::pin(hubs::other_node(Seam::new(kit, 100)))),
        ("subscription from now", Box::pin(hubs::from_now(Seam::new(kit, 100)))),
        ("cursor of another node", Box::pin(hubs::resumed(Seam::new(kit, 100)))),
        ("cursor ahead of the node", Box::pin(hubs::ahead(Seam::new(kit, 100)))),
    ]
}
