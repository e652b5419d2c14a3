use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, ToSocketAddrs, lookup_host};

/// Maximum number of connections that wait to be accepted. Linux limits it to `net.core.somaxconn`, by default 4,096.
const BACKLOG: u32 = 4_096;

/// Binds a listener with a backlog of 4,096 connections, or the maximum of the system if that is less.
///
/// `TcpListener::bind` of the standard library and of tokio has a backlog of 128. If more clients connect at the
/// same time, as after a restart, some connections are delayed by a second or more.
///
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// let listener = tidings::server::bind("127.0.0.1:3000").await?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Returns an error if the address cannot be resolved, or if none of the resolved addresses can be bound. It is the error of
/// the last one.
pub async fn bind(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "host name resolves to no address");
    for address in lookup_host(address).await? {
        match bind_one(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // The standard library sets it too, so that TIME_WAIT connections of an earlier process do not block the port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
