//! Byte budget of a hub, and the lists by which logs and caches are evicted.

#[expect(clippy::module_inception, reason = "the type gives the folder its name")]
pub(crate) mod budget;
pub(crate) mod cache_queue;
pub(crate) mod footprint;
pub(crate) mod logs_by_size;
pub(crate) mod rank;
pub(crate) mod slots;
pub(crate) mod weak_queue;
