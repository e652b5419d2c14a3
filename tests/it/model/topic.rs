use proptest::prelude::*;
use tidings::{Topic, TopicError};

/// Why a name is no topic, by the rules alone and in their order.
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
    fn a_name_is_a_topic_by_the_rules(
        name in prop_oneof![
            any::<String>(),
            "[a-c*/ ~]{0,8}",
            // Around the edges of the controls: U+001F, U+007F, U+0080, U+009F, and the letters that share their bytes.
            "[a/*\u{1f} ~\u{7f}\u{80}\u{9f}\u{a0}\u{c2}\u{2080}]{1,6}",
            "[a/]{250,260}",
        ],
    ) {
        match (Topic::new(&name), fault(&name)) {
            (Ok(topic), None) => prop_assert_eq!(topic.as_str(), name),
            (told, fault) => prop_assert_eq!(told.err(), fault, "{:?}", name),
        }
    }
}
