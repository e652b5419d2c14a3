//! CPUs of the server and the client.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpus {
    server: usize,
    client: usize,
}

impl Cpus {
    /// Returns the first two CPUs that this process may use, and moves the process to the second.
    pub(crate) fn split() -> Result<Self, String> {
        let allowed = sched_getaffinity(None).map_err(|error| format!("can't tell which CPUs there are: {error}"))?;
        let mut allowed = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu));
        let (Some(server), Some(client)) = (allowed.next(), allowed.next()) else {
            return Err("can't measure with one CPU: the server takes one, the client another".to_owned());
        };
        pin(client)?;
        Ok(Self { server, client })
    }

    /// Runs a function on the server's CPU. A process that it starts stays there.
    pub(crate) fn on_the_servers<T>(self, start: impl FnOnce() -> T) -> Result<T, String> {
        pin(self.server)?;
        let started = start();
        pin(self.client)?;
        Ok(started)
    }
}

fn pin(cpu: usize) -> Result<(), String> {
    let mut only = CpuSet::new();
    only.set(cpu);
    sched_setaffinity(None, &only).map_err(|error| format!("can't move to CPU {cpu}: {error}"))
}
