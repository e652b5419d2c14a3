//! Endpoints without a publisher type: public topics, and closures.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use tidings::{Accepted, BodyError, Endpoint, EndpointBuilder, Event, LocalHub, Rejection, SubscribeRequest, Topic};

use crate::support::http::{To, get, piece, text};

fn hub() -> LocalHub {
    let hub = LocalHub::new();
    for name in ["news", "scores/7", "scores/8", "private"] {
        hub.publish_now(name, name).unwrap();
    }
    hub
}

async fn poll(endpoint: &Endpoint, query: &str) -> (StatusCode, String) {
    let response = get(&format!("/?cursor=0.0{query}")).to(endpoint).await;
    (response.status(), text(response).await)
}

#[tokio::test(start_paused = true)]
async fn public_endpoint_gives_the_named_topics_and_refuses_others_with_403() {
    let endpoint = Endpoint::public(&hub(), ["news", "scores/*"]);
    for (query, topics) in [
        ("", &["news", "scores/7", "scores/8"][..]),
        ("&topic=news", &["news"]),
        ("&topic=scores/8&topic=news", &["news", "scores/8"]),
    ] {
        let (status, body) = poll(&endpoint, query).await;
        assert_eq!(status, StatusCode::OK, "{query}: {body}");
        for topic in ["news", "scores/7", "scores/8", "private"] {
            let data = format!(r#""data":"{topic}""#);
            assert_eq!(body.contains(&data), topics.contains(&topic), "{query}, {topic}: {body}");
        }
    }
    for query in ["&topic=private", "&topic=news&topic=private", "&topic=scores/7/deep"] {
        let (status, body) = poll(&endpoint, query).await;
        assert_eq!((status, &*body), (StatusCode::FORBIDDEN, r#"{"error":"forbidden"}"#), "{query}");
    }
    assert_eq!(poll(&endpoint, "&topic=scores/*").await.0, StatusCode::BAD_REQUEST, "a client names no patterns");
}

#[test]
#[should_panic(expected = "public topic of an endpoint: topic name has an empty segment")]
fn public_endpoint_with_a_bad_name_panics_with_the_reason() {
    let _ = EndpointBuilder::public(&LocalHub::new(), ["news", "a//b"]);
}

#[test]
#[should_panic(expected = "an endpoint needs at least one public topic")]
fn public_endpoint_without_a_topic_panics() {
    let _ = EndpointBuilder::public(&LocalHub::new(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn closure_of_from_fn_authorises_each_request() {
    let endpoint = Endpoint::from_fn(&hub(), async |request| {
        let user = request.query("user").ok_or(Rejection::Unauthorized)?;
        Ok(request.subscribe_to([Topic::from_segments(["scores", &user])?]))
    });
    assert_eq!(poll(&endpoint, "").await.0, StatusCode::UNAUTHORIZED);
    let (status, body) = poll(&endpoint, "&user=7").await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains("scores/7") && !body.contains("scores/8"), "{body}");
    let (status, body) = poll(&endpoint, "&user=7/deep").await;
    assert_eq!((status, &*body), (StatusCode::BAD_REQUEST, r#"{"error":"topic segment contains '/'"}"#));
}

#[tokio::test(start_paused = true)]
async fn accepted_subscribe_of_from_fn_keeps_its_settings() {
    let endpoint = EndpointBuilder::from_fn(&hub(), async |request| {
        let accepted = Accepted::new(request.subscribe_to(["news"]));
        Ok(accepted.with_data("the user").with_lifetime(Duration::from_secs(60)))
    });
    let endpoint = endpoint.build();
    let mut body = get("/?transport=sse").to(&endpoint).await.into_body();
    let sessions = endpoint.sessions();
    assert_eq!(sessions[0].session.data::<&str>(), Some(&"the user"));
    let mut read = String::new();
    let revoked = loop {
        match piece(&mut body).await {
            Some(Ok(piece)) => read += &piece,
            ended => break ended,
        }
    };
    assert!(matches!(revoked, Some(Err(BodyError::Revoked))), "it ends by itself: {read}, {revoked:?}");
}

#[derive(Debug, thiserror::Error)]
#[error("no connection to the members")]
struct NoConnection(#[source] std::io::Error);

#[tokio::test(start_paused = true)]
async fn error_of_the_application_is_answered_500_and_its_sources_are_in_the_log() {
    let log: Arc<Mutex<Vec<String>>> = Arc::default();
    let logged = log.clone();
    let endpoint = EndpointBuilder::from_fn(&hub(), async |request: SubscribeRequest| {
        Err(NoConnection(std::io::Error::other("refused")))?;
        Ok(request.subscribe_to(["news"]))
    });
    let endpoint = endpoint.on_refusal(move |refused| logged.lock().unwrap().push(refused.to_string())).build();
    let (status, body) = poll(&endpoint, "").await;
    assert_eq!((status, &*body), (StatusCode::INTERNAL_SERVER_ERROR, r#"{"error":"internal error"}"#));
    let log = log.lock().unwrap().join("\n");
    assert!(log.contains("no connection to the members: refused"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn closed_hub_of_from_fn_is_answered_503() {
    let hub = hub();
    let endpoint = Endpoint::from_fn(&hub, async |request| Ok(request.subscribe_to(["news"])));
    hub.close();
    assert_eq!(poll(&endpoint, "").await.0, StatusCode::SERVICE_UNAVAILABLE);
}

struct NotSerializable;

impl serde::Serialize for NotSerializable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("secret of the application"))
    }
}

#[tokio::test(start_paused = true)]
async fn value_that_cannot_be_serialized_is_answered_500_without_its_text() {
    let endpoint = Endpoint::from_fn(&hub(), async |request| {
        Event::json(&NotSerializable)?;
        Ok(request.subscribe_to(["news"]))
    });
    let (status, body) = poll(&endpoint, "").await;
    assert_eq!((status, &*body), (StatusCode::INTERNAL_SERVER_ERROR, r#"{"error":"internal error"}"#));
}
