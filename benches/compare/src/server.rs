//! A server in a process of its own: start, resource use, end.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::contender::Contender;
use crate::cpus::Cpus;

/// Time in which it must listen.
const START: Duration = Duration::from_secs(60);
/// Time in which it must become idle.
const SETTLE: Duration = Duration::from_secs(60);
/// It is idle when it used less than a hundredth of two such intervals in a row.
const QUIET: Duration = Duration::from_millis(50);

/// A running server, which is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts the server on its CPU.
    pub(crate) fn start(contender: Contender, relay: &Path, cpus: Cpus) -> Result<Self, String> {
        let mut command = match contender {
            Contender::Tidings => Command::new(relay),
            other => {
                let own = std::env::current_exe().map_err(|error| format!("can't find this program: {error}"))?;
                let mut command = Command::new(own);
                command.args(["serve", other.name()]);
                command
            }
        };
        command.args(["--listen", "127.0.0.1:0"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let child = cpus.on_the_servers(|| command.spawn())?.map_err(|error| format!("can't start: {error}"))?;
        // From here on the process is killed on every path.
        let mut server = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        server.address = server.listens_at()?;
        Ok(server)
    }

    /// Returns the time for which its threads and those of its children ran, by the scheduler's count.
    pub(crate) fn cpu(&self) -> Result<Duration, String> {
        let ran = |task: &Path| {
            let line = fs::read_to_string(task.join("schedstat")).ok()?;
            line.split(' ').next()?.parse().ok()
        };
        let ns: Vec<u64> = tasks(self.child.id()).iter().filter_map(|task| ran(task)).collect();
        match ns.is_empty() {
            true => Err("the server has died".to_owned()),
            false => Ok(Duration::from_nanos(ns.iter().sum())),
        }
    }

    /// Returns the resident bytes of it and its children.
    pub(crate) fn resident(&self) -> Result<u64, String> {
        let mut processes: Vec<_> = tasks(self.child.id()).iter().filter_map(|task| resident(task)).collect();
        // Each task reports the memory of the whole process.
        processes.dedup_by_key(|(process, _)| *process);
        match processes.is_empty() {
            true => Err("the server has died".to_owned()),
            false => Ok(processes.iter().map(|(_, bytes)| bytes).sum()),
        }
    }

    /// Sleeps until the server is idle.
    pub(crate) fn settle(&self) -> Result<(), String> {
        let begun = Instant::now();
        let (mut before, mut quiet) = (self.cpu()?, 0);
        while quiet < 2 {
            if begun.elapsed() > SETTLE {
                return Err("the server does not come to rest".to_owned());
            }
            thread::sleep(QUIET);
            let now = self.cpu()?;
            let idle = now - before < QUIET / 100 && !self.wants_to_run();
            quiet = if idle { quiet + 1 } else { 0 };
            before = now;
        }
        Ok(())
    }

    /// Returns whether a thread runs, or waits for a busy CPU: without CPU time it is not yet idle.
    fn wants_to_run(&self) -> bool {
        let runs = |stat: String| stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('R'));
        tasks(self.child.id()).iter().any(|task| fs::read_to_string(task.join("stat")).is_ok_and(runs))
    }

    /// Returns the address in the server's first line.
    fn listens_at(&mut self) -> Result<SocketAddr, String> {
        let out = self.child.stdout.take().ok_or("its output is not there")?;
        let (tell, reported) = mpsc::channel();
        // The reader ends with the line or with the server. The pipe stays open for further output.
        thread::spawn(move || {
            let mut lines = BufReader::new(out).lines();
            let _ = tell.send(lines.next());
            lines.for_each(drop);
        });
        let line =
            reported.recv_timeout(START).ok().flatten().and_then(Result::ok).ok_or("it did not print its address")?;
        let address = line.split_once("http://").and_then(|(_, address)| address.trim().parse().ok());
        address.ok_or_else(|| format!("its first line has no address: {line}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns `/proc/…/task/…` of all threads of a process and its children.
fn tasks(process: u32) -> Vec<PathBuf> {
    let folder = fs::read_dir(format!("/proc/{process}/task"));
    let mut tasks: Vec<_> = folder.into_iter().flatten().flatten().map(|task| task.path()).collect();
    let children: Vec<_> = tasks.iter().filter_map(|task| fs::read_to_string(task.join("children")).ok()).collect();
    let children = children.iter().flat_map(|list| list.split_whitespace());
    tasks.extend(children.filter_map(|child| child.parse().ok()).flat_map(self::tasks));
    tasks
}

/// Returns the process of a task, and its resident bytes.
fn resident(task: &Path) -> Option<(u64, u64)> {
    let status = fs::read_to_string(task.join("status")).ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Some((field("Tgid:")?, field("VmRSS:")? * 1024))
}
