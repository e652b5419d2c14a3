//! The command line.

use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::time::Duration;

use hyper::http::uri::{Authority, Parts, Uri};
use tidings::Pattern;

use crate::origins::canonical;

/// Text of `--help`.
pub(crate) const HELP: &str = "\
relay: a small push server, over HTTP/1.1

usage: relay [--listen ADDRESS] [--host NAME]… [--origin URL]… [--retain N]
             [--latest-per-key PATTERN]… [--min-interval MS] [--heartbeat SECONDS]
             [--new-topics N] [--drain-delay SECONDS] [--log]
             [--disk DIR [--disk-max-bytes N] [--durability WHEN]]

  --listen ADDRESS  address to listen on; port 0 takes a free one (default 127.0.0.1:7071).
                    A socket that a service manager passes, as systemd does, is used instead
  --host NAME       a host to answer for, like push.example or push.example:8080: the name that a
                    proxy in front passes on; may repeat. Then only these hosts, localhost, the
                    address itself and the hosts of --origin are answered. Without --host, the
                    latter three are answered on a loopback address, and every host on others
  --origin URL      a web origin, like https://app.example, whose pages may follow topics and
                    publish; may repeat. Pages of the server's own host may follow topics, other
                    pages neither. Programs that are not browsers need no origin
  --retain N        events of each topic that are kept for reconnects and polls (default 1000; at
                    most 1 MiB and one hour). A client gets a gap if more than N events, or 1 MiB,
                    are published between two of its polls: set N to at least the events of the
                    longest absence. A connected client gets a longer burst without a gap, while it
                    is at most 4 MiB behind
  --latest-per-key PATTERN
                    topics that keep the newest event of each key, whatever its age, like cars,
                    boards/* or boards/**; may repeat. A new client gets this state first, and then
                    the changes. Each event needs a key; DELETE removes it
  --min-interval MS time for which a long poll collects events of a busy topic, in milliseconds
                    (default 0: it is answered at the first event)
  --heartbeat SECONDS
                    longest silence of a stream, and time between two pings of a WebSocket (default
                    15 and 25): below the time after which a proxy closes a silent connection
  --new-topics N    topics that one publisher, known by its address, may create in an hour (default
                    10000; 0: any number, for a relay behind a proxy, whose clients all have the
                    proxy's address)
  --drain-delay SECONDS
                    time between the signal to shut down and the end of the first session (default
                    0). /readyz answers 503 from the signal on: set it to the time in which your
                    load balancer notices that
  --disk DIR        keep the events of all topics in this directory, which one process may use at a
                    time: a client that returns after a restart or a crash of the relay gets the
                    events since its cursor. --retain N then keeps N events of each topic, of any
                    size and age. Without --retain the defaults above apply. Each topic that a
                    publisher publishes to counts for --new-topics. Needs the feature `disk`
  --disk-max-bytes N
                    bytes of all events on disk (default 1073741824). The oldest are removed first.
                    The files may take twice as much
  --durability WHEN when a publish is answered: synced (default), after the disk has confirmed it,
                    or written, after the operating system has it: faster, and a power loss may
                    take the last events
  --log             log sessions and refusals, with their reasons, to standard output
  --help            print this text

  Each connection takes a file descriptor: set `ulimit -n` above the number that you expect.

  GET  /events?topic=T[&topic=U]…   follow topics by SSE, WebSocket, NDJSON stream, long or short
                                    poll: by the headers Accept, Upgrade and Prefer, or:
         &transport=NAME            sse, websocket, chunked, long-poll or short-poll, with any
                                    headers
         &cursor=CURSOR             begin after this cursor, which every event and reply has; also
                                    &lastEventId=, or the headers Last-Event-ID and If-None-Match
         &last=N                    without a cursor: begin with the last N events of each topic, at
                                    most 1000; &start=oldest: with the oldest that is kept
         &tag=TAG                   only events that were published with this tag; all events of a
                                    key, and its removal, need the same tag
         &wait=SECONDS              a long poll that is held for at most this time; also the header
                                    Prefer: wait=
         &session=NAME              the client's name for its polls, which makes them one session
         &format=object             SSE: each event as a JSON object, with its topic
         &heartbeat=visible         SSE and NDJSON: heartbeats as objects, which a script can read
         &controls=off              SSE: no blocks but events, for readers that parse every block
  POST /publish/TOPIC[?event=NAME][&key=KEY][&tag=TAG][&ttl=MS]
                                    publish the body: text (also the default type of `curl -d`),
                                    application/json or application/octet-stream, at most 1 MiB, not
                                    compressed
  POST /publish                     publish lines of
                                    {\"topic\":…,\"data\":…,\"event\"?,\"key\"?,\"tag\"?,\"ttl\"?} or
                                    {\"topic\":…,\"key\":…,\"removed\":true},
                                    all or none, at most 8 MiB
  DELETE /publish/TOPIC?key=KEY[&tag=TAG]
                                    remove the key from the state of the topic, which is one of
                                    --latest-per-key
  POST /finish/TOPIC[?reason=REASON]
                                    end the topic, once: done (default), stopped or failed. Its
                                    clients receive the end and do not reconnect; later
                                    publishes are answered with 409
  A body may be up to 30 s behind a rate of 8 KiB a second, so it may pause for 30 s, also at its
  beginning. Faster bytes make up for a delay, and do not count in advance.
  GET  /sessions[?after=ID][&limit=N]
                                    sessions as JSON: the first N (1 to 1000, default 1000) with an
                                    id greater than ID, in the order of their ids
  DELETE /sessions/ID               end a session; its client may reconnect
  GET  /healthz                     ok, for every host
  GET  /readyz                      ready, for every host; 503 from the signal to shut down on, and
                                    for 10 s after the disk has refused an event
  GET  /stats                       counters, as JSON";

const DEFAULT_LISTEN: &str = "127.0.0.1:7071";
/// Default of `--new-topics`: 10 MB, at about 1 kB for a topic with one small event.
const NEW_TOPICS: usize = 10_000;

/// Options of the relay.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    /// Address to listen on: `host:port`.
    pub(crate) listen: String,
    /// Further hosts that are answered. Empty: on an address that is not a loopback one, every host.
    pub(crate) hosts: Vec<String>,
    /// Number of events of history of each topic.
    pub(crate) retain: Option<usize>,
    /// Patterns of the topics that keep the newest event of each key.
    pub(crate) latest_per_key: Vec<Pattern>,
    /// Time for which a long poll collects events.
    pub(crate) long_poll_min_wait: Duration,
    /// Longest silence of a stream, and time between two pings of a WebSocket.
    pub(crate) heartbeat: Option<Duration>,
    /// Number of topics that one publisher may create in an hour. 0: any number.
    pub(crate) new_topics: usize,
    /// Time between the signal to shut down and the end of the first session.
    pub(crate) drain_delay: Duration,
    /// Directory of the events. `None`: they are in memory.
    pub(crate) disk: Option<PathBuf>,
    /// Maximum bytes of the events on disk.
    pub(crate) disk_max_bytes: Option<u64>,
    /// `true` to answer a publish before the disk has confirmed it.
    pub(crate) is_unsynced: bool,
    /// `true` to log sessions and refusals.
    pub(crate) log: bool,
    /// Origins with pages that may follow topics and publish.
    pub(crate) origins: Vec<String>,
}

/// Result of reading the command line.
pub(crate) enum Parsed {
    Help,
    Run(Box<Options>),
}

impl Options {
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Parsed, String> {
        let mut options = Self {
            listen: DEFAULT_LISTEN.into(),
            hosts: Vec::new(),
            retain: None,
            latest_per_key: Vec::new(),
            long_poll_min_wait: Duration::ZERO,
            heartbeat: None,
            new_topics: NEW_TOPICS,
            drain_delay: Duration::ZERO,
            disk: None,
            disk_max_bytes: None,
            is_unsynced: false,
            log: false,
            origins: Vec::new(),
        };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let (flag, inline) = match argument.split_once('=') {
                Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
                None => (argument, None),
            };
            let mut value = || inline.clone().or_else(|| arguments.next()).ok_or(format!("{flag} needs a value"));
            match flag.as_str() {
                "--help" | "-h" => return Ok(Parsed::Help),
                "--listen" => options.listen = value()?,
                "--retain" => {
                    let count = value()?;
                    let read = count.parse().map_err(|_| format!("--retain takes a number of events, not '{count}'"));
                    options.retain = Some(read?);
                }
                "--latest-per-key" => {
                    let pattern = value()?;
                    let wrong =
                        |error| format!("--latest-per-key takes a topic or a pattern, not '{pattern}': {error}");
                    options.latest_per_key.push(Pattern::new(&pattern).map_err(wrong)?);
                }
                "--min-interval" => {
                    let millis = value()?;
                    let read = millis.parse().map_err(|_| format!("--min-interval takes milliseconds, not '{millis}'"));
                    options.long_poll_min_wait = Duration::from_millis(read?);
                }
                "--heartbeat" => {
                    let seconds = value()?;
                    let read = seconds.parse().ok().filter(|seconds| (1..=3600).contains(seconds));
                    let wrong = || format!("--heartbeat takes seconds from 1 to 3600, not '{seconds}'");
                    options.heartbeat = Some(Duration::from_secs(read.ok_or_else(wrong)?));
                }
                "--new-topics" => {
                    let count = value()?;
                    let read =
                        count.parse().map_err(|_| format!("--new-topics takes a number of topics, not '{count}'"));
                    options.new_topics = read?;
                }
                "--drain-delay" => {
                    let seconds = value()?;
                    let read = seconds.parse().ok().filter(|seconds| (0..=3600).contains(seconds));
                    let wrong = || format!("--drain-delay takes seconds from 0 to 3600, not '{seconds}'");
                    options.drain_delay = Duration::from_secs(read.ok_or_else(wrong)?);
                }
                "--disk" => options.disk = Some(value()?.into()),
                "--disk-max-bytes" => {
                    let bytes = value()?;
                    let wrong = |_| format!("--disk-max-bytes takes a number of bytes, not '{bytes}'");
                    options.disk_max_bytes = Some(bytes.parse().map_err(wrong)?);
                }
                "--durability" => {
                    options.is_unsynced = match value()?.as_str() {
                        "synced" => false,
                        "written" => true,
                        other => return Err(format!("--durability takes synced or written, not '{other}'")),
                    }
                }
                "--log" => options.log = true,
                "--host" => options.hosts.push(host(&value()?)?),
                "--origin" => options.origins.push(origin(&value()?)?),
                _ => return Err(format!("unknown option {flag}; --help lists all options")),
            }
        }
        options.check().map(|options| Parsed::Run(Box::new(options)))
    }

    /// Refuses options that contradict one another, or need a feature that this relay was built without.
    fn check(self) -> Result<Self, String> {
        let is_on_disk = self.disk.is_some();
        if is_on_disk && !cfg!(feature = "disk") {
            let command = "cargo run --release --example relay --features full,disk -- --disk DIR";
            return Err(format!("--disk needs the feature `disk`: {command}"));
        }
        if !is_on_disk && (self.disk_max_bytes.is_some() || self.is_unsynced) {
            return Err("--disk-max-bytes and --durability need --disk DIR".to_owned());
        }
        Ok(self)
    }
}

/// Parses a scheme and a host, with or without a port, and nothing else (RFC 6454 §4).
fn origin(text: &str) -> Result<String, String> {
    let parts = text.parse::<Uri>().map(Uri::into_parts).ok();
    let bare = |parts: &Parts| parts.path_and_query.as_ref().is_none_or(|path| path == "/");
    let (scheme, authority) = match parts.filter(bare).map(|parts| (parts.scheme, parts.authority)) {
        Some((Some(scheme), Some(authority))) if is_host_and_port(&authority) => (scheme, authority),
        _ => return Err(format!("--origin takes a scheme and a host, like https://app.example, not '{text}'")),
    };
    Ok(canonical(&format!("{scheme}://{authority}")))
}

/// Parses a host, with or without a port, and nothing else.
fn host(text: &str) -> Result<String, String> {
    let wrong =
        |_| format!("--host takes a host with or without a port, like push.example or push.example:8080, not '{text}'");
    let authority = text.parse::<Authority>().map_err(|_| ()).map_err(wrong)?;
    let authority = is_host_and_port(&authority).then_some(authority).ok_or(()).map_err(wrong)?;
    Ok(authority.as_str().to_ascii_lowercase())
}

fn is_host_and_port(authority: &Authority) -> bool {
    let port = authority.as_str().strip_prefix(authority.host());
    let is_port =
        |port: &str| port.is_empty() || authority.port_u16().is_some_and(|number| port == format!(":{number}"));
    is_host(authority.host()) && port.is_some_and(is_port)
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
    }
}
