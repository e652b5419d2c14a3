//! x

mod headers;
mod host;
mod limits;
mod origin;
mod site;
