//! x

mod authorization;
mod cursors;
mod headers;
mod host;
mod injection;
mod limits;
mod origin;
mod random;
mod rejections;
mod site;
mod topics;
