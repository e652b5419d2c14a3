//! Measured scenarios: each delivers bursts of events of 100 bytes to many subscribers, all at one position.

pub(crate) mod hub;
pub(crate) mod mounted;
pub(crate) mod polled;
pub(crate) mod presence;
pub(crate) mod runs;

/// Runs a scenario for this many rounds and events. Returns the number of delivered events, or `None` for an unknown
/// scenario.
pub(crate) fn run(name: &str, burst: usize, rounds: usize) -> Option<usize> {
    Some(match name {
        "hub-reference" => hub::by_reference(burst, rounds),
        "hub-encoded" => hub::encoded(burst, rounds),
        "hub-merged" => hub::merged(10, burst, rounds),
        "hub-merged-1000" => hub::merged(1_000, burst, rounds),
        "hub-pattern" => hub::pattern(burst, rounds),
        "keyed-fill" => hub::keyed_fill(burst, rounds),
        "filtered" => hub::filtered(burst, rounds),
        "short-poll" => polled::short(burst, rounds),
        "long-poll" => polled::long(burst, rounds),
        "long-poll-gathered" => polled::gathered(burst, rounds),
        "chunked" => mounted::run(mounted::CHUNKED, burst, rounds),
        "sse" => mounted::run(mounted::SSE, burst, rounds),
        "websocket" => mounted::run(mounted::WEBSOCKET, burst, rounds),
        "runs" => runs::run(burst, rounds),
        _ => return None,
    })
}

/// Names of all scenarios.
pub(crate) const NAMES: [&str; 14] = [
    "hub-reference",
    "hub-encoded",
    "hub-merged",
    "hub-merged-1000",
    "hub-pattern",
    "keyed-fill",
    "filtered",
    "short-poll",
    "long-poll",
    "long-poll-gathered",
    "chunked",
    "sse",
    "websocket",
    "runs",
];
