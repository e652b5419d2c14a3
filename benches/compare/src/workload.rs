//! Workloads: subscribers and publications.

use std::time::Duration;

use crate::client::{Audience, Mark, Pace, Script, Transport, post};
use crate::contender::Contender;
use crate::table::{Row, Unit};

/// Minimum interval between two measurements of memory.
pub(crate) const MEMORY_ROUNDS: usize = 2;

/// A workload: one row of a table, or two rows for memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload {
    pub(crate) audience: Audience,
    pub(crate) load: Load,
    /// Servers that are measured: one of two that behave alike.
    pub(crate) contenders: &'static [Contender],
}

/// Counts are per topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// Sends all POSTs at once, the next message of each topic after the present one of all topics.
    Burst { messages: u32 },
    /// Sends each POST when the previous one to its topic is answered: no write carries two messages.
    Single { messages: u32 },
    /// Sends one POST in each interval.
    Paced { messages: u32, per_second: u32 },
    /// Sends all POSTs at once, each with many lines.
    Batches { batches: u32, lines: u32 },
    /// Measures the memory of connections, before and after messages that all come at once.
    Memory { messages: u32 },
}

/// Returns all workloads, or a small part of each for a quick run.
pub(crate) fn all(quick: bool) -> Vec<Workload> {
    use Contender::{Axum, Floor, FloorBatch, Tidings, Tuned};
    use Transport::{Chunked, LongPoll, Sse, WebSocket};

    let small = |full: u32, quick_one: u32| if quick { quick_one } else { full };
    let many = small(1000, 100) as usize;
    let listening = |transport, topics: u32, subscribers| Audience { transport, topics: topics as u16, subscribers };
    let burst = Load::Burst { messages: small(300, 30) };
    let paced = |per_second, seconds| Load::Paced { messages: small(per_second * seconds, per_second / 2), per_second };
    let single_posts = Load::Single { messages: small(10, 2) };
    let batches = Load::Batches { batches: small(10, 3), lines: small(30, 10) };
    let memory = Load::Memory { messages: small(20, 5) };
    let crowd = small(8000, 200) as usize;
    let everyone: &[Contender] = &[Floor, FloorBatch, Axum, Tuned, Tidings];
    let untuned: &[Contender] = &[Floor, FloorBatch, Axum, Tidings];
    let unbatched: &[Contender] = &[Floor, Axum, Tuned, Tidings];
    let plain: &[Contender] = &[Floor, Axum, Tidings];

    let rows = [
        (listening(WebSocket, 1, many), burst, everyone),
        (listening(Sse, 1, many), burst, untuned),
        (listening(Chunked, 1, many), burst, untuned),
        (listening(WebSocket, 1, many), paced(50, 2), everyone),
        (listening(Sse, 1, many), paced(50, 2), untuned),
        (listening(Chunked, 1, many), paced(50, 2), untuned),
        (listening(LongPoll, 1, many / 2), paced(20, 2), plain),
        (listening(WebSocket, many as u32, many), single_posts, unbatched),
        (listening(WebSocket, 1, many), batches, everyone),
        (listening(Sse, 1, many), batches, untuned),
        (listening(WebSocket, small(100, 10), many), Load::Burst { messages: small(30, 10) }, everyone),
        (listening(WebSocket, 1, crowd), memory, unbatched),
        (listening(Sse, 1, crowd), memory, plain),
        (listening(LongPoll, 1, crowd), memory, plain),
    ];
    rows.map(|(audience, load, contenders)| Workload { audience, load, contenders }).into()
}

