//! Responses to the requests.

use serde::Deserialize;

use super::conn::{Role, Topics};
use super::encode::{Wire, json_answer};
use super::request::{Listen, Request};
use super::server::{Server, Turn};
use super::websocket;

/// One line of `POST /publish`.
#[derive(Debug, Deserialize)]
struct Line {
    topic: String,
    data: String,
}

impl Server {
    pub(super) fn answer(&mut self, index: usize, request: Request<'_>) {
        match request {
            Request::Listen(listen) => self.listen(index, &listen),
            Request::Publish { topic, data } => {
                let subscribers = self.publish(topic, data);
                let cursor = self.board.last;
                json_answer(&format!(r#"{{"cursor":"{cursor}","subscribers":{subscribers}}}"#), &mut self.replies);
            }
            Request::PublishLines(lines) => match lines.lines().map(serde_json::from_str::<Line>).collect() {
                Ok::<Vec<_>, _>(lines) => {
                    for line in &lines {
                        self.publish(&line.topic, &line.data);
                    }
                    json_answer(&format!(r#"{{"published":{}}}"#, lines.len()), &mut self.replies);
                }
                Err(_) => self.reply("400 Bad Request", "content-length: 0"),
            },
            Request::Health => {
                self.reply("200 OK", "content-length: 3");
                self.replies.extend_from_slice(b"ok\n");
            }
            Request::Unknown => self.reply("404 Not Found", "content-length: 0"),
        }
    }

    fn publish(&mut self, topic: &str, data: &str) -> usize {
        let subscribers = self.board.publish(topic, data);
        if self.turn == Turn::Message {
            self.deliver();
        }
        subscribers
    }

    fn listen(&mut self, index: usize, listen: &Listen<'_>) {
        // A request without a cursor gets the messages from now on.
        self.deliver();
        let topics = match &*listen.topics {
            [topic] => Topics::One(self.board.named(topic)),
            topics => Topics::Several(topics.iter().map(|topic| self.board.named(topic)).collect()),
        };
        let mut due = u32::MAX;
        match listen.wire {
            Wire::WebSocket => websocket::accept(listen.key, &mut self.replies),
            Wire::Sse => self.reply("200 OK", "content-type: text/event-stream\r\ntransfer-encoding: chunked"),
            Wire::Lines => self.reply("200 OK", "content-type: application/x-ndjson\r\ntransfer-encoding: chunked"),
            Wire::Poll => {
                let last = self.board.last;
                let missed = self.board.since(&topics, listen.cursor.unwrap_or(last));
                if listen.wait == 0 || !missed.is_empty() {
                    return Wire::Poll.encode(missed, last, &mut self.replies);
                }
                due = self.due(listen.wait);
            }
        }
        self.board.join(index, listen.wire, &topics);
        self.conns[index].role = Role::Listening { wire: listen.wire, due, topics };
    }

    fn reply(&mut self, status: &str, headers: &str) {
        for part in ["HTTP/1.1 ", status, "\r\n", headers, "\r\n\r\n"] {
            self.replies.extend_from_slice(part.as_bytes());
        }
    }
}
