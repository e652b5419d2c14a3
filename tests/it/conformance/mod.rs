//! One table: what every client gets from every hub, by whichever transport, and from one to another.
//!
//! A [`Case`](table::Case) is a function over one or two rows. A [`Row`](row::Row) is a way to a hub's events: an
//! adapter and a client for it. [`table::run`] runs each case for each row, or each ordered pair of rows, that it is
//! for, and names the case and the rows of all that fail. There are two sets of rows: [`mounted`], every transport of a
//! real server over loopback, on HTTP/1.1 and HTTP/2, and [`bare`], the adapters themselves under virtual time.
//!
//! # To run it over something else
//!
//! - A hub: implement [`Source`](stage::Source) for it, and give [`Stage::new`](stage::Stage::new) a function that
//!   opens one. Both sets of rows take any stage.
//! - An adapter: implement [`Row`](row::Row), whose `connect` gives a [`Client`](crate::clients::Client), and add it to
//!   the rows of a set. If its wire is one of those in `clients`, [`Inbox`](crate::clients::Inbox) and a
//!   [`Wire`](crate::clients::Wire) do the reading. What the wire can't tell (topics, cursors, gaps) is left out by
//!   `Row::shows`.

mod bare;
mod cases;
mod mounted;
mod row;
mod scene;
mod stage;
mod table;

pub(crate) use mounted::serve;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::support::VirtualTimer;
use stage::{Stage, open_local};

/// On a machine that is busy with something else, too.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time enough for every deadline of an adapter.
const VIRTUAL_PATIENCE: Duration = Duration::from_secs(3_600);

#[test]
fn every_transport_of_the_mount_conforms() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stage = Arc::new(Stage::new(open_local));
        let rows = mounted::rows(&stage).await;
        table::run(&stage, &rows, |run| {
            Box::pin(async { timeout(PATIENCE, run).await.unwrap_or_else(|_| Err("nothing came".into())) })
        })
        .await;
    });
}

#[test]
fn every_bare_adapter_conforms() {
    let (timer, stage) = (VirtualTimer::new(), Arc::new(Stage::new(open_local)));
    let rows = bare::rows(&stage, &timer);
    bare::block_on(
        &timer,
        table::run(&stage, &rows, |run| Box::pin(bare::within(timer.clone(), VIRTUAL_PATIENCE, run))),
    );
}
