//! The command line.

use std::net::Ipv6Addr;
use std::time::Duration;

use hyper::http::uri::{Parts, Uri};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
relay: a small push server, over HTTP/1.1

usage: relay [--listen ADDRESS] [--retain N] [--min-interval MS] [--new-topics N]
             [--log] [--origin URL]…

  --listen ADDRESS  where to listen; port 0 takes a free one (default 127.0.0.1:7071)
  --retain N        how many events of each topic a client that comes back can catch up on
                    (default 1000; always at most 1 MiB and one hour)
  --min-interval MS how long a long poll gathers a busy topic's events, in milliseconds (default 0:
                    it is answered at the first)
  --new-topics N    how many topics one publisher, known by its address, may create in an hour
                    (default 10000; 0: any number, for a relay behind a proxy, whose clients all
                    have the proxy's address)
  --log             say who comes, why they leave, and what is refused and why, on the standard output
  --origin URL      a web origin, like https://app.example, whose pages may listen and publish; may
                    repeat. Pages of the server's own host may listen, other pages nothing; programs
                    are not asked. On a loopback address it answers only for localhost and the hosts
                    of these origins
  --help            this text

  Each connection takes a file descriptor: raise `ulimit -n` above as many as you expect.

  GET  /events?topic=T[&topic=U]…   listen: SSE, WebSocket, NDJSON stream, long or short poll
  POST /publish/TOPIC[?event=NAME][&key=KEY][&ttl=MS]
                                    publish the body: text (what `curl -d` sends too), application/json or
                                    application/octet-stream, at most 1 MiB
  POST /publish                     publish lines of {\"topic\":…,\"data\":…,\"event\"?,\"key\"?,\"ttl\"?},
                                    all or none, at most 8 MiB
  GET  /sessions[?after=ID][&limit=N]
                                    who is listening, as JSON: the first N (1 to 1000, default 1000) of those with
                                    a greater id than ID, in the order of the ids
  DELETE /sessions/ID               end a session; its client may come back
  GET  /healthz                     ok
  GET  /stats                       counters, as JSON";

const DEFAULT_LISTEN: &str = "127.0.0.1:7071";
/// At about a kilobyte for a topic with one small event, 10 MB.
const NEW_TOPICS: usize = 10_000;

/// What the relay was told.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    /// Where to listen: `host:port`.
    pub(crate) listen: String,
    /// How many events of history each topic keeps.
    pub(crate) retain: Option<usize>,
    /// How long a long poll gathers events.
    pub(crate) min_interval: Duration,
    /// How many topics one publisher may create in an hour. 0: any number.
    pub(crate) new_topics: usize,
    /// Whether to say who comes and goes, and what is refused.
    pub(crate) log: bool,
    /// Origins whose pages may listen and publish.
    pub(crate) origins: Vec<String>,
}

/// What the command line asks for.
pub(crate) enum Parsed {
    Help,
    Run(Options),
}

impl Options {
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Parsed, String> {
        let mut options = Self {
            listen: DEFAULT_LISTEN.into(),
            retain: None,
            min_interval: Duration::ZERO,
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
                    options.min_interval = Duration::from_millis(read?);
                }
                "--new-topics" => {
                    let count = value()?;
                    let read =
                        count.parse().map_err(|_| format!("--new-topics takes a number of topics, not '{count}'"));
                    options.new_topics = read?;
                }
                "--log" => options.log = true,
                "--origin" => options.origins.push(origin(&value()?)?),
                _ => return Err(format!("there is no {flag}; --help lists what there is")),
            }
        }
        Ok(Parsed::Run(options))
    }
}

/// A scheme, a host, maybe a port, and nothing else (RFC 6454 §4).
fn origin(text: &str) -> Result<String, String> {
    let parts = text.parse::<Uri>().map(Uri::into_parts).ok();
    let bare = |parts: &Parts| parts.path_and_query.as_ref().is_none_or(|path| path == "/");
    let (scheme, authority) = match parts.filter(bare).map(|parts| (parts.scheme, parts.authority)) {
        Some((Some(scheme), Some(authority))) if is_host(authority.host()) && !authority.as_str().contains('@') => {
            (scheme, authority)
        }
        _ => return Err(format!("--origin takes a scheme and a host, like https://app.example, not '{text}'")),
    };
    Ok(format!("{scheme}://{authority}").to_ascii_lowercase())
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
    }
}
