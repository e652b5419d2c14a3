//! The cases of the conformance kit over every transport of an endpoint, on loopback with HTTP/1.1 and HTTP/2. `tests/conformance`
//! runs them over hubs and adapters under virtual time.

mod endpoint;

use std::sync::Arc;
use std::time::Duration;

use tidings::conformance::{CaseHub, CaseResult, LocalHubs, Table};
use tokio::time::timeout;

use crate::clients::BoxFuture;

/// Maximum duration of a case, enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Number of workers of the endpoint's table. Many of its runs wait for a timer: an endpoint holds the answer to a client that
/// has the end of its topics for a second.
const WORKERS: usize = 32;

#[tokio::test]
async fn every_transport_of_the_endpoint_conforms() {
    let table = Arc::new(Table::new());
    let workers: Vec<_> = (0..WORKERS).map(|_| tokio::spawn(work(table.clone()))).collect();
    for worker in workers {
        worker.await.unwrap();
    }
    let report = table.report().unwrap();
    assert!(report.skipped().all(|case| case.contains("restart")), "{report}");
}

async fn work(table: Arc<Table>) {
    let hub = CaseHub::new(LocalHubs::default());
    let rows = endpoint::rows(&hub).await;
    table.work(&hub, &rows, within).await;
}

fn within(run: BoxFuture<'_, CaseResult>) -> BoxFuture<'_, CaseResult> {
    Box::pin(async { timeout(PATIENCE, run).await.unwrap_or_else(|_| Err("no item".into())) })
}
