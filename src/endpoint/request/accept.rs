use http::HeaderValue;

use super::transports::Transports;
use crate::contract::Transport;

/// Weights that `Accept` gives to the media types of an endpoint (RFC 9110 §12.5.1).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AcceptWeights {
    /// Greatest weight of each kind of range in thousandths. `None` if the header does not name it.
    weights: [Option<u16>; 6],
    lines: LinesType,
}

// Kinds of media ranges: indices of `weights`.
const SSE: usize = 0;
const LINES: usize = 1;
const JSON: usize = 2;
const ANY_TEXT: usize = 3;
const ANY_APPLICATION: usize = 4;
const ANY: usize = 5;

/// Names of media ranges, with their kinds and the name for lines of JSON.
const RANGES: [(&str, usize, LinesType); 8] = [
    ("*/*", ANY, LinesType::XNdjson),
    ("text/event-stream", SSE, LinesType::XNdjson),
    ("application/json", JSON, LinesType::XNdjson),
    ("application/x-ndjson", LINES, LinesType::XNdjson),
    ("application/ndjson", LINES, LinesType::Ndjson),
    ("application/jsonl", LINES, LinesType::Jsonl),
    ("text/*", ANY_TEXT, LinesType::XNdjson),
    ("application/*", ANY_APPLICATION, LinesType::XNdjson),
];

/// Weight of a range without `q`.
const FULL: u16 = 1_000;

/// Media type of lines of JSON that the client named. None of them is registered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum LinesType {
    #[default]
    XNdjson,
    Ndjson,
    Jsonl,
}

impl LinesType {
    pub(crate) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::XNdjson => "application/x-ndjson",
            Self::Ndjson => "application/ndjson",
            Self::Jsonl => "application/jsonl",
        })
    }
}

impl AcceptWeights {
    /// Reads one line of the header.
    pub(crate) fn add(&mut self, line: &HeaderValue) {
        for range in line.to_str().unwrap_or_default().split(',') {
            let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
            let name = name.trim();
            let Some((_, kind, lines)) = RANGES.iter().find(|(known, ..)| name.eq_ignore_ascii_case(known)) else {
                continue;
            };
            let weight = if parameters.is_empty() { FULL } else { weight(parameters) };
            let Some(greatest) = self.weights.get_mut(*kind) else { continue };
            if Some(weight) > *greatest {
                *greatest = Some(weight);
                if *kind == LINES && weight > 0 {
                    self.lines = *lines;
                }
            }
        }
    }

    /// Returns the media type of lines of JSON that the client prefers.
    pub(crate) fn lines(&self) -> LinesType {
        self.lines
    }

    /// Returns the offered stream with the greatest weight. Returns `None` if JSON has a greater weight, or no offered
    /// stream is acceptable.
    ///
    /// A wildcard does not choose a stream if JSON is acceptable, because programs send `*/*` without a preference.
    #[inline]
    pub(crate) fn choose(&self, offered: Transports) -> Option<Transport> {
        // Most programs that poll do not send the header.
        if self.weights == [None; 6] { None } else { self.choose_named(offered) }
    }

    fn choose_named(&self, offered: Transports) -> Option<Transport> {
        let polls = offered.has(Transport::ShortPoll) || offered.has(Transport::LongPoll);
        let json = if polls { self.weight(JSON, &[ANY_APPLICATION, ANY]) } else { 0 };
        let weight = |transport, kind, ranges: &[usize]| {
            let weight = self.weight(kind, if json > 0 { &[] } else { ranges });
            if offered.has(transport) && weight >= json { weight } else { 0 }
        };
        let sse = weight(Transport::Sse, SSE, &[ANY_TEXT, ANY]);
        let lines = weight(Transport::Chunked, LINES, &[ANY_APPLICATION, ANY]);
        match (sse, lines) {
            (0, 0) => None,
            _ if sse >= lines => Some(Transport::Sse),
            _ => Some(Transport::Chunked),
        }
    }

    /// Returns the weight of a media type in thousandths: its own, else that of the first of `ranges` that the header
    /// names. 0 if it is not acceptable.
    fn weight(&self, kind: usize, ranges: &[usize]) -> u16 {
        let named = |kind: usize| self.weights.get(kind).copied().flatten();
        named(kind).or_else(|| ranges.iter().find_map(|range| named(*range))).unwrap_or(0)
    }
}

/// Returns the weight among the parameters of a range, in thousandths. A malformed weight counts as 1. Digits after the
/// third decimal place are ignored.
fn weight(parameters: &str) -> u16 {
    let value = |parameter: &str| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then_some(())?;
        thousandths(value.trim())
    };
    parameters.split(';').find_map(value).unwrap_or(FULL)
}

fn thousandths(text: &str) -> Option<u16> {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    if whole.len() != 1 || !places.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let digits = places.bytes().chain(*b"000").take(3);
    let places = digits.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    match whole {
        "0" => Some(places),
        "1" => Some(FULL),
        _ => None,
    }
}