impl Workload {
    /// Returns the name in tables and for `--only`.
    pub(crate) fn name(&self) -> String {
        let Audience { transport, topics, subscribers } = self.audience;
        let who = match topics {
            1 => format!("{} subscribers", grouped(subscribers as u64)),
            _ => {
                let each = subscribers / usize::from(topics);
                let plural = if each == 1 { "" } else { "s" };
                format!("{} topics × {each} subscriber{plural}", grouped(topics.into()))
            }
        };
        let what = match self.load {
            Load::Burst { messages } if topics == 1 => format!("{messages} messages as fast as they go"),
            Load::Burst { messages } => format!("{messages} messages each as fast as they go"),
            Load::Single { .. } => "one POST a message".to_owned(),
            Load::Paced { per_second, .. } => format!("{per_second} messages a second"),
            Load::Batches { batches, lines } => format!("{batches} batches of {lines} messages"),
            Load::Memory { .. } => "idle".to_owned(),
        };
        format!("{who}, {what}: {}", transport.name())
    }

    /// Returns the number of runs for a number of rounds: memory hardly varies.
    pub(crate) fn rounds(&self, others: usize) -> usize {
        match self.load {
            Load::Memory { .. } => others.min(MEMORY_ROUNDS),
            _ => others,
        }
    }

    /// Returns the empty rows of its figures, in order.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let name = self.name();
        match self.load {
            Load::Memory { messages } => {
                let after = format!("{name}, after {messages} messages to all");
                vec![Row::new(name, Unit::Bytes), Row::new(after, Unit::Bytes)]
            }
            _ => vec![Row::new(name, Unit::Micros)],
        }
    }

    /// Returns the requests of the publisher.
    pub(crate) fn script(&self) -> Script {
        let topics = 0..self.audience.topics;
        let each = |messages: u32| {
            let topics = topics.clone();
            (0..messages).flat_map(move |number| topics.clone().map(move |topic| Mark { topic, number }))
        };
        let posts = |messages| each(messages).map(single).collect();
        let (requests, pace, published) = match self.load {
            Load::Burst { messages } | Load::Memory { messages } => (posts(messages), Pace::Pipelined, messages),
            Load::Single { messages } => (posts(messages), Pace::Window(self.audience.topics.into()), messages),
            Load::Paced { messages, per_second } => {
                (posts(messages), Pace::Every(Duration::from_secs(1) / per_second), messages)
            }
            Load::Batches { batches, lines } => {
                let marks: Vec<_> = each(batches * lines).collect();
                let batch = lines as usize * usize::from(self.audience.topics);
                (marks.chunks(batch).map(many).collect(), Pace::Pipelined, batches * lines)
            }
        };
        Script { requests, pace, published }
    }
}

/// Formats a number as in 8,000.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

fn single(mark: Mark) -> String {
    post(&format!("/publish/t{:04}", mark.topic), "text/plain", &mark.message())
}

fn many(marks: &[Mark]) -> String {
    let line = |mark: &Mark| format!("{{\"topic\":\"t{:04}\",\"data\":\"{}\"}}\n", mark.topic, mark.message());
    post("/publish", "application/x-ndjson", &marks.iter().map(line).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_gets_its_numbers_in_order() {
        for workload in all(true).into_iter().chain(all(false)) {
            let script = workload.script();
            let mut next = vec![0; workload.audience.topics.into()];
            let text = script.requests.concat();
            for message in text.split('#').skip(1) {
                let (number, topic) = (message[..8].parse::<u32>().unwrap(), message[9..13].parse::<usize>().unwrap());
                assert_eq!(number, next[topic], "{}", workload.name());
                next[topic] += 1;
            }
            assert!(next.iter().all(|&next| next == script.published), "{}", workload.name());
        }
    }

    #[test]
    fn no_two_workloads_have_one_name() {
        for quick in [false, true] {
            let mut names: Vec<_> = all(quick).iter().map(Workload::name).collect();
            names.sort();
            let all = names.len();
            names.dedup();
            assert_eq!(names.len(), all);
        }
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [0, 12, 999, 1000, 12345, 8_000_000].map(grouped),
            ["0", "12", "999", "1,000", "12,345", "8,000,000"]
        );
    }
}
