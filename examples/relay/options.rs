//! The command line.

use std::net::Ipv6Addr;
use std::time::Duration;

use hyper::http::uri::{Authority, Parts, Uri};

use crate::origins::canonical;

/// Text of `--help`.
pub(crate) const HELP: &str = "\
relay: a small push server, over HTTP/1.1

usage: relay [--listen ADDRESS] [--host NAME]… [--origin URL]… [--retain N] [--min-interval MS]
             [--heartbeat SECONDS] [--new-topics N] [--log]

  --listen ADDRESS  where to listen; port 0 takes a free one (default 127.0.0.1:7071)
  --host NAME       a host to answer for, like push.example or push.example:8080: the one that a
                    proxy in front passes on; may repeat. Then only these are answered, localhost,
                    the address itself and the hosts of --origin. Without --host the latter are
                    answered on a loopback address, and every host on other addresses
  --origin URL      a web origin, like https://app.example, whose pages may listen and publish; may
                    repeat. Pages of the server's own host may listen, other pages nothing; programs
                    are not asked
  --retain N        how many events of each topic are kept for clients that come back and for polls
                    (default 1000; always at most 1 MiB and one hour). A burst of more than N
                    events, or 1 MiB, between two polls of a client reaches it with a gap: N is at
                    least the events of the longest time that a client may be away. A client that is
                    connected gets a longer burst whole, while it is no more than 4 MiB behind
  --min-interval MS how long a long poll gathers a busy topic's events, in milliseconds (default 0:
                    it is answered at the first)
  --heartbeat SECONDS
                    the longest silence of a stream, and the time between two pings of a WebSocket
                    (default 15 and 25): below the time after which a proxy closes a silent
                    connection
  --new-topics N    how many topics one publisher, known by its address, may create in an hour
                    (default 10000; 0: any number, for a relay behind a proxy, whose clients all
                    have the proxy's address)
  --log             say who comes, why they leave, and what is refused and why, on standard output
  --help            this text

  Each connection takes a file descriptor: raise `ulimit -n` above as many as you expect.

  GET  /events?topic=T[&topic=U]…   listen: SSE, WebSocket, NDJSON stream, long or short poll, as
                                    the headers Accept, Upgrade and Prefer say, or:
         &transport=NAME            sse, websocket, chunked, long-poll or short-poll, whatever the
                                    headers say
         &cursor=CURSOR             begin after this cursor, which every event and reply has; also
                                    &lastEventId=, or the headers Last-Event-ID and If-None-Match
         &wait=SECONDS              a long poll that is held for so long at most; also the header
                                    Prefer: wait=
         &session=NAME              the client's name for its polls, which makes them one session
         &format=object             SSE: each event as a JSON object, with its topic
         &heartbeat=visible         SSE and NDJSON: heartbeats as objects, which a script sees
  POST /publish/TOPIC[?event=NAME][&key=KEY][&ttl=MS]
                                    publish the body: text (what `curl -d` sends too),
                                    application/json or application/octet-stream, at most 1 MiB, not
                                    compressed
  POST /publish                     publish lines of
                                    {\"topic\":…,\"data\":…,\"event\"?,\"key\"?,\"ttl\"?},
                                    all or none, at most 8 MiB
  A body may fall behind 8 KiB a second by less than 30 s, so it may pause for as long, also at its
  beginning. Faster bytes make up for a delay, and do not count in advance.
  GET  /sessions[?after=ID][&limit=N]
                                    who is listening, as JSON: the first N (1 to 1000, default 1000)
                                    of those with a greater id than ID, in the order of the ids
  DELETE /sessions/ID               end a session; its client may come back
  GET  /healthz                     ok, for every host
  GET  /stats                       counters, as JSON";

const DEFAULT_LISTEN: &str = "127.0.0.1:7071";
/// At about a kilobyte for a topic with one small event, 10 MB.
const NEW_TOPICS: usize = 10_000;

/// Options of the relay.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    /// Address to listen on: `host:port`.
    pub(crate) listen: String,
    /// Hosts that are answered beside the own names. Empty: on an address that is no loopback one, every host.
    pub(crate) hosts: Vec<String>,
    /// How many events of history each topic keeps.
    pub(crate) retain: Option<usize>,
    /// How long a long poll gathers events.
    pub(crate) long_poll_min_wait: Duration,
    /// The longest silence of a stream, and the time between two pings of a WebSocket.
    pub(crate) heartbeat: Option<Duration>,
    /// How many topics one publisher may create in an hour. 0: any number.
    pub(crate) new_topics: usize,
    /// Whether to say who comes and goes, and what is refused.
    pub(crate) log: bool,
    /// Origins whose pages may listen and publish.
    pub(crate) origins: Vec<String>,
}

/// Result of reading the command line.
pub(crate) enum Parsed {
    Help,
    Run(Options),
}

impl Options {
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Parsed, String> {
        let mut options = Self {
            listen: DEFAULT_LISTEN.into(),
            hosts: Vec::new(),
            retain: None,
            long_poll_min_wait: Duration::ZERO,
            heartbeat: None,
            new_topics: NEW_TOPICS,
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
                "--log" => options.log = true,
                "--host" => options.hosts.push(host(&value()?)?),
                "--origin" => options.origins.push(origin(&value()?)?),
                _ => return Err(format!("there is no {flag}; --help lists what there is")),
            }
        }
        Ok(Parsed::Run(options))
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
