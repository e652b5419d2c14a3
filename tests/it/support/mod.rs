//! Tools that tests of more than one area use: virtual time, a scripted source, a task to poll with, and events to
//! publish.
#![allow(dead_code, unused_imports, reason = "each area uses a part, and not every area is compiled")]

mod cases;
#[cfg(feature = "object")]
mod events;
mod feed;
mod functions;
#[cfg(feature = "full")]
pub(crate) mod http;
mod silence;
mod task;
mod timer;

pub(crate) use cases::cases;
#[cfg(feature = "object")]
pub(crate) use events::{Step, any_event, any_history, any_topic, put};
pub(crate) use feed::{Feed, Reader};
pub(crate) use functions::functions;
pub(crate) use silence::check_silence;
pub(crate) use task::Task;
pub(crate) use timer::VirtualTimer;
