use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::Server;

/// Returns the page that runs a client of browsers.
pub(crate) async fn page(State(server): State<Arc<Server>>) -> Response {
    send(&server, "pages/page.html")
}

/// Returns a file of the folder.
pub(crate) async fn file(State(server): State<Arc<Server>>, Path(path): Path<String>) -> Response {
    send(&server, &path)
}

fn send(server: &Server, path: &str) -> Response {
    if path.split('/').any(|part| part == "..") {
        return StatusCode::NOT_FOUND.into_response();
    }
    let content_type = match path.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "js" | "mjs")) => "text/javascript",
        Some(_) => "application/octet-stream",
        None => "text/javascript",
    };
    // Some packages import their modules without the ending.
    let file = server.folder.join(path);
    match std::fs::read(&file).or_else(|_| std::fs::read(file.with_extension("js"))) {
        Ok(bytes) => ([(CONTENT_TYPE, content_type)], bytes).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}
