//! A server in a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::client::Client;

#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    address: String,
}

impl Server {
    pub(crate) fn start(kind: &str) -> Self {
        let program = env!("CARGO_BIN_EXE_compare");
        let mut process =
            Command::new(program).args(["serve", kind]).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("it is piped")).read_line(&mut line).expect("it prints");
        let address = line.trim().strip_prefix(&format!("{kind}: listening on http://")).expect("it says where");
        Self { address: address.to_owned(), process }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(&self.address)
    }

    /// Returns a client that gets all messages from now on.
    pub(crate) fn listen(&self, target: &str, headers: &str) -> Client {
        let mut client = self.connect();
        client.send(&Client::request(&format!("GET {target}"), headers, ""));
        let head = client.read_head();
        assert!(head.starts_with("HTTP/1.1 200 ") || head.starts_with("HTTP/1.1 101 "), "{head}");
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
