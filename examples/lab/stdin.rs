use std::io::{BufRead, Read};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use tidings::Topic;

use crate::stage::Stage;

/// The longest line that stays one event, in bytes; the rest of it is the next.
const MAX_LINE: u64 = 4096;

/// Lines a second at most. Whoever writes faster waits at the pipe: publishing would not, and history would be washed
/// out before anyone could read it.
const MAX_RATE: u32 = 500;

#[derive(Serialize)]
struct Line {
    line: String,
}

/// Publishes the lines of standard input until its end, from a thread of its own: to read waits.
pub(crate) fn start(stage: Stage, topic: Topic) {
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
            stage.publish(&topic, Line { line });
            // A second's worth may come at once.
            due = due.max(Instant::now().checked_sub(Duration::from_secs(1)).unwrap_or(due))
                + Duration::from_secs(1) / MAX_RATE;
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    });
}
