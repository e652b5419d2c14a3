use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, ToSocketAddrs, lookup_host};

/// Number of connections that wait to be accepted. Linux cuts it to `net.core.somaxconn`, by default 4,096.
const BACKLOG: u32 = 4_096;

/// Binds a listener whose queue of connections that wait to be accepted is 4,096 long, or as long as the system allows.
///
/// `TcpListener::bind` of the standard library and tokio asks for 128: where more clients connect at the same time, as
/// after a restart, the connections of some are delayed by a second or more.
///
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// let listener = tidings::server::bind("127.0.0.1:3000").await?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// The address cannot be resolved, or none of its addresses can be bound. The error is that of the last one.
pub async fn bind(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "the name resolves to no address");
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
    // As the standard library does: connections of an earlier process in TIME_WAIT do not keep the port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
