//! Limit of the bytes of request bodies that are being read, for all peers together and for each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::StatusCode;

use crate::peer::Peer;
use crate::problem::Problem;

/// Maximum bytes of all bodies that are being read: eight of the largest.
const MAX_BYTES: usize = 64 << 20;
/// Maximum bytes of the bodies of one peer: half, so that one peer's slow bodies leave room for others.
const MAX_BYTES_OF_PEER: usize = MAX_BYTES / 2;
/// First bytes of each body, which are not counted because the connection's read buffer holds about as many anyway.
const UNCOUNTED: usize = 16 * 1024;
/// Step in which the count of a growing body rises, in bytes.
const STEP: usize = 64 * 1024;

/// Bodies that are being read, with their bytes for each peer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bodies(Arc<Mutex<Bytes>>);

#[derive(Debug, Default)]
struct Bytes {
    all: usize,
    peers: HashMap<Peer, usize>,
}

/// Counted bytes of one body, until it is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    bodies: Bodies,
    peer: Peer,
    bytes: usize,
}

impl Bodies {
    /// Begins to count a body.
    pub(crate) fn charge(&self, peer: &Peer) -> Charge {
        Charge { bodies: self.clone(), peer: peer.clone(), bytes: 0 }
    }

    fn lock(&self) -> MutexGuard<'_, Bytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Charge {
    /// Counts a body that now has this length. Refuses it if there is no room.
    pub(crate) fn grow(&mut self, len: usize) -> Result<(), Problem> {
        if len <= UNCOUNTED + self.bytes {
            return Ok(());
        }
        let more = (len - UNCOUNTED - self.bytes).next_multiple_of(STEP);
        let mut bytes = self.bodies.lock();
        let of_peer = bytes.peers.get(&self.peer).copied().unwrap_or(0) + more;
        if bytes.all + more > MAX_BYTES || of_peer > MAX_BYTES_OF_PEER {
            let text = "body: too many large bodies are being read: retry later";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, text).retry_after(1));
        }
        bytes.all += more;
        bytes.peers.insert(self.peer.clone(), of_peer);
        self.bytes += more;
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut bytes = self.bodies.lock();
        bytes.all -= self.bytes;
        match bytes.peers.get_mut(&self.peer) {
            Some(of_peer) if *of_peer > self.bytes => *of_peer -= self.bytes,
            _ => drop(bytes.peers.remove(&self.peer)),
        }
    }
}
