//! The socket of the relay: one that a service manager passes, or one of its own.

use std::io;

use listenfd::ListenFd;
use tokio::net::TcpListener;

/// Returns the socket that the service manager passed (systemd's `LISTEN_FDS`), or binds the address of `--listen`.
///
/// A passed socket stays open while the relay restarts, so connections wait for the next process, up to the socket's backlog.
pub(crate) async fn listen(address: &str) -> io::Result<TcpListener> {
    match passed()? {
        Some(listener) => Ok(listener),
        None => tidings::server::bind(address).await.map_err(|error| {
            let why = format!("cannot listen on {address}: {error}; choose another address with --listen");
            io::Error::new(error.kind(), why)
        }),
    }
}

fn passed() -> io::Result<Option<TcpListener>> {
    let Some(listener) = ListenFd::from_env().take_tcp_listener(0)? else { return Ok(None) };
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener).map(Some)
}
