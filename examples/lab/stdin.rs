use std::io::{BufRead, Read};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use tidings::Topic;
use tokio::runtime::Handle;

use crate::stage::Stage;

/// Maximum bytes of an event. The rest of a longer line is the next event.
const MAX_LINE: u64 = 4096;

/// Maximum lines a second. A faster writer waits at the pipe. Without this limit, events would leave history before a panel
/// could read them.
const MAX_RATE: u32 = 500;

#[derive(Serialize)]
struct Line {
    line: String,
}

/// Publishes the lines of standard input until its end, from a thread of its own, since reading blocks.
pub(crate) fn start(stage: Stage, topic: Topic) {
    let runtime = Handle::current();
    thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut buffer = Vec::new();
        let mut due = Instant::now();
        loop {
            buffer.clear();
            match input.by_ref().take(MAX_LINE).read_until(b'\n', &mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let line = String::from_utf8_lossy(&buffer).trim_end_matches(['\r', '\n']).to_owned();
            runtime.block_on(stage.publish(&topic, Line { line }));
            // A burst of one second's lines is allowed.
            due = due.max(Instant::now().checked_sub(Duration::from_secs(1)).unwrap_or(due))
                + Duration::from_secs(1) / MAX_RATE;
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    });
}
