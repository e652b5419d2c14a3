//! Delivery: the published messages are sent at the end of a loop pass.

use std::mem::{replace, take};

use super::conn::{Conn, Role, Topics};
use super::encode::Wire;
use super::server::Server;

impl Server {
    /// Writes once to each connection that follows a topic with new messages.
    pub(super) fn deliver(&mut self) {
        let (last, delivered) = (self.board.last, self.board.delivered);
        let mut several = Vec::new();
        for number in &self.board.fresh {
            let topic = &mut self.board.topics[*number as usize];
            for wire in Wire::ALL {
                if topic.listeners[wire as usize].is_empty() {
                    continue;
                }
                self.frames.clear();
                wire.encode(topic.since(delivered), last, &mut self.frames);
                let listeners = &mut topic.listeners[wire as usize];
                for &index in &*listeners {
                    let index = index as usize;
                    let conn = &mut self.conns[index];
                    if has_several(conn) {
                        several.push(index);
                        continue;
                    }
                    if wire == Wire::Poll {
                        conn.role = Role::Requests;
                    }
                    if conn.send(&self.frames).is_err() {
                        self.gone.push(index);
                    }
                }
                if wire == Wire::Poll {
                    listeners.retain(|&index| has_several(&self.conns[index as usize]));
                }
            }
        }
        several.sort_unstable();
        several.dedup();
        for index in several {
            self.deliver_several(index, delivered);
        }
        self.board.settle();
    }

    /// Sends to a connection that follows several topics. No other connection may follow the same set.
    fn deliver_several(&mut self, index: usize, delivered: u64) {
        let Role::Listening { wire, topics, .. } = &self.conns[index].role else { return };
        if *wire == Wire::Poll {
            return self.answer_poll(index, delivered);
        }
        self.frames.clear();
        wire.encode(self.board.since(topics, delivered), self.board.last, &mut self.frames);
        if self.conns[index].send(&self.frames).is_err() {
            self.gone.push(index);
        }
    }

    /// Answers a poll with the messages after this one.
    pub(super) fn answer_poll(&mut self, index: usize, cursor: u64) {
        let role = replace(&mut self.conns[index].role, Role::Requests);
        let Role::Listening { wire, topics, .. } = &role else { return };
        self.board.leave(index, &role);
        let mut frames = take(&mut self.frames);
        frames.clear();
        wire.encode(self.board.since(topics, cursor), self.board.last, &mut frames);
        if self.conns[index].send(&frames).is_err() {
            self.gone.push(index);
        }
        self.frames = frames;
    }
}

fn has_several(conn: &Conn) -> bool {
    matches!(conn.role, Role::Listening { topics: Topics::Several(_), .. })
}
