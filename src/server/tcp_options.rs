use std::io;
#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
use std::time::Duration;

use tokio::net::TcpStream;

/// Time after which the kernel ends a connection whose peer does not acknowledge bytes. It is twice the keep-alive, so that
/// it tolerates brief mobile outages. The retransmissions of TCP would take at least four times as long.
#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// Limit of unsent bytes in the kernel. The socket is writable again at half of it. Without the limit the buffer grows to
/// megabytes, so that a slow client appears to read nothing for longer than a write timeout.
#[cfg(any(target_os = "android", target_os = "linux"))]
const UNSENT: u32 = 64 * 1024;

/// Sets TCP options for server push.
///
/// | option | value | systems | reason |
/// |---|---|---|---|
/// | `TCP_NODELAY` | on | all | a small event does not wait for the acknowledgement of the last one |
/// | `TCP_USER_TIMEOUT` | 30 s | Linux, Android, Fuchsia | a connection ends if its peer acknowledges nothing; the HTTP stack has no such timeout |
/// | `TCP_NOTSENT_LOWAT` | 64 KiB | Linux, Android | a write timeout observes the progress of a slow client, and a ping does not wait behind megabytes in the kernel |
///
/// [`serve`](https://docs.rs/tidings/latest/tidings/server/fn.serve.html) and [`CoalescingStream`](super::CoalescingStream)
/// set these options themselves. With `axum::serve`:
///
/// ```no_run
/// use axum::serve::ListenerExt;
///
/// # async fn run(app: axum::Router) -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
/// let listener = listener.tap_io(|stream| {
///     let _ = tidings::server::set_tcp_options(stream);
/// });
/// axum::serve(listener, app).await
/// # }
/// ```
///
/// # Errors
///
/// Returns the error of the operating system. The connection works without the option.
pub fn set_tcp_options(stream: &TcpStream) -> io::Result<()> {
    let socket = socket2::SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    #[cfg(any(target_os = "android", target_os = "linux"))]
    socket.set_tcp_notsent_lowat(UNSENT)?;
    Ok(())
}
