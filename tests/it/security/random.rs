use tokio::runtime::{Builder, Runtime};

/// A runtime for one case of a property, whose time is virtual.
pub(super) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}
