//! Tools that more than one area uses: virtual time, a scripted source, a task that is polled by hand, wakers, readers of
//! subscriptions, formats, generated events, an application that counts, and endpoints over HTTP. No area imports another.
#![allow(dead_code, unused_imports, reason = "each area uses a part, and not every area is compiled")]

mod cases;
pub(crate) mod counting;
#[cfg(feature = "object")]
mod events;
mod feed;
mod formats;
mod functions;
#[cfg(feature = "full")]
pub(crate) mod http;
mod read;
mod silence;
#[allow(unreachable_pub, clippy::duplicate_mod, reason = "the file is one of the conformance kit")]
#[path = "../../../src/conformance/clients/sse_reader.rs"]
mod sse_reader;
mod task;
#[allow(unreachable_pub, reason = "the file is one of the conformance kit")]
#[path = "../../../src/conformance/run/virtual_timer.rs"]
mod timer;
mod topics;
mod wakers;

pub(crate) use cases::cases;
#[cfg(feature = "object")]
pub(crate) use events::{Step, any_change, any_event, any_history, any_topic, put};
pub(crate) use feed::{Feed, Reader};
pub(crate) use formats::{CountingFormat, LineFormat};
pub(crate) use functions::functions;
pub(crate) use read::{next_gap, poll, poll_encoded, ready_batches, ready_items, ready_texts, sequences, texts};
pub(crate) use silence::check_silence;
pub(crate) use sse_reader::{SseEvent, SseReader};
pub(crate) use task::Task;
pub(crate) use timer::VirtualTimer;
pub(crate) use topics::{publish_text, subtopic, topic};
pub(crate) use wakers::{PanickingWaker, WakeCounter, unpark_waker};
