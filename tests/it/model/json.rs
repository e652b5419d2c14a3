//! JSON that an event may carry: text that common parsers read, also inside a reply.

use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;
use tidings::transport::short_poll::PollQueue;
use tidings::{Event, EventError};

use crate::support::Feed;

/// Returns nested arrays of this depth.
fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

/// Returns the body of a poll reply with this event.
fn reply(event: Event) -> Vec<u8> {
    let feed = Feed::new(7);
    feed.event("news", event);
    PollQueue::new(feed.reader()).reply().into_parts().concat()
}

#[test]
fn json_that_common_parsers_refuse_is_refused_with_kind_and_offset() {
    let surrogate = |at| EventError::UnpairedSurrogate { at };
    let too_deep = |at| EventError::JsonTooDeep { at };
    let too_large = |at| EventError::JsonNumberTooLarge { at };
    let long = "9".repeat(400);
    for (text, error) in [
        (r#"{"a":"\ud800"}"#, surrogate(6)),
        (r#"{"a":"x\uD800y"}"#, surrogate(7)),
        (r#""\udc00""#, surrogate(1)),
        (r#""\uDFFF\uD800""#, surrogate(1)),
        (r#""\ud800\ud800\udc00""#, surrogate(1)),
        (r#""\ud83d\ude00\ud83d""#, surrogate(13)),
        (r#""\ud800\n""#, surrogate(1)),
        (r#""\ud800\\udc00""#, surrogate(1)),
        (r#""\ud800 \udc00""#, surrogate(1)),
        (r#""\\\ud800""#, surrogate(3)),
        (r#"{"\ud800":1}"#, surrogate(2)),
        (r#"[{"b":[{"a\udc00":1}]}]"#, surrogate(10)),
        (&nested(125), too_deep(124)),
        (&nested(2_000), too_deep(124)),
        (&format!(" {{\"a\":{}}}", nested(124)), too_deep(6 + 123)),
        (&format!("{}{}", "{\"a\":".repeat(125), "}".repeat(125)).replace(":}", ":1}"), too_deep(5 * 124)),
        ("1e999", too_large(0)),
        (" [1, -1E+400]", too_large(5)),
        (r#"{"a":[true,2.5e308]}"#, too_large(11)),
        (&long, too_large(0)),
        (&format!("-{long}.5"), too_large(0)),
        ("1e99999999999999999999", too_large(0)),
    ] {
        assert_eq!(Event::json_text(text.to_owned()), Err(error.clone()), "{text}");
        // Raw JSON text that is serialized by serde is checked too.
        if let Ok(raw) = RawValue::from_string(text.trim().to_owned()) {
            assert_eq!(
                Event::json(&raw).unwrap_err().to_string().split("byte").next(),
                error.to_string().split("byte").next()
            );
        }
    }
}

#[test]
fn json_at_the_limits_is_accepted_and_read_back_inside_a_reply() {
    let digits = "1234567890".repeat(30);
    for text in [
        r#"{"a":"\ud83d\ude00"}"#,
        r#""\uDBFF\uDFFF\uD800\uDC00""#,
        r#"{"\ud83d\ude00":"\\ud800"}"#,
        r#""\\\\ud800\"""#,
        r#""\ud7ff\ue000\u0000""#,
        &nested(124),
        &format!("[{},{}]", nested(123), nested(123)),
        &format!("\"{}\"", "[".repeat(1_000)),
        "1.7976931348623157e308",
        "-1.7976931348623157E+308",
        "1e-999",
        "0e999",
        "12345678901234567890123",
        &digits,
        &format!("-{digits}.25"),
        "[]",
        "null",
    ] {
        let event = Event::json_text(text.to_owned()).unwrap_or_else(|error| panic!("{text}: {error}"));
        let read: Value = serde_json::from_slice(&reply(event)).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(read["events"][0]["data"], serde_json::from_str::<Value>(text).unwrap(), "{text}");
    }
}

#[test]
fn serialized_value_nested_too_deep_is_refused() {
    let deep = |depth: usize| (0..depth).fold(Value::Null, |inner, _| Value::from(vec![inner]));
    assert!(Event::json(&deep(Event::MAX_JSON_DEPTH)).is_ok());
    assert_eq!(Event::json(&deep(Event::MAX_JSON_DEPTH + 1)), Err(EventError::JsonTooDeep { at: 124 }));
}

/// Generates JSON text by the grammar, much of it at the limits of parsers.
fn any_json_text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "é",
        "[",
        "}",
        "\\n",
        "\\\\",
        "\\\"",
        "\\/",
        "\\u0041",
        "\\u0000",
        "\\ud83d",
        "\\uDE00",
        "\\uD83D\\uDE00",
        "\\udbff",
        "\\udfff",
        "\\ud7ff",
        "\\ue000",
        "ud800",
    ]);
    let string = prop::collection::vec(piece, 0..6).prop_map(|pieces| format!("\"{}\"", pieces.concat()));
    let number = "-?(0|[1-9][0-9]{0,20}|17976931348623157[0-9]{285,295})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?";
    let border = "-?1\\.797693134862315[0-9]{1,6}[eE]\\+?308";
    let leaf = prop_oneof![
        2 => string.clone(),
        2 => number,
        1 => border,
        1 => prop::sample::select(vec!["null", "true", "false"]).prop_map(str::to_owned),
    ];
    let value = leaf.prop_recursive(3, 12, 4, move |inner| {
        let pair = (string.clone(), inner.clone()).prop_map(|(name, value)| format!("{name} : {value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|values| format!("[{}]", values.join(",\n"))),
            prop::collection::vec(pair, 0..4).prop_map(|pairs| format!("{{{}}}", pairs.join(","))),
        ]
    });
    let depth = prop_oneof![8 => Just(0_usize), 1 => 115..130_usize];
    (value, depth).prop_map(|(value, depth)| format!("{}{value}{}", "[".repeat(depth), "]".repeat(depth)))
}

proptest! {
    #![proptest_config(crate::support::cases(2_000))]

    /// JSON text is accepted exactly if `serde_json` parses a reply with it.
    #[test]
    fn json_is_accepted_exactly_if_a_reply_with_it_parses(text in any_json_text()) {
        let around = format!(r#"{{"cursor":"7.a1","events":[{{"id":"7.a1","topic":"news","data":{text}}}]}}"#);
        let is_read = serde_json::from_str::<Value>(&around).is_ok();
        match Event::json_text(text.clone()) {
            Ok(event) => {
                let read: Result<Value, _> = serde_json::from_slice(&reply(event));
                prop_assert!(read.is_ok(), "{text}: {read:?}");
            }
            Err(error) => {
                prop_assert!(!is_read, "{text}: {error}");
                let (EventError::UnpairedSurrogate { at }
                | EventError::JsonTooDeep { at }
                | EventError::JsonNumberTooLarge { at }) = error
                else {
                    return Err(TestCaseError::fail(format!("{text}: {error}")));
                };
                prop_assert!(at < text.len());
            }
        }
    }
}
