//! A small push server that is ready to use: an event that is posted to a topic is sent to every client that follows the
//! topic, over the transport of the client.
//!
//! ```text
//! cargo run --release --example relay --features full -- --listen 127.0.0.1:7071
//!
//! curl -N 'http://127.0.0.1:7071/events?topic=news' -H 'accept: text/event-stream'
//! curl 'http://127.0.0.1:7071/publish/news' -d 'it is on'
//! ```
//!
//! The first curl prints `data: it is on` and its `id:`, the second the event's cursor and the number of subscribers.
//! `POST /finish/news` ends the topic. Its clients receive the end and do not reconnect.
//!
//! With `--latest-per-key cars` the topic `cars` keeps the newest event of each key. A new client gets these first:
//!
//! ```text
//! curl 'http://127.0.0.1:7071/publish/cars?key=42' -d 'at the station'
//! curl -X DELETE 'http://127.0.0.1:7071/publish/cars?key=42'
//! ```
//!
//! With `--disk DIR` events are kept in a directory. Clients that return after a restart of the relay miss nothing:
//!
//! ```text
//! cargo run --release --example relay --features full,disk -- --disk /var/lib/relay
//! ```
//!
//! It takes a socket that systemd passes (`LISTEN_FDS`), so that connections wait while it restarts: see docs/proxies.md.
//!
//! Every client that can connect may follow all topics and publish to them. Run it where only your own programs can
//! connect, or behind a proxy that authenticates.

mod bodies;
#[cfg(feature = "disk")]
mod disk;
mod finish;
mod hosts;
mod hub;
mod lines;
mod listen;
mod options;
mod origins;
mod pace;
mod pages;
mod peer;
mod problem;
mod publish;
mod quota;
mod refusal;
mod request;
mod serve;
mod sessions;
mod status;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use tidings::Endpoint;
use tokio::runtime::{self, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use bodies::Bodies;
use hosts::Hosts;
use hub::RelayHub;
use options::{Options, Parsed};
use origins::Origins;
use quota::Quota;

/// Maximum bytes of a payload.
const MAX_PAYLOAD: usize = 1 << 20;
/// Maximum bytes of a body of lines.
const MAX_LINES: usize = 8 << 20;
/// Time for the pong of a WebSocket.
const PONG: Duration = Duration::from_secs(10);
/// Time for a shutdown after the delay: below the 30 s after which orchestrators kill.
const DRAIN: Duration = Duration::from_secs(8);

/// State of all pages.
struct Relay {
    hub: Arc<RelayHub>,
    events: Endpoint,
    bodies: Bodies,
    quota: Quota,
    origins: Origins,
    hosts: Hosts,
}

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(Parsed::Run(options)) => options,
        Ok(Parsed::Help) => {
            println!("{}", options::HELP);
            return ExitCode::SUCCESS;
        }
        Err(mistake) => return fail(&mistake),
    };
    let hub = match RelayHub::open(&options) {
        Ok(hub) => Arc::new(hub),
        Err(error) => return fail(&error),
    };
    let served = runtime().and_then(|runtime| runtime.block_on(run(options, hub.clone())));
    hub.close();
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

/// Returns a runtime with a thread for each CPU that this process may use. A single thread shares no tasks, and costs less.
fn runtime() -> io::Result<Runtime> {
    let mut builder = match available_parallelism().is_ok_and(|cpus| cpus.get() == 1) {
        true => runtime::Builder::new_current_thread(),
        false => runtime::Builder::new_multi_thread(),
    };
    builder.enable_all().build()
}

async fn run(options: Box<Options>, hub: Arc<RelayHub>) -> io::Result<()> {
    let listener = listen::listen(&options.listen).await?;
    hub.notifier().map(tokio::spawn);
    let address = listener.local_addr()?;
    let hosts = Hosts::new(address, &options);
    let events = endpoint(&hub, &hosts, &options);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let signalled = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let drained = events.drain_on(signalled);
    println!("relay: listening on http://{address}");

    let (bodies, quota) = (Bodies::default(), Quota::new(options.new_topics));
    let relay = Relay { hub, events, bodies, quota, origins: Origins::new(options.origins), hosts };
    serve::serve(listener, Arc::new(relay), drained).await;
    Ok(())
}

fn endpoint(hub: &RelayHub, hosts: &Hosts, options: &Options) -> Endpoint {
    let builder = hub
        .endpoint(options.log)
        .drain_delay(options.drain_delay)
        .drain_timeout(DRAIN)
        .long_poll_min_wait(options.long_poll_min_wait)
        .allowed_hosts(hosts.iter());
    let builder = match options.heartbeat {
        Some(heartbeat) => builder.keep_alive(heartbeat).ping(heartbeat, PONG),
        None => builder,
    };
    let builder = match options.log {
        true => builder.on_refusal(|refused| println!("{}", refusal::with_options(&refused.to_string()))),
        false => builder,
    };
    options.origins.iter().fold(builder, |builder, origin| builder.allow_origin(origin)).build()
}

fn fail(message: &str) -> ExitCode {
    eprintln!("relay: {message}");
    ExitCode::FAILURE
}
