//! x

mod authorization;
mod cursors;
mod echo;
mod floods;
mod frames;
mod headers;
mod host;
mod injection;
mod limits;
mod origin;
mod panics;
mod random;
mod rejections;
mod site;
mod topics;
mod upgrade;
