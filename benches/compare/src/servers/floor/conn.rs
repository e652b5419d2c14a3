//! One connection: a socket, its purpose, and the bytes that it must hold.

use std::mem::take;

use rustix::fd::OwnedFd;
use rustix::io::{Errno, read, write};

use super::encode::Wire;

#[derive(Debug)]
pub(super) struct Conn {
    socket: OwnedFd,
    held: Option<Box<Held>>,
    pub(super) role: Role,
}

/// Purpose of a connection.
#[derive(Debug)]
pub(super) enum Role {
    /// Sends requests.
    Requests,
    /// Follows these topics: a poll until `due`, in seconds since the start, a stream without an end.
    Listening { wire: Wire, due: u32, topics: Topics },
}

/// Numbers of topics. A single one needs no allocation.
#[derive(Debug)]
pub(super) enum Topics {
    One(u32),
    Several(Box<[u32]>),
}

/// An incomplete request, and bytes that the kernel did not take.
#[derive(Debug, Default)]
struct Held {
    input: Vec<u8>,
    output: Vec<u8>,
    sent: usize,
}

impl Conn {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self { socket, held: None, role: Role::Requests }
    }

    pub(super) fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        read(&self.socket, buffer)
    }

    /// Writes once. Bytes that the kernel does not take are sent later.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let waiting = self.held.as_ref().is_some_and(|held| !held.output.is_empty());
        let sent = if waiting { 0 } else { self.write(bytes)? };
        if sent < bytes.len() {
            self.held.get_or_insert_default().output.extend_from_slice(&bytes[sent..]);
        }
        Ok(())
    }

    /// Continues to write when the kernel takes bytes again.
    pub(super) fn resume(&mut self) -> Result<(), Errno> {
        let Some(mut held) = self.held.take() else { return Ok(()) };
        while held.sent < held.output.len() {
            match self.write(&held.output[held.sent..])? {
                0 => break,
                sent => held.sent += sent,
            }
        }
        if held.sent == held.output.len() {
            held.output = Vec::new();
            held.sent = 0;
        }
        self.put_back(held);
        Ok(())
    }

    /// Returns the incomplete request that was read before.
    pub(super) fn held_input(&mut self) -> Option<Vec<u8>> {
        let held = self.held.as_mut()?;
        Some(take(&mut held.input)).filter(|input| !input.is_empty())
    }

    pub(super) fn hold_input(&mut self, rest: &[u8]) {
        if !rest.is_empty() {
            self.held.get_or_insert_default().input.extend_from_slice(rest);
        } else if let Some(held) = self.held.take() {
            self.put_back(held);
        }
    }

    fn put_back(&mut self, held: Box<Held>) {
        if !(held.input.is_empty() && held.output.is_empty()) {
            self.held = Some(held);
        }
    }

    /// Returns the number of bytes that the kernel took. 0: it takes none now, and an edge reports when it does.
    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        loop {
            match write(&self.socket, bytes) {
                Err(Errno::AGAIN) => return Ok(0),
                Err(Errno::INTR) => {}
                done => return done,
            }
        }
    }
}

impl Topics {
    pub(super) fn as_slice(&self) -> &[u32] {
        match self {
            Self::One(topic) => std::slice::from_ref(topic),
            Self::Several(topics) => topics,
        }
    }
}
