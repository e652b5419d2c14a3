//! A small push server, for who wants one without writing code: whatever is posted to a topic goes to everyone who
//! listens to it, over whichever transport they speak.
//!
//! ```text
//! cargo run --release --example relay --features full -- --listen 127.0.0.1:7071
//!
//! curl -N 'http://127.0.0.1:7071/events?topic=news' -H 'accept: text/event-stream'
//! curl 'http://127.0.0.1:7071/publish/news' -d 'it is on'
//! ```
//!
//! Anyone who reaches it may listen to every topic and publish to it: put it where only your own programs do, or
//! behind a proxy that asks who is there.

mod bodies;
mod lines;
mod options;
mod origins;
mod pace;
mod pages;
mod peer;
mod problem;
mod publish;
mod quota;
mod request;
mod serve;
mod sessions;
mod status;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use hyper::{Request, StatusCode, header};
use tidings::{Endpoint, Event, LocalHub, Retention};
use tokio::runtime::{self, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use bodies::Bodies;
use options::{Options, Parsed};
use origins::Origins;
use problem::Problem;
use quota::Quota;

/// The largest payload, in bytes.
const MAX_PAYLOAD: usize = 1 << 20;
/// The largest body of lines, in bytes.
const MAX_LINES: usize = 8 << 20;
/// How often what is too old leaves topics that nobody publishes to.
const SWEEP: Duration = Duration::from_secs(10);
/// How long the pong of a WebSocket may take.
const PONG: Duration = Duration::from_secs(10);
/// How long a shutdown may take: below the 30 s after which orchestrators kill.
const DRAIN: Duration = Duration::from_secs(8);

/// What every page works with.
struct Relay {
    hub: LocalHub,
    events: Endpoint,
    bodies: Bodies,
    quota: Quota,
    origins: Origins,
    /// Which it answers for. Empty: any.
    hosts: Vec<String>,
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
    match runtime().and_then(|runtime| runtime.block_on(run(options))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

/// A thread for each CPU that this process may use. One alone does without what several need to share tasks.
fn runtime() -> io::Result<Runtime> {
    let mut builder = match available_parallelism().is_ok_and(|cpus| cpus.get() == 1) {
        true => runtime::Builder::new_current_thread(),
        false => runtime::Builder::new_multi_thread(),
    };
    builder.enable_all().build()
}

async fn run(options: Options) -> io::Result<()> {
    let listener = tidings::server::bind(&options.listen).await.map_err(|error| {
        let why = format!("can't listen on {}: {error}; choose another with --listen", options.listen);
        io::Error::new(error.kind(), why)
    })?;
    let hub = LocalHub::builder()
        .retain(options.retain.map_or_else(Retention::default, Retention::count))
        .max_event(MAX_PAYLOAD + 2 * Event::MAX_LABEL)
        .build();
    // Wakes a topic's listeners, a few hundred at a time: who publishes goes on meanwhile, and they get more at once.
    hub.notifier().map(tokio::spawn);
    let address = listener.local_addr()?;
    let hosts = hosts(address, &options);
    let events = endpoint(&hub, &hosts, &options);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let asked = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let drained = events.drain_on(asked);
    println!("relay: listening on http://{address}");

    let (bodies, quota) = (Bodies::default(), Quota::new(options.new_topics));
    let relay = Relay { hub, events, bodies, quota, origins: Origins::new(options.origins), hosts };
    serve::serve(listener, Arc::new(relay), drained).await;
    Ok(())
}

/// The push endpoint: a client gets the topics that it names.
fn endpoint(hub: &LocalHub, hosts: &[String], options: &Options) -> Endpoint {
    let (hub, swept) = (hub.clone(), hub.clone());
    let builder = Endpoint::builder(sessions::Guests { hub, log: options.log })
        .drain_window(DRAIN)
        .min_interval(options.min_interval)
        .allowed_hosts(hosts.iter().map(String::as_str))
        .every(SWEEP, move || swept.sweep());
    let builder = match options.heartbeat {
        Some(heartbeat) => builder.keep_alive(heartbeat).ping(heartbeat, PONG),
        None => builder,
    };
    let builder = if options.log { builder.on_refusal(|refused| println!("{refused}")) } else { builder };
    options.origins.iter().fold(builder, |builder, origin| builder.allow_origin(origin)).build()
}

/// Returns the hosts that are answered on a loopback address: its names, those that were named, and those of the listed
/// pages. A page can point a name of its own at 127.0.0.1, and be of the same host then (DNS rebinding). On another address
/// there is no list, and every host is answered.
fn hosts(address: SocketAddr, options: &Options) -> Vec<String> {
    let ip = address.ip();
    if !ip.to_canonical().is_loopback() {
        return Vec::new();
    }
    let own = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
    let listed = options.origins.iter().filter_map(|origin| origin.split_once("://")).map(|(_, host)| host);
    let ours = ["localhost", "127.0.0.1", "[::1]", &own].into_iter().chain(listed).map(str::to_owned);
    ours.chain(options.hosts.iter().cloned()).collect()
}

impl Relay {
    /// As the endpoint does for its own page: a listed host without a port is meant with any.
    fn only_for_our_hosts<B>(&self, request: &Request<B>) -> Result<(), Problem> {
        let header = || request.headers().get(header::HOST)?.to_str().ok();
        let asked = request.uri().authority().map(|authority| authority.as_str()).or_else(header).unwrap_or_default();
        let bare = asked.trim_end_matches(|end: char| end.is_ascii_digit()).strip_suffix(':').unwrap_or(asked);
        // Most are written alike, and that is seen at once.
        let is = |ours: &String| ours == bare || ours.eq_ignore_ascii_case(bare) || ours.eq_ignore_ascii_case(asked);
        match self.hosts.is_empty() || self.hosts.iter().any(is) {
            true => Ok(()),
            false => {
                let why = "this host is not served here; relay --host adds it";
                Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, why))
            }
        }
    }
}

fn fail(message: &str) -> ExitCode {
    eprintln!("relay: {message}");
    ExitCode::FAILURE
}
