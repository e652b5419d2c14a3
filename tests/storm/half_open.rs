use std::io;
use std::time::Duration;

use serde_json::Value;
use tidings::Transport;
use tokio::process::Command;
use tokio::time::Instant;

use crate::args::Args;
use crate::figures::Figures;
use crate::pause;
use crate::process::Process;
use crate::wire::{Wire, request};

/// Addresses that are used only in the two namespaces.
const SERVER: &str = "10.213.77.1";
const CLIENT: &str = "10.213.77.2";
/// Number of clients of each transport.
const EACH: u64 = 10;

/// Settings of the server, in milliseconds.
struct Times {
    keep_alive: u64,
    ping: u64,
    pong: u64,
    hold: u64,
    /// Time for which the kernel waits for an acknowledgement; `tidings::server::set_tcp_options` sets another.
    user_timeout: Option<u64>,
}

/// Seconds by which a session may outlive its heartbeat here: a busy machine is late, and a session that nothing ends
/// lives
/// for minutes. Tests in virtual time show the exact times.
const SLACK: f64 = 10.0;
/// A minute more than any end takes by default.
const LIMIT: Duration = Duration::from_secs(120);
/// Timeout that `tidings::server::set_tcp_options` sets.
const TUNED: u64 = 30_000;

/// Peers with a line that is cut, and peers that end behind a byte that the server does not read.
pub(crate) async fn run(args: &mut Args, figures: &mut Figures) -> Result<(), String> {
    let times = Times {
        keep_alive: args.or("keep-alive", 1_000)?,
        ping: args.or("ping", 1_000)?,
        pong: args.or("pong", 1_000)?,
        hold: args.or("hold", 2_000)?,
        user_timeout: Some(args.or("user-timeout", 2_000)?).filter(|&timeout| timeout > 0),
    };
    cut_lines(&times, figures).await?;
    last_bytes(&times, figures).await
}

/// Checks that network namespaces can be made here. Returns the reason if not.
pub(crate) async fn is_possible() -> Result<(), String> {
    Namespace::new("probe").await.map(drop).map_err(|error| format!("no network namespace: {error}"))
}

async fn cut_lines(times: &Times, figures: &mut Figures) -> Result<(), String> {
    const BEFORE: u64 = 3;
    let (near, far) = (Namespace::new("near").await?, Namespace::new("far").await?);
    near.run(&["link", "add", "near", "type", "veth", "peer", "name", "far", "netns", &far.0]).await?;
    for (namespace, device, address) in [(&near, "near", SERVER), (&far, "far", CLIENT)] {
        namespace.run(&["address", "add", &format!("{address}/24"), "dev", device]).await?;
        namespace.run(&["link", "set", device, "up"]).await?;
    }
    let mut server = times.serve(Some(&near.0), &format!("{SERVER}:0")).await?;
    let address = server.address().await?;
    let cursor = server.cursor().await?;
    let (each, goal) = (EACH.to_string(), (2 * BEFORE).to_string());
    let mut crowd = Process::start(
        Some(&far.0),
        &["crowd", "--kind", "silent", "--address", &address, "--each", &each, "--cursor", &cursor, "--goal", &goal],
    )?;
    let all = |stats: &Value| LIVE.iter().all(|transport| stats["sessions"][transport.as_str()] == EACH);
    server.until(0, all).await?;
    server.ask(&format!("publish --rate 10 --each {BEFORE}")).await?;
    pause(Duration::from_millis(1_300)).await;

    far.run(&["link", "set", "far", "down"]).await?;
    let cut = Instant::now();
    for (transport, gone) in LIVE.iter().zip(gone(&mut server, cut).await?) {
        let limit = times.limit(*transport) + SLACK;
        figures.at_most(&format!("{transport:?}, cut off, gone after"), gone, limit, "s");
    }
    server.ask(&format!("publish --rate 10 --each {BEFORE}")).await?;
    pause(Duration::from_millis(500)).await;
    far.run(&["link", "set", "far", "up"]).await?;
    let report = crowd.ask("resume").await?;
    figures.exactly("events lost after a resume", report["lost"].as_u64().unwrap_or(u64::MAX), 0);
    figures.exactly("events repeated", report["duplicated"].as_u64().unwrap_or(u64::MAX), 0);
    figures.holds("and failed", &report["wrong"], report["wrong"].as_array().is_some_and(Vec::is_empty));
    Ok(())
}

/// Transports with sessions that last until the server knows that the client is gone.
const LIVE: [Transport; 4] = [Transport::Sse, Transport::Chunked, Transport::WebSocket, Transport::LongPoll];

