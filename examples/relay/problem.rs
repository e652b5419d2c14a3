//! Responses to requests that fail: a status, and `{"error":"…"}`.

use hyper::header::{self, HeaderValue};
use hyper::{Method, StatusCode};
use serde_json::json;

use crate::pages::{self, Page};

/// Reason to refuse a request.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    error: String,
    /// Allowed methods, in the response to one that is not allowed.
    allow: Option<&'static str>,
    /// Seconds after which the same request may succeed.
    retry_after: Option<u32>,
    /// `true` if the body was encoded, which is not supported.
    is_encoded: bool,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into(), allow: None, retry_after: None, is_encoded: false }
    }

    /// Returns the problem of a request that cannot be parsed.
    pub(crate) fn bad(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    /// Returns the problem of a body that is compressed.
    pub(crate) fn encoded() -> Self {
        let text = "content-encoding is not supported: send the body uncompressed";
        Self { is_encoded: true, ..Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text) }
    }

    /// Returns the problem of a method that the page does not support.
    pub(crate) fn method(path: &str, asked: &Method, allow: &'static str) -> Self {
        let problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, format!("{path} does not take {asked}, but {allow}"));
        Self { allow: Some(allow), ..problem }
    }

    /// Sets the seconds after which the same request may succeed.
    pub(crate) fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// Adds the place where the problem is.
    pub(crate) fn at(self, place: &str) -> Self {
        Self { error: format!("{place}: {}", self.error), ..self }
    }

    pub(crate) fn into_page(self) -> Page {
        let mut page = pages::json(&json!({ "error": self.error }));
        *page.status_mut() = self.status;
        if let Some(allow) = self.allow {
            page.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(seconds) = self.retry_after {
            page.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if self.is_encoded {
            // RFC 9110 §12.5.3.
            page.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        page
    }
}
