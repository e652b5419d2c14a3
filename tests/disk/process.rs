use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::StatusCode;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::clients::{Connection, Http, Traffic};
use crate::server::{Options, REFUSED, REPORT, TEST, VARIABLE};

/// Longest wait for a process.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process that serves a hub on disk. It is killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    /// The process ends with it.
    input: Option<ChildStdin>,
    pid: u32,
    pub(crate) address: SocketAddr,
    /// Loss that the open has found.
    pub(crate) loss: Option<String>,
    errors: Errors,
}

/// Text that a process writes to its standard error output.
struct Errors {
    text: Arc<Mutex<String>>,
    task: JoinHandle<()>,
}

/// Open that failed.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) kind: String,
    pub(crate) error: String,
}

/// Publish that failed.
#[derive(Debug)]
pub(crate) struct NotPublished {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
}

impl Server {
    pub(crate) async fn start(options: &Options) -> Result<Self, Refused> {
        Self::limited(options, "").await
    }

    /// Starts a process after a command of the shell, such as one that limits it.
    pub(crate) async fn limited(options: &Options, limit: &str) -> Result<Self, Refused> {
        let mut command = Command::new("sh");
        // A write beyond the limit of a file's size is an error then, and does not end the process.
        command
            .args(["-c", &format!("trap '' XFSZ; {limit}\nexec \"$0\" \"$@\"")])
            .arg(std::env::current_exe().unwrap());
        command.args(["--exact", TEST, "--nocapture", "--test-threads=1"]);
        command.env(VARIABLE, serde_json::to_string(options).unwrap());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let (pid, input) = (child.id().unwrap(), child.stdin.take());
        let errors = Errors::read(child.stderr.take().unwrap());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let report = loop {
            let line = timeout(PATIENCE, lines.next_line()).await.expect("the server opens").unwrap();
            let Some(line) = line else {
                let status = child.wait().await.unwrap();
                panic!("{status} without a report: {}", errors.end().await);
            };
            if let Some(report) = line.strip_prefix(REPORT) {
                break serde_json::from_str::<Value>(report).unwrap();
            }
        };
        let text = |name: &str| report[name].as_str().map(str::to_owned);
        if let Some((error, kind)) = text("error").zip(text("kind")) {
            let status = timeout(PATIENCE, child.wait()).await.expect("the process ends").unwrap();
            let errors = errors.end().await;
            assert_eq!(status.code(), Some(REFUSED), "{error}: {errors}");
            assert_no_panic(&errors);
            return Err(Refused { kind, error });
        }
        let address = text("address").unwrap().parse().unwrap();
        Ok(Self { child, input, pid, address, loss: text("loss"), errors })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Kills the process.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
        assert_no_panic(&self.errors.end().await);
    }

    /// Ends the process as an operator does, with SIGTERM.
    pub(crate) async fn stop(mut self) {
        let pid = self.pid.to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
        let status = self.exit().await;
        let errors = self.errors.end().await;
        assert_eq!(status.code(), Some(0), "{errors}");
        assert_no_panic(&errors);
    }

    pub(crate) fn close_input(&mut self) {
        self.input = None;
    }

    /// Waits for the end of the process.
    pub(crate) async fn exit(&mut self) -> ExitStatus {
        timeout(PATIENCE, self.child.wait()).await.expect("the process ends").unwrap()
    }

    /// Limits the size of the files to which the process writes. `None`: no limit.
    pub(crate) async fn limit_files(&self, bytes: Option<u64>) {
        let soft = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
        let (pid, limit) = (format!("--pid={}", self.pid), format!("--fsize={soft}:"));
        assert!(Command::new("prlimit").args([pid, limit]).status().await.unwrap().success());
    }

    /// Publishes an event. Returns its cursor.
    pub(crate) async fn publish(&self, topic: &str, text: &str) -> Result<String, NotPublished> {
        let (status, text) = self.request("POST", &format!("/publish/{topic}"), text).await;
        if status == StatusCode::OK { Ok(text) } else { Err(NotPublished { status, text }) }
    }

    /// Sets a key of a keyed topic, or removes it.
    pub(crate) async fn set(&self, topic: &str, key: &str, text: Option<&str>) {
        let method = if text.is_some() { "PUT" } else { "DELETE" };
        let target = format!("/keyed/{topic}/{key}");
        let (status, text) = self.request(method, &target, text.unwrap_or_default()).await;
        assert_eq!(status, StatusCode::OK, "{text}");
    }

    /// Ends a topic.
    pub(crate) async fn finish(&self, topic: &str) {
        let (status, text) = self.request("POST", &format!("/finish/{topic}"), "").await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{text}");
    }

    /// Starts a run of that many events, or joins it. Returns whether it is new.
    pub(crate) async fn start_run(&self, topic: &str, events: u64) -> bool {
        let (status, text) = self.request("POST", &format!("/{topic}"), &events.to_string()).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        text == "true"
    }

    pub(crate) async fn cursor(&self) -> String {
        self.request("GET", "/cursor", "").await.1
    }

    async fn request(&self, method: &str, target: &str, body: &str) -> (StatusCode, String) {
        let mut connection = connection(self.address).await.unwrap();
        let request = connection.request(method, target);
        let response = timeout(PATIENCE, connection.send(request, body.to_owned())).await.expect("an answer").unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }
}

impl Errors {
    fn read(output: tokio::process::ChildStderr) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let read = Arc::clone(&text);
        let task = tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let mut text = read.lock().unwrap_or_else(PoisonError::into_inner);
                text.push_str(&line);
                text.push('\n');
            }
        });
        Self { text, task }
    }

    /// Returns the text of a process that has ended.
    async fn end(self) -> String {
        timeout(PATIENCE, self.task).await.expect("the output ends").unwrap();
        std::mem::take(&mut *self.text.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Checks that no code of this crate has panicked. A panic of fjall is an error of the store.
fn assert_no_panic(errors: &str) {
    let is_ours = |line: &str| line.contains("panicked at src/") || line.contains("panicked at tests/");
    assert!(!errors.lines().any(is_ours), "{errors}");
}

/// Connects to a server.
pub(crate) async fn connection(address: SocketAddr) -> Result<Connection, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    Connection::over(stream, Http::One, Traffic::default()).await
}
