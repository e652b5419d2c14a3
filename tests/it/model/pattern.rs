use proptest::prelude::*;
use tidings::{Pattern, PatternError, Topic, TopicError};

fn pattern(text: &str) -> Result<Pattern, PatternError> {
    text.parse()
}

#[test]
fn wildcard_is_accepted_only_alone_in_the_last_segment() {
    for text in ["*", "**", "a", "a/*", "a/**", "a/b/c/**", "ä ö/*"] {
        assert_eq!(pattern(text).unwrap().to_string(), text);
    }
    for text in ["***", "a*", "*a", "a/b*", "*/a", "**/a", "a/**/b", "a/***", "*/*", "**/*", "a/*b"] {
        assert_eq!(pattern(text), Err(PatternError::Wildcard), "{text}");
    }
    for (text, error) in [
        ("", TopicError::Empty),
        ("/*", TopicError::Empty),
        ("a//**", TopicError::EmptySegment),
        ("a/", TopicError::EmptySegment),
        ("a\n/*", TopicError::Control),
    ] {
        assert_eq!(pattern(text), Err(PatternError::Topic(error)), "{text}");
    }
    let long = "x".repeat(Topic::MAX_LEN);
    assert!(pattern(&format!("{long}/**")).is_ok() && pattern(&format!("{long}x/**")).is_err());
}

#[test]
fn pattern_converts_to_a_topic_only_without_a_wildcard() {
    let topic = Topic::new("a/b").unwrap();
    assert_eq!(Pattern::from(&topic).as_topic(), Some(&topic));
    for text in ["*", "**", "a/*", "a/**"] {
        assert_eq!(pattern(text).unwrap().as_topic(), None);
        assert!(Topic::new(text).is_err(), "a topic has no wildcard");
    }
    assert_eq!(size_of::<Pattern>(), size_of::<Topic>());
}

proptest! {
    #[test]
    fn pattern_matches_whole_segments(
        prefix in prop::collection::vec("[ab]{1,2}", 0..3),
        last in "[ab]{1,2}|\\*|\\*\\*",
        name in prop::collection::vec("[ab]{1,2}", 1..5),
    ) {
        let text = prefix.iter().chain([&last]).cloned().collect::<Vec<_>>().join("/");
        let (pattern, topic) = (pattern(&text).unwrap(), Topic::new(name.join("/")).unwrap());
        let below = name.starts_with(&prefix).then(|| &name[prefix.len()..]);
        prop_assert_eq!(pattern.matches(&topic), match (last.as_str(), below) {
            (_, None | Some([])) => false,
            ("*", Some(rest)) => rest.len() == 1,
            ("**", Some(_)) => true,
            (last, Some(rest)) => rest == [last],
        });
    }
}
