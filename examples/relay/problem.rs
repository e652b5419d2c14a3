//! What a client is told when something is wrong: a status, and `{"error":"…"}`.

use axum::Json;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request was refused.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    error: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into() }
    }

    /// The request can't be understood.
    pub(crate) fn bad(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    /// The same problem, with the place where it is.
    pub(crate) fn at(self, place: &str) -> Self {
        Self { error: format!("{place}: {}", self.error), ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.error }))).into_response()
    }
}

pub(crate) async fn no_such_page(method: Method, uri: Uri) -> Problem {
    let path = uri.path();
    Problem::new(StatusCode::NOT_FOUND, format!("there is no {method} {path}; relay --help lists what there is"))
}

pub(crate) async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("{} does not take {method}", uri.path()))
}
