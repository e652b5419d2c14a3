mod damage;
mod damaged_rows;
mod directory;
mod dropped;
mod expected;
mod failed;
mod files;
#[cfg(target_os = "linux")]
mod full;
mod history;
#[cfg(target_os = "linux")]
mod kill;
mod model;
mod retention;
mod round_trip;
pub(crate) mod support;
