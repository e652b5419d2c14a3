//! HTTP/1.1 responses with a length.

use httparse::{EMPTY_HEADER, Response, Status};

/// Maximum bytes: more than any of the servers sends.
const MAX_HEADERS: usize = 32;

/// A complete response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
    /// Bytes of head and body. The next response follows.
    pub(crate) len: usize,
}

/// Returns the first response in these bytes, or `None` if it is not complete.
pub(crate) fn first(bytes: &[u8]) -> Result<Option<Answer<'_>>, String> {
    let Some((status, length, start)) = head(bytes)? else { return Ok(None) };
    let length = length.ok_or("an answer has no content-length")?;
    let body = bytes.get(start..start + length);
    Ok(body.map(|body| Answer { status, body, len: start + length }))
}

/// Returns the status, the length of the body if present, and the start of the body, or `None` if the head is not
/// complete.
pub(crate) fn head(bytes: &[u8]) -> Result<Option<(u16, Option<usize>, usize)>, String> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut response = Response::new(&mut headers);
    let parsed = response.parse(bytes).map_err(|error| format!("an answer is not HTTP: {error}"))?;
    let (Status::Complete(start), Some(status)) = (parsed, response.code) else { return Ok(None) };
    let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.map(|header| std::str::from_utf8(header.value).unwrap_or("").parse());
    Ok(Some((status, length.transpose().map_err(|_| "a content-length is no number")?, start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart_however_they_come() {
        let stream = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n";
        let whole = first(stream).unwrap().unwrap();
        assert_eq!((whole.status, whole.body), (200, &b"abc"[..]));
        let second = first(&stream[whole.len..]).unwrap().unwrap();
        assert_eq!((second.status, second.body, whole.len + second.len), (404, &b""[..], stream.len()));
        for cut in 0..whole.len {
            assert_eq!(first(&stream[..cut]).unwrap(), None, "cut at {cut}");
        }
    }

    #[test]
    fn an_answer_without_a_length_is_refused() {
        assert!(first(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(first(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n").is_err());
        assert!(first(b"SSH-2.0-x\r\n").is_err());
    }
}
