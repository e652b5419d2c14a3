//! Ends of topics on each wire, without HTTP.

mod bytes;
mod resume;
mod without_controls;
