use std::io;
#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
use std::time::Duration;

use tokio::net::TcpStream;

/// How long the kernel keeps bytes that a peer does not acknowledge: twice the keep-alive, so that a phone in a tunnel
/// lives, and a quarter of what TCP's retransmissions would take at the least.
#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// Limit of unsent bytes in the kernel. The socket is writable again at half of it. Without the limit the buffer grows to
/// megabytes, and a slow client seems to read nothing for longer than a write timeout.
#[cfg(any(target_os = "android", target_os = "linux"))]
const UNSENT: u32 = 64 * 1024;

/// Sets a connection up for push: `TCP_NODELAY`, so that a small event is not held back for the last one's
/// acknowledgement; on Linux, Android and Fuchsia, `TCP_USER_TIMEOUT` of 30 s, so that a connection whose peer
/// takes nothing ends, which the HTTP stack does not see to; and, on Linux and Android, `TCP_NOTSENT_LOWAT` of 64 KiB, so
/// that a write timeout sees the progress of a slow client, and a ping does not wait behind megabytes in the kernel.
///
/// In axum: `listener.tap_io(|stream| { let _ = tidings::server::set_tcp_options(stream); })`.
///
/// # Errors
///
/// Returns the error of the operating system. The connection works on without the option.
pub fn set_tcp_options(stream: &TcpStream) -> io::Result<()> {
    let socket = socket2::SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    #[cfg(any(target_os = "android", target_os = "linux"))]
    socket.set_tcp_notsent_lowat(UNSENT)?;
    Ok(())
}
