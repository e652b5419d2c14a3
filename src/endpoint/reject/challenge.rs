use http::HeaderValue;
use http::header::WWW_AUTHENTICATE;

use super::refusal::Refusal;

/// Value of `WWW-Authenticate`, which a 401 must have (RFC 9110 §15.5.2).
#[derive(Debug, Clone)]
pub(crate) struct Challenge(HeaderValue);

impl Default for Challenge {
    /// Returns `Bearer`. `Basic` would make a browser show its password dialog.
    fn default() -> Self {
        Self(HeaderValue::from_static("Bearer"))
    }
}

impl Challenge {
    /// Parses the value of the header.
    ///
    /// # Panics
    ///
    /// Panics if `text` does not begin with a scheme (RFC 9110 §11.6.1), or is not a valid header value.
    pub(crate) fn new(text: &str) -> Self {
        let scheme = text.split([' ', ',']).next().unwrap_or_default();
        let named = !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let value = HeaderValue::from_str(text).ok().filter(|_| named);
        assert!(value.is_some(), "www_authenticate takes `Scheme` or `Scheme name=\"value\"`, not {text:?}");
        value.map(Self).unwrap_or_default()
    }

    pub(crate) fn add_to(&self, refusal: Refusal) -> Refusal {
        refusal.with_header(WWW_AUTHENTICATE, self.0.clone())
    }
}
