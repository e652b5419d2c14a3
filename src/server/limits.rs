use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::request_timer::LONGEST;

// The reasons are in the table of `Serve`.

const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
const MAX_REQUEST_HEAD: usize = 32 * 1024;
/// Minimum of hyper.
const MIN_REQUEST_HEAD: usize = 8 * 1024;
const MAX_CONNECTIONS: usize = 120_000;
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_CONCURRENT_STREAMS: u32 = 200;
const MAX_STALLED_STREAMS: usize = 4;
const MAX_HEADER_LIST_SIZE: u32 = 16 * 1024;
const MAX_SEND_BUF_SIZE: usize = 64 * 1024;
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Limits of a server.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) head_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) max_request_head: usize,
    pub(super) max_connections: usize,
    pub(super) shutdown_timeout: Duration,
    pub(super) max_concurrent_streams: u32,
    pub(super) max_stalled_streams: usize,
    pub(super) max_header_list_size: u32,
    pub(super) max_send_buf_size: usize,
    pub(super) keep_alive_interval: Duration,
    pub(super) keep_alive_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_timeout: HEAD_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            max_request_head: MAX_REQUEST_HEAD,
            max_connections: MAX_CONNECTIONS,
            shutdown_timeout: SHUTDOWN_TIMEOUT,
            max_concurrent_streams: MAX_CONCURRENT_STREAMS,
            max_stalled_streams: MAX_STALLED_STREAMS,
            max_header_list_size: MAX_HEADER_LIST_SIZE,
            max_send_buf_size: MAX_SEND_BUF_SIZE,
            keep_alive_interval: KEEP_ALIVE_INTERVAL,
            keep_alive_timeout: KEEP_ALIVE_TIMEOUT,
        }
    }
}

impl Limits {
    /// Returns a builder without a timer, because each connection has its own.
    pub(super) fn http1(&self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        builder
            .header_read_timeout(self.head_timeout.min(LONGEST))
            .max_buf_size(self.max_request_head.max(MIN_REQUEST_HEAD));
        builder
    }

    /// Returns a builder.
    pub(super) fn http2(&self) -> http2::Builder<TokioExecutor> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .adaptive_window(false)
            .max_concurrent_streams(self.max_concurrent_streams)
            .max_header_list_size(self.max_header_list_size)
            // The h2 crate panics if it exceeds 32 bits.
            .max_send_buf_size(self.max_send_buf_size.min(u32::MAX as usize))
            .keep_alive_interval(self.keep_alive_interval.min(LONGEST))
            .keep_alive_timeout(self.keep_alive_timeout.min(LONGEST));
        #[cfg(feature = "http2")]
        builder.enable_connect_protocol();
        builder
    }
}
