//! Engines: logs that outlive the process.

#[cfg(feature = "disk")]
pub(crate) mod disk;
