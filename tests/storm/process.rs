use std::fs;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, timeout};

use crate::pause;

/// Longest wait for an answer: crowds work for as long as a scenario does.
const PATIENCE: Duration = Duration::from_secs(180);

/// Longest wait for a count that must become true. It is far above the usual time, so that a busy machine does not
/// fail, and
/// so that a session which is still open then has leaked.
pub(crate) const CEILING: Duration = Duration::from_secs(60);

/// A process of this program that reads commands as lines and answers with lines of JSON. It is killed when this is
/// dropped,
/// and ends by itself when its input does.
pub(crate) struct Process {
    child: Child,
    id: u32,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts the process, in a network namespace if one is given.
    pub(crate) fn start(namespace: Option<&str>, args: &[&str]) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let command = match namespace {
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(program);
                command
            }
            None => Command::new(program),
        };
        Self::spawn(command, args)
    }

    /// Starts the process with at most `files` open files.
    pub(crate) fn start_limited(files: usize, args: &[&str]) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\"")]).arg(program);
        Self::spawn(command, args)
    }

    fn spawn(mut command: Command, args: &[&str]) -> Result<Self, String> {
        let command = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let (Some(id), Some(input), Some(output)) = (child.id(), child.stdin.take(), child.stdout.take()) else {
            return Err("a process without pipes".to_owned());
        };
        Ok(Self { child, id, input, output: BufReader::new(output).lines() })
    }

    /// Returns the next line of its output.
    pub(crate) async fn read(&mut self) -> Result<Value, String> {
        let line = timeout(PATIENCE, self.output.next_line()).await.map_err(|_| "no answer")?;
        let line = line.map_err(|error| error.to_string())?.ok_or("the process is gone")?;
        serde_json::from_str(&line).map_err(|error| format!("{line}: {error}"))
    }

    pub(crate) async fn tell(&mut self, line: &str) -> Result<(), String> {
        self.input.write_all(format!("{line}\n").as_bytes()).await.map_err(|error| error.to_string())
    }

    pub(crate) async fn ask(&mut self, line: &str) -> Result<Value, String> {
        self.tell(line).await?;
        self.read().await
    }

    /// Returns the addresses of a server's instances, from the first line of its output.
    pub(crate) async fn addresses(&mut self) -> Result<[String; 2], String> {
        let reported = self.read().await?;
        let address = |instance: usize| reported["addresses"][instance].as_str().unwrap_or_default().to_owned();
        Ok([address(0), address(1)])
    }

    pub(crate) async fn address(&mut self) -> Result<String, String> {
        let [first, _] = self.addresses().await?;
        Ok(first)
    }

    /// Returns the counts of an instance of a server.
    pub(crate) async fn stats(&mut self, instance: usize) -> Result<Value, String> {
        Ok(self.ask("stats").await?["instances"][instance].take())
    }

    /// Returns the newest cursor of a server.
    pub(crate) async fn cursor(&mut self) -> Result<String, String> {
        Ok(self.ask("stats").await?["cursor"].as_str().unwrap_or_default().to_owned())
    }

    /// Returns the memory that a server has allocated and not freed, in KiB. The allocator keeps freed memory, so that
    /// resident memory does not show it.
    pub(crate) async fn heap(&mut self) -> Result<f64, String> {
        Ok(self.ask("stats").await?["heap"].as_f64().ok_or("no heap")? / 1024.0)
    }

    /// Waits until the counts of a server's instance are as expected, up to [`CEILING`].
    pub(crate) async fn until(&mut self, instance: usize, wanted: impl Fn(&Value) -> bool) -> Result<(), String> {
        match self.settled(instance, wanted).await? {
            (_, true) => Ok(()),
            (stats, false) => Err(format!("after {CEILING:?} still {stats}")),
        }
    }

    /// Waits as [`until`](Self::until) does. Returns the last counts and whether they are as expected, for figures
    /// that print the difference.
    pub(crate) async fn settled(
        &mut self,
        instance: usize,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<(Value, bool), String> {
        let began = Instant::now();
        loop {
            let stats = self.stats(instance).await?;
            match wanted(&stats) {
                true => return Ok((stats, true)),
                false if began.elapsed() > CEILING => return Ok((stats, false)),
                false => pause(Duration::from_millis(5)).await,
            }
        }
    }

    /// Waits until the heap is no larger than this, up to [`CEILING`]. Returns its size in KiB.
    pub(crate) async fn heap_within(&mut self, limit: f64) -> Result<f64, String> {
        let began = Instant::now();
        loop {
            let heap = self.heap().await?;
            if heap <= limit || began.elapsed() > CEILING {
                return Ok(heap);
            }
            pause(Duration::from_millis(50)).await;
        }
    }

    /// Sends SIGTERM.
    pub(crate) async fn terminate(&self) -> Result<(), String> {
        let killed = Command::new("kill").args(["-TERM", &self.id.to_string()]).status().await;
        match killed.is_ok_and(|status| status.success()) {
            true => Ok(()),
            false => Err("cannot send SIGTERM".to_owned()),
        }
    }

    /// Waits for the end of the process. Returns its exit code, if it has one.
    pub(crate) async fn exit(&mut self, limit: Duration) -> Result<Option<i32>, String> {
        let status = timeout(limit, self.child.wait()).await.map_err(|_| format!("not over in {limit:?}"))?;
        Ok(status.map_err(|error| error.to_string())?.code())
    }

    /// Returns the resident memory, in KiB. It is read from `statm`, which costs the process nothing; `smaps` would delay its
    /// page faults.
    pub(crate) fn memory(&self) -> Result<f64, String> {
        let statm = self.proc("statm")?;
        let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok());
        pages.map(|pages| pages * 4.0).ok_or_else(|| "no pages".to_owned())
    }

    /// Returns the processor time since the start, of user and system, in seconds.
    pub(crate) fn processor(&self) -> Result<f64, String> {
        let stat = self.proc("stat")?;
        // The name in parentheses may have spaces; utime and stime are the 14th and 15th field (proc(5)), in 1/100 s.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        let ticks = |field: usize| fields.get(field).and_then(|ticks| ticks.parse::<f64>().ok());
        ticks(11).zip(ticks(12)).map(|(user, system)| (user + system) / 100.0).ok_or_else(|| "no times".to_owned())
    }

    fn proc(&self, file: &str) -> Result<String, String> {
        fs::read_to_string(format!("/proc/{}/{file}", self.id)).map_err(|error| format!("{file}: {error}"))
    }
}

/// Returns the lines of the process that started this one. A thread reads them, since a runtime would wait for the last
/// read
/// at its end.
pub(crate) fn reported() -> tokio::sync::mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
