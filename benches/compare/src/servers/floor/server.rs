//! The event loop: reads and writes of all sockets.

use std::io;
use std::mem::take;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{Timespec, epoll::Event};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with, sockopt};
use slab::Slab;

use super::board::Board;
use super::conn::{Conn, Role};
use super::encode::Wire;
use super::{request, websocket};

/// Maximum number of sockets of one wakeup.
const READY: usize = 1024;
/// Maximum bytes of one read.
const READ: usize = 64 << 10;
/// Interval at which expired polls are answered.
const SWEEP: Duration = Duration::from_secs(1);
/// Epoll value of the listener. Connections have the index of their slab entry.
const LISTENER: u64 = u64::MAX;

/// Time at which messages are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::servers) enum Turn {
    /// At once: one write for each message and socket.
    Message,
    /// After everything readable was read: one write for each socket.
    Wakeup,
}

#[derive(Debug)]
pub(super) struct Server {
    poller: OwnedFd,
    listener: TcpListener,
    pub(super) turn: Turn,
    pub(super) conns: Slab<Conn>,
    pub(super) board: Board,
    /// Connections that were closed in this pass: their slab entries are free after it, since epoll may still name
    /// them.
    pub(super) gone: Vec<usize>,
    /// Bytes for the connection that is being read.
    pub(super) replies: Vec<u8>,
    /// Bytes for the subscribers of a topic.
    pub(super) frames: Vec<u8>,
    buffer: Vec<u8>,
    started: Instant,
    swept: Instant,
}

/// Serves until the process ends.
pub(in crate::servers) fn serve(listener: TcpListener, turn: Turn) -> io::Result<()> {
    let poller = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&poller, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let now = Instant::now();
    let mut server = Server {
        poller,
        listener,
        turn,
        conns: Slab::new(),
        board: Board::default(),
        gone: Vec::new(),
        replies: Vec::new(),
        frames: Vec::new(),
        buffer: vec![0; READ],
        started: now,
        swept: now,
    };
    let mut ready = Vec::with_capacity(READY);
    loop {
        server.turn(&mut ready)?;
    }
}

impl Server {
    /// Returns the end of a poll that begins now and waits this long, in seconds since the start.
    pub(super) fn due(&self, wait: u32) -> u32 {
        self.seconds().saturating_add(wait).saturating_add(1)
    }

    fn seconds(&self) -> u32 {
        self.started.elapsed().as_secs().try_into().unwrap_or(u32::MAX)
    }

    fn turn(&mut self, ready: &mut Vec<Event>) -> io::Result<()> {
        let timeout = Timespec { tv_sec: 1, tv_nsec: 0 };
        match epoll::wait(&self.poller, spare_capacity(ready), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for Event { data, flags } in ready.drain(..) {
            if data.u64() == LISTENER {
                self.accept()?;
                continue;
            }
            let index = data.u64() as usize;
            if flags.contains(EventFlags::OUT) && self.conns[index].resume().is_err() {
                self.gone.push(index);
            }
            if flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR) {
                // The last bytes and the end may come as one event.
                self.read(index, !(flags - EventFlags::IN - EventFlags::OUT).is_empty());
            }
        }
        self.deliver();
        if self.swept.elapsed() >= SWEEP {
            self.swept = Instant::now();
            self.sweep();
        }
        self.bury();
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let socket = match accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(socket) => socket,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                Err(error) => return Err(error.into()),
            };
            sockopt::set_tcp_nodelay(&socket, true)?;
            let place = self.conns.vacant_entry();
            // Edge-triggered events need no change of the registration.
            let edges = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
            epoll::add(&self.poller, &socket, EventData::new_u64(place.key() as u64), edges)?;
            place.insert(Conn::new(socket));
        }
    }

    /// Reads everything that is ready: the next edge reports only later bytes. A read that leaves room has got
    /// everything,
    /// except the end.
    fn read(&mut self, index: usize, to_the_end: bool) {
        let mut buffer = take(&mut self.buffer);
        loop {
            match self.conns[index].read(&mut buffer) {
                Ok(0) => self.gone.push(index),
                Ok(count) => match self.input(index, &buffer[..count]) {
                    Some(()) if to_the_end || count == buffer.len() => continue,
                    Some(()) => {}
                    None => self.gone.push(index),
                },
                Err(Errno::AGAIN) => {}
                Err(Errno::INTR) => continue,
                Err(_) => self.gone.push(index),
            }
            break;
        }
        self.buffer = buffer;
    }

    /// Returns `None` when the connection is closed.
    fn input(&mut self, index: usize, bytes: &[u8]) -> Option<()> {
        let held = self.conns[index].held_input().map(|mut held| {
            held.extend_from_slice(bytes);
            held
        });
        let input = held.as_deref().unwrap_or(bytes);
        let used = self.consume(index, input);
        let conn = &mut self.conns[index];
        let sent = if self.replies.is_empty() { Ok(()) } else { conn.send(&self.replies) };
        self.replies.clear();
        sent.ok()?;
        conn.hold_input(&input[used?..]);
        Some(())
    }

    /// Returns the number of processed bytes. The replies are left in `replies`.
    fn consume(&mut self, index: usize, input: &[u8]) -> Option<usize> {
        let mut used = 0;
        while used < input.len() {
            let rest = &input[used..];
            let size = match self.conns[index].role {
                Role::Requests => match request::parse(rest) {
                    Ok(Some((request, size))) => {
                        self.answer(index, request);
                        size
                    }
                    Ok(None) => break,
                    Err(refusal) => {
                        self.replies.extend_from_slice(refusal);
                        return None;
                    }
                },
                Role::Listening { wire: Wire::WebSocket, .. } => match websocket::read(rest, &mut self.replies)? {
                    0 => break,
                    size => size,
                },
                // A request before the response to a poll is not supported.
                Role::Listening { wire: Wire::Poll, .. } => return None,
                Role::Listening { .. } => rest.len(),
            };
            used += size;
        }
        Some(used)
    }

    /// Answers polls at the end of their wait.
    fn sweep(&mut self) {
        let now = self.seconds();
        let over = |conn: &Conn| matches!(conn.role, Role::Listening { due, .. } if due <= now);
        let over: Vec<_> = self.conns.iter().filter(|(_, conn)| over(conn)).map(|(index, _)| index).collect();
        for index in over {
            self.answer_poll(index, u64::MAX);
        }
    }

    fn bury(&mut self) {
        while let Some(index) = self.gone.pop() {
            if let Some(conn) = self.conns.try_remove(index) {
                self.board.leave(index, &conn.role);
            }
        }
    }
}