/// hyper does not read on behind a request, and so does not see an end behind one more byte.
async fn last_bytes(times: &Times, figures: &mut Figures) -> Result<(), String> {
    let mut server = times.serve(None, "127.0.0.1:0").await?;
    let (address, cursor) = (server.address().await?, server.cursor().await?);
    for (name, end) in [("FIN", Wire::close as fn(Wire)), ("RST", Wire::reset)] {
        let mut wires = Vec::new();
        for transport in LIVE {
            wires.push(begin(&address, transport, &cursor).await.map_err(|error| error.to_string())?);
        }
        server.until(0, |stats| stats["live"] == LIVE.len()).await?;
        for wire in &mut wires {
            wire.send("G").await.map_err(|error| error.to_string())?;
        }
        pause(Duration::from_millis(50)).await;
        let ended = Instant::now();
        wires.into_iter().for_each(end);
        for (transport, gone) in LIVE.iter().zip(gone(&mut server, ended).await?) {
            let what = format!("{transport:?}, a {name} behind a byte, gone after");
            figures.at_most(&what, gone, times.heartbeat(*transport) + SLACK, "s");
        }
    }
    Ok(())
}

/// Returns the seconds after which the sessions of each transport had ended.
async fn gone(server: &mut Process, since: Instant) -> Result<[f64; LIVE.len()], String> {
    let mut gone = [f64::INFINITY; LIVE.len()];
    while gone.contains(&f64::INFINITY) && since.elapsed() < LIMIT {
        let sessions = server.stats(0).await?["sessions"].take();
        for (transport, gone) in LIVE.iter().zip(&mut gone) {
            if sessions[transport.as_str()] == 0 {
                *gone = gone.min(since.elapsed().as_secs_f64());
            }
        }
        pause(Duration::from_millis(5)).await;
    }
    Ok(gone)
}

async fn begin(address: &str, transport: Transport, cursor: &str) -> io::Result<Wire> {
    let mut wire = Wire::connect(address).await?;
    wire.send(request(transport, "storm/0", Some(cursor))).await?;
    // Everything is read: unread bytes at a client turn its FIN into a RST.
    match transport {
        Transport::LongPoll => {}
        Transport::WebSocket => drop((wire.head().await?, wire.frame().await?)),
        _ => drop((wire.head().await?, wire.chunk().await?)),
    }
    Ok(wire)
}

impl Times {
    async fn serve(&self, namespace: Option<&str>, listen: &str) -> Result<Process, String> {
        let Self { keep_alive, ping, pong, hold, user_timeout } = self;
        let mut args = vec!["serve".to_owned(), "--listen".to_owned(), listen.to_owned()];
        let set = [("--keep-alive", keep_alive), ("--ping", ping), ("--pong", pong), ("--hold", hold)];
        let set = set.into_iter().chain(user_timeout.iter().map(|timeout| ("--user-timeout", timeout)));
        args.extend(set.flat_map(|(name, millis)| [name.to_owned(), millis.to_string()]));
        Process::start(namespace, &args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Returns the seconds after which a session with a cut line must have ended, on a quiet machine.
    fn limit(&self, transport: Transport) -> f64 {
        let millis = match transport {
            Transport::WebSocket => self.ping + self.pong,
            Transport::LongPoll => self.hold,
            // The keep-alive goes into the socket; only the kernel sees that it is not acknowledged.
            _ => self.keep_alive + self.user_timeout.unwrap_or(TUNED),
        };
        millis as f64 / 1_000.0
    }

    /// Returns the seconds after which a session whose peer has ended must have ended, on a quiet machine.
    fn heartbeat(&self, transport: Transport) -> f64 {
        let millis = match transport {
            Transport::WebSocket => self.ping + self.pong,
            Transport::LongPoll => self.hold,
            // The first keep-alive is answered with a RST, the second one fails.
            _ => 2 * self.keep_alive,
        };
        millis as f64 / 1_000.0
    }
}

/// A network namespace, which is removed when this is dropped.
struct Namespace(String);

impl Namespace {
    async fn new(name: &str) -> Result<Self, String> {
        let name = format!("storm-{name}-{}", std::process::id());
        ip(&["netns", "add", &name]).await?;
        Ok(Self(name))
    }

    async fn run(&self, args: &[&str]) -> Result<(), String> {
        ip(&[&["-n", &self.0], args].concat()).await
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(std::process::Command::new("ip").args(["netns", "delete", &self.0]).status());
    }
}

async fn ip(args: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(args).output().await.map_err(|error| format!("ip: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim())),
    }
}
