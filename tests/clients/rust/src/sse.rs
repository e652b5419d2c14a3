use eventsource_client::{Client, ClientBuilder, SSE};
use futures_util::StreamExt;
use launchdarkly_sdk_transport::HyperTransport;
use reqwest_eventsource::{Event, EventSource};

use crate::seen::Seen;

/// Most errors that a client may report before it is taken for one that does not stop.
const MAX_ERRORS: usize = 200;

pub(crate) async fn reqwest_eventsource(url: &str, stop: bool, seen: &Seen) {
    let mut source = EventSource::get(url);
    let mut errors = 0;
    while let Some(event) = source.next().await {
        match event {
            Ok(Event::Open) => {}
            Ok(Event::Message(message)) => {
                seen.report(&message.event, &message.data).await;
                if stop && message.event == "tidings.end" {
                    source.close();
                }
            }
            Err(error) if errors < MAX_ERRORS => {
                errors += 1;
                seen.report("error", &error.to_string()).await;
            }
            Err(_) => source.close(),
        }
    }
}

pub(crate) async fn eventsource_client(url: &str, stop: bool, seen: &Seen) {
    let transport = HyperTransport::builder().build_http().expect("a transport for http");
    let client = ClientBuilder::for_url(url).expect("a valid address").build_with_transport(transport);
    let mut events = client.stream();
    let mut errors = 0;
    while let Some(event) = events.next().await {
        match event {
            Ok(SSE::Event(event)) => {
                seen.report(&event.event_type, &event.data).await;
                if stop && event.event_type == "tidings.end" {
                    return;
                }
            }
            Ok(SSE::Connected(connection)) if stop && connection.response().status() == 204 => return,
            Ok(_) => {}
            Err(error) => {
                errors += 1;
                seen.report("error", &error.to_string()).await;
                if errors > MAX_ERRORS {
                    return;
                }
            }
        }
    }
}
