//! Tools for tests over HTTP: an application with a publisher, requests to its endpoint, servers over loopback, and clients.

mod app;
mod client;
mod observed;
mod raw;
mod request;
mod runtime;
mod serve;
mod session_log;
mod websocket;

pub(crate) use app::App;
pub(crate) use client::{HELD, TestClient, settle};
pub(crate) use raw::{Frame, RawClient, frame};
pub(crate) use request::{To, get, header, pass, piece, request, stream, text};
pub(crate) use runtime::runtime;
pub(crate) use serve::{connect_http2, router, serve_http1, serve_http2, serve_pipe, serve_pipe_http2, serve_router};
pub(crate) use session_log::SessionEvent;
pub(crate) use websocket::upgrade_request;
