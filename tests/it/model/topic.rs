use proptest::prelude::*;
use tidings::{Topic, TopicError};

/// Returns the first rule that a name breaks.
fn fault(name: &str) -> Option<TopicError> {
    match name {
        "" => Some(TopicError::Empty),
        _ if name.len() > 255 => Some(TopicError::TooLong { len: name.len() }),
        _ if name.chars().any(char::is_control) => Some(TopicError::Control),
        _ if name.contains('*') => Some(TopicError::Wildcard),
        _ if format!("/{name}/").contains("//") => Some(TopicError::EmptySegment),
        _ => None,
    }
}

proptest! {
    #[test]
    fn topic_name_is_accepted_exactly_by_the_rules(
        name in prop_oneof![
            any::<String>(),
            "[a-c*/ ~]{0,8}",
            // The limits of the control characters, U+001F, U+007F, U+0080 and U+009F, and letters that share their bytes.
            "[a/*\u{1f} ~\u{7f}\u{80}\u{9f}\u{a0}\u{c2}\u{2080}]{1,6}",
            "[a/]{250,260}",
        ],
    ) {
        match (Topic::new(&name), fault(&name)) {
            (Ok(topic), None) => prop_assert_eq!(topic.as_str(), name),
            (topic, fault) => prop_assert_eq!(topic.err(), fault, "{:?}", name),
        }
    }
}

#[test]
fn from_segments_refuses_segments_that_change_the_structure_of_the_name() {
    assert_eq!(Topic::from_segments(["users", "7"]).unwrap().as_str(), "users/7");
    assert_eq!(Topic::from_segments(vec!["café".to_owned()]).unwrap().as_str(), "café");
    let refused = [
        (vec!["users", "7/private"], TopicError::Separator),
        (vec!["users", "/"], TopicError::Separator),
        (vec!["users", "*"], TopicError::Wildcard),
        (vec!["users", "**"], TopicError::Wildcard),
        (vec!["users", "a*"], TopicError::Wildcard),
        (vec!["users", ""], TopicError::EmptySegment),
        (vec!["", "users"], TopicError::EmptySegment),
        (vec!["users", "\u{85}"], TopicError::Control),
        (vec![], TopicError::Empty),
    ];
    for (segments, error) in refused {
        assert_eq!(Topic::from_segments(&segments), Err(error), "{segments:?}");
    }
    let long = "x".repeat(Topic::MAX_LEN);
    assert!(Topic::from_segments([&long]).is_ok());
    assert_eq!(Topic::from_segments([&*long, "y"]), Err(TopicError::TooLong { len: Topic::MAX_LEN + 2 }));
}
