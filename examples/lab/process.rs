use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use tokio::sync::Notify;

/// Command that runs the lab with its history on disk.
pub(crate) const COMMAND: &str = "cargo run --release --example lab --features full,disk";
/// Line with which a server asks its supervisor to kill it.
pub(crate) const KILL: &str = "kill this process";
/// Exit status of a server that is to be started again.
pub(crate) const AGAIN: u8 = 75;

/// Process of a server with a history on disk, which a supervisor starts again.
#[derive(Clone)]
pub(crate) struct Process {
    pub(crate) directory: PathBuf,
    /// Begins a drain, after which the process ends.
    pub(crate) ends: Arc<Notify>,
}

/// Way to end the process.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Restart {
    /// Sessions are drained, and the hub is closed.
    Clean,
    /// The supervisor sends SIGKILL.
    Kill,
}

impl Process {
    pub(crate) fn restart(&self, how: Restart) {
        match how {
            Restart::Clean => self.ends.notify_one(),
            // Without a supervisor there is no one to kill it.
            Restart::Kill => drop(writeln!(std::io::stdout(), "{KILL}")),
        }
    }
}
