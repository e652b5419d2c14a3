//! The supervisor: starts the server as a process of its own, and again when it was killed or asks for it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::Args;
use crate::process::{AGAIN, KILL};

/// Variable of the server's environment.
const SERVER: &str = "TIDINGS_LAB_SERVER";

/// Returns whether this process is a server that a supervisor has started.
pub(crate) fn is_server() -> bool {
    std::env::var_os(SERVER).is_some()
}

/// Directory of the history, which is removed at the end if it is a temporary one.
struct Directory {
    path: PathBuf,
    is_temporary: bool,
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.is_temporary {
            // A rest is left to the system.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Signals that end the lab.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

/// Runs servers until one of them ends by itself, or a signal arrives.
pub(crate) async fn run(args: Args) -> ExitCode {
    let directory = match &args.disk {
        Some(path) => Directory { path: path.clone(), is_temporary: false },
        None => {
            let path = std::env::temp_dir().join(format!("tidings-lab-{}", std::process::id()));
            Directory { path, is_temporary: true }
        }
    };
    match serve(&args, &directory.path).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("cannot start the server: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: &Args, directory: &Path) -> io::Result<ExitCode> {
    let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut signals = Signals { interrupt, terminate };
    let mut port = args.port;
    loop {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--port").arg(port.to_string()).arg("--disk").arg(directory);
        if let Some(topic) = &args.stdin {
            command.arg("--stdin").arg(topic.as_str());
        }
        let mut server = command.env(SERVER, "1").stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let Some(status) = wait(&mut server, &mut port, &mut signals).await? else {
            return Ok(ExitCode::SUCCESS);
        };
        match status.code().map(u8::try_from) {
            // Killed, by the page or by another process.
            None | Some(Ok(AGAIN)) => {}
            Some(code) => return Ok(code.map_or(ExitCode::FAILURE, ExitCode::from)),
        }
    }
}

/// Prints the lines of a server until it ends, and kills it when it asks for that. Returns `None` if the lab is to end.
async fn wait(server: &mut Child, port: &mut u16, signals: &mut Signals) -> io::Result<Option<ExitStatus>> {
    let mut lines = server.stdout.take().map(|output| BufReader::new(output).lines());
    let mut has_output = lines.is_some();
    loop {
        let line = async {
            match &mut lines {
                Some(lines) if has_output => lines.next_line().await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            line = line => match line? {
                Some(line) if line == KILL => server.start_kill()?,
                Some(line) => {
                    let number = line.trim_end_matches('/').rsplit(':').next().and_then(|number| number.parse().ok());
                    *port = number.unwrap_or(*port);
                    println!("{line}");
                }
                None => has_output = false,
            },
            status = server.wait() => return status.map(Some),
            // A terminal sends it to the server, too, which drains its sessions.
            _ = signals.interrupt.recv() => {}
            _ = signals.terminate.recv() => {
                server.kill().await?;
                return Ok(None);
            }
        }
    }
}
