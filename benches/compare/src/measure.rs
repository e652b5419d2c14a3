//! One run: a new server, its subscribers, a load, and its cost.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::client::{Counts, Crowd};
use crate::contender::Contender;
use crate::cpus::Cpus;
use crate::server::Server;
use crate::workload::{Load, Workload};

/// Time after the last delivery in which a surplus one may arrive.
const AFTERMATH: Duration = Duration::from_millis(50);

/// Paths and settings of all runs.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    pub(crate) relay: &'a Path,
    pub(crate) cpus: Cpus,
    /// Time after the traffic at which memory is measured.
    pub(crate) rest: Duration,
    /// Set by a signal.
    pub(crate) stop: &'a AtomicBool,
}

impl Bench<'_> {
    /// Returns the figures of a workload's rows. A delivery that is lost, duplicated or out of order is an error.
    pub(crate) fn run(&self, workload: &Workload, contender: Contender) -> Result<(Vec<f64>, Counts), String> {
        let named = |error| format!("{}, {}: {error}", contender.name(), workload.name());
        let (figures, counts) = self.measure(workload, contender).map_err(named)?;
        match counts.are_clean() {
            true => Ok((figures, counts)),
            false => Err(named(format!(
                "{} lost, {} duplicated, {} out of order, {} astray",
                counts.lost, counts.duplicated, counts.out_of_order, counts.astray
            ))),
        }
    }

    fn measure(&self, workload: &Workload, contender: Contender) -> Result<(Vec<f64>, Counts), String> {
        let script = workload.script();
        let server = Server::start(contender, self.relay, self.cpus)?;
        server.settle()?;
        let empty = server.resident()?;
        let mut crowd = Crowd::connect(server.address, workload.audience, self.stop)?;
        server.settle()?;
        let per_connection =
            |resident: u64| resident.saturating_sub(empty) as f64 / workload.audience.subscribers as f64;
        let (idle, before) = (server.resident()?, server.cpu()?);
        crowd.publish(&script)?;
        // Work after the last delivery counts too. The scheduler reports a running thread only up to its last tick, up
        // to 4 ms
        // ago: more than a fast server's whole batch.
        server.settle()?;
        let used = server.cpu()?.saturating_sub(before);
        crowd.linger(AFTERMATH)?;
        let figures = match workload.load {
            Load::Memory { .. } => {
                crowd.linger(self.rest)?;
                server.settle()?;
                vec![per_connection(idle), per_connection(server.resident()?)]
            }
            _ => vec![
                used.as_nanos() as f64 / 1000.0 / f64::from(script.published) / workload.audience.subscribers as f64,
            ],
        };
        Ok((figures, crowd.counts()))
    }
}
