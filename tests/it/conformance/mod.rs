//! A table of cases that hold for every transport, and for every change from one transport to another.
//!
//! A [`Case`](table::Case) is a function over one or two rows. A [`Row`](row::Row) is an adapter and a client for it.
//! A [`Table`](table::Table) runs each case for each of its rows, or each ordered pair of rows, and names the case and the rows
//! of all failures. There are two sets of rows: [`endpoint`], every transport of a real server over loopback, on HTTP/1.1 and
//! HTTP/2, and [`adapters`], the adapters under virtual time.
//!
//! # Running the table over other code
//!
//! - A hub: implement [`HubUnderTest`](test_hub::HubUnderTest) for it, and give [`TestHub::new`](test_hub::TestHub::new) a
//!   function that opens one. Both sets of rows take any hub.
//! - An adapter: implement [`Row`](row::Row), whose `connect` returns a [`Client`](crate::clients::Client), and add it to
//!   the rows of a set. If its wire format is one of those in `clients`, [`Inbox`](crate::clients::Inbox) and a
//!   [`Wire`](crate::clients::Wire) read it. `Row::shows` removes what the wire format cannot express: topics, cursors or
//!   gaps.

mod adapters;
mod cases;
mod context;
mod endpoint;
mod row;
mod table;
mod test_hub;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::clients::BoxFuture;
use crate::support::VirtualTimer;
use context::CaseResult;
use table::Table;
use test_hub::{TestHub, open_local};

/// Maximum duration of a case, enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Maximum virtual duration of a case, longer than every deadline of an adapter.
const VIRTUAL_PATIENCE: Duration = Duration::from_secs(3_600);

/// Number of workers of the endpoint's table. Many of its runs wait for a timer: an endpoint holds the answer to a client that
/// has the end of its topics for a second.
const WORKERS: usize = 32;

#[tokio::test]
async fn every_transport_of_the_endpoint_conforms() {
    let table = Arc::new(Table::default());
    let workers: Vec<_> = (0..WORKERS).map(|_| tokio::spawn(work(table.clone()))).collect();
    for worker in workers {
        worker.await.unwrap();
    }
    table.check();
}

async fn work(table: Arc<Table>) {
    let hub = Arc::new(TestHub::new(open_local));
    let rows = endpoint::rows(&hub).await;
    table.work(&hub, &rows, within).await;
}

fn within(run: BoxFuture<'_, CaseResult>) -> BoxFuture<'_, CaseResult> {
    Box::pin(async { timeout(PATIENCE, run).await.unwrap_or_else(|_| Err("no item".into())) })
}

#[test]
fn every_adapter_conforms() {
    let (timer, hub, table) = (VirtualTimer::new(), Arc::new(TestHub::new(open_local)), Table::default());
    let rows = adapters::rows(&hub, &timer);
    adapters::block_on(
        &timer,
        table.work(&hub, &rows, |run| Box::pin(adapters::within(timer.clone(), VIRTUAL_PATIENCE, run))),
    );
    table.check();
}
