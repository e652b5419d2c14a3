use tokio::runtime::{Builder, Runtime};

/// Returns a single-threaded runtime with virtual time.
pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}
