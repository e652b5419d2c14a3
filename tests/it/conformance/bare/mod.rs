//! The adapters without HTTP: each over a subscriber of the stage's hub, read by the reader of its wire, under virtual
//! time.

mod pipe;
mod poll;
mod row;
mod stream;
mod time;
mod websocket;

pub(super) use row::rows;
pub(super) use time::{block_on, within};
