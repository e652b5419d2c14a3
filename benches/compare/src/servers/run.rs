//! `compare serve`.

use std::io;
use std::net::TcpListener;

use super::floor::{self, Turn};
use super::hand_rolled::{self, Style};

/// Arguments of `serve`.
pub(crate) const USAGE: &str = "floor|floor-batch|axum|tuned [--listen ADDRESS]";

/// Queue of connections to accept, as tokio has it.
const BACKLOG: i32 = 1024;

/// Prints the address, and serves until the process is killed.
pub(crate) fn run(arguments: impl Iterator<Item = String>) -> Result<(), String> {
    let mut arguments = arguments;
    let kind = arguments.next().ok_or_else(|| format!("usage: compare serve {USAGE}"))?;
    let mut address = "127.0.0.1:0".to_owned();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--listen" => address = arguments.next().ok_or("--listen needs a value")?,
            _ => return Err(format!("there is no {argument}; usage: compare serve {USAGE}")),
        }
    }
    let serve: fn(TcpListener) -> io::Result<()> = match kind.as_str() {
        "floor" => |listener| floor::serve(listener, Turn::Message),
        "floor-batch" => |listener| floor::serve(listener, Turn::Wakeup),
        "axum" => |listener| hand_rolled::serve(listener, Style::Usual),
        "tuned" => |listener| hand_rolled::serve(listener, Style::Tuned),
        _ => return Err(format!("there is no server '{kind}'; usage: compare serve {USAGE}")),
    };
    let listener = listen(&address).map_err(|error| format!("can't listen on {address}: {error}"))?;
    let bound = listener.local_addr().map_err(|error| error.to_string())?;
    println!("{kind}: listening on http://{bound}");
    serve(listener).map_err(|error| format!("{kind}: {error}"))
}

fn listen(address: &str) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    // std sets it to 128 and has no option for it.
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}
