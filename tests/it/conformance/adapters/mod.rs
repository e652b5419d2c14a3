//! The adapters without HTTP: each over a subscriber of the test hub, read by the reader of its wire format, under virtual
//! time.

mod pipe;
mod poll;
mod row;
mod stream;
mod time;
mod websocket;

pub(super) use row::rows;
pub(super) use time::{block_on, within};
