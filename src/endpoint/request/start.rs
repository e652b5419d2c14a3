use std::borrow::Cow;

use super::entity_tag::HeldCursor;
use super::head::{LastEventId, RequestHead};
use super::query::Pair;
use crate::contract::Start;
use crate::model::Cursor;

/// Parameters of a query that select the start of a client. Of repeated ones the first that is not empty counts.
#[derive(Debug, Default)]
pub(super) struct StartQuery<'a> {
    cursor: Option<Cow<'a, str>>,
    /// Value of `lastEventId`, for clients that cannot set a header.
    last_event_id: Option<Cow<'a, str>>,
    /// Number of events that `?last=` selects, at most `u32::MAX`: 0 if it is unreadable.
    last: Option<u32>,
    /// Set if `?start=` selects the oldest event, unset if it selects none.
    oldest: Option<bool>,
}

/// Start that a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestedStart {
    pub(super) start: Start,
    /// Set if the request has a cursor, `?last=` or `?start=`, readable or not.
    pub(super) is_explicit: bool,
}

impl<'a> StartQuery<'a> {
    /// Takes a parameter. Returns `false` if it is another one.
    ///
    /// A value is never an error status, not even if it is not UTF-8: an unreadable cursor becomes an `invalid` gap, and
    /// any other unreadable value [`Start::Now`].
    #[inline(always)]
    pub(super) fn take(&mut self, name: &str, pair: Pair<'a>, max_last: usize) -> bool {
        let place = match name.len() {
            4 if name == "last" => {
                self.take_last(pair, max_last);
                return true;
            }
            5 if name == "start" => {
                self.take_start(pair);
                return true;
            }
            6 if name == "cursor" => &mut self.cursor,
            11 | 13 if is_last_event_id(name) => &mut self.last_event_id,
            _ => return false,
        };
        // `?` is not a cursor.
        let cursor = pair.value().unwrap_or(Cow::Borrowed("?"));
        if place.is_none() && !cursor.is_empty() {
            *place = Some(cursor);
        }
        true
    }

    #[cold]
    fn take_last(&mut self, pair: Pair<'_>, max_last: usize) {
        let value = pair.value().unwrap_or(Cow::Borrowed("?"));
        if value.is_empty() {
            return;
        }
        let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
        let max_last = u32::try_from(max_last).unwrap_or(u32::MAX);
        // A number above `u32::MAX` is above the limit, too.
        let count = if is_number { value.parse().unwrap_or(u32::MAX).min(max_last) } else { 0 };
        self.last.get_or_insert(count);
    }

    #[cold]
    fn take_start(&mut self, pair: Pair<'_>) {
        let value = pair.value().unwrap_or(Cow::Borrowed("?"));
        if !value.is_empty() {
            self.oldest.get_or_insert(value == "oldest");
        }
    }

    /// Returns the start of a client: after the cursor in `Last-Event-ID`, else in the query, else in `If-None-Match`;
    /// else the one of `?last=`, else of `?start=`. An empty value counts as absent. `lastEventId` counts before
    /// `cursor`, because a polyfill adds it to a URL that may have the `cursor` of the first connection.
    #[inline(always)]
    pub(super) fn of(&self, head: &RequestHead<'_>) -> RequestedStart {
        let read = |cursor: &[u8]| Cursor::parse(cursor).map_or(Start::Unreadable, Start::After);
        let start = match (head.last_event_id, self.last_event_id.as_deref().or(self.cursor.as_deref())) {
            (LastEventId::Is(id), _) => read(id),
            (LastEventId::Unclear, _) => Start::Unreadable,
            (LastEventId::Absent, Some(cursor)) => read(cursor.as_bytes()),
            (LastEventId::Absent, None) => match head.held {
                HeldCursor::Cursor(cursor) => Start::After(cursor),
                HeldCursor::Unreadable => Start::Unreadable,
                HeldCursor::Nothing => {
                    let start = match (self.last, self.oldest) {
                        (Some(count @ 1..), _) => Start::Last(count as usize),
                        (None, Some(true)) => Start::Oldest,
                        _ => Start::Now,
                    };
                    return RequestedStart { start, is_explicit: self.last.is_some() || self.oldest.is_some() };
                }
            },
        };
        RequestedStart { start, is_explicit: true }
    }
}

/// Returns whether a parameter is `lastEventId`, in any case and with `-`, `_` or nothing between the words, as
/// polyfills of `EventSource` and clients of Mercure send it.
fn is_last_event_id(name: &str) -> bool {
    ["lasteventid", "last-event-id", "last_event_id"].iter().any(|known| name.eq_ignore_ascii_case(known))
}
