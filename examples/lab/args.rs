use std::path::PathBuf;

use tidings::Topic;

use crate::process::COMMAND;
use crate::stage;

/// Default port.
const PORT: u16 = 7070;

/// Text of `--help`.
pub(crate) const HELP: &str = "\
The lab of tidings: five transports side by side in a browser, live.

    lab [--port N] [--stdin TOPIC] [--disk DIR]

    --port N        listen on 127.0.0.1:N (default 7070; 0 takes any free port)
    --stdin TOPIC   publish each line of standard input to TOPIC, e.g.
                    tail -f /var/log/syslog | lab --stdin log
    --disk DIR      keep the history in this directory (default: in memory; with
                    the feature `disk`: in a temporary directory, which is
                    removed at the end). The page can then kill and restart the
                    process of the server, and no panel misses an event
    --help          print this text

Open the printed address. The page shows one panel for each transport (short
poll, long poll, chunked stream, SSE, WebSocket) with what it received, missed
and cost. It can change the load, cut its connections, pause a panel, move one
to another transport with its cursor, and restart the hub. The events are this
machine's figures, a generator, and the messages and pointers of people.
Ctrl-C drains all sessions and ends.";

/// The command line.
#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) port: u16,
    pub(crate) stdin: Option<Topic>,
    pub(crate) disk: Option<PathBuf>,
}

/// Result of reading the command line.
pub(crate) enum Parsed {
    Run(Args),
    Help,
    Wrong(String),
}

impl Args {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Parsed {
        let mut args = Self { port: PORT, stdin: None, disk: None };
        while let Some(word) = words.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word, None),
            };
            let mut value = || value.clone().or_else(|| words.next()).ok_or_else(|| format!("{name} needs a value"));
            let read = match name.as_str() {
                "--help" | "-h" => return Parsed::Help,
                "--port" => value().and_then(|value| port(&value)).map(|port| args.port = port),
                "--stdin" => value().and_then(|value| topic(&value)).map(|topic| args.stdin = Some(topic)),
                "--disk" if cfg!(feature = "disk") => value().map(|directory| args.disk = Some(directory.into())),
                "--disk" => Err(format!("--disk needs the feature `disk`: {COMMAND} -- --disk DIR")),
                _ => Err(format!("unknown option '{name}'")),
            };
            if let Err(why) = read {
                return Parsed::Wrong(why);
            }
        }
        Parsed::Run(args)
    }
}

fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("'{text}' is not a port: give a number from 0 to 65535"))
}

fn topic(text: &str) -> Result<Topic, String> {
    let topic = Topic::new(text).map_err(|error| format!("'{text}' is not a topic: {error}"))?;
    match stage::TOPICS.contains(&topic.as_str()) {
        true => Err(format!("topic '{text}' is used by the lab itself: take another one, such as 'log'")),
        false => Ok(topic),
    }
}
