//! An endpoint under the enabled cargo features: `./check features` runs this with each relevant set.
#![cfg(feature = "http")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's panic is its verdict")]

use tidings::{Endpoint, EndpointBuilder, LocalHub, SubscribeRequest};

fn builder() -> EndpointBuilder {
    let hub = LocalHub::new();
    Endpoint::builder(move |request: SubscribeRequest| {
        let subscription = hub.subscribe(request.subscribe_to(["news"]));
        async { Ok(subscription?) }
    })
}

#[cfg(not(any(
    feature = "short-poll",
    feature = "long-poll",
    feature = "chunked",
    feature = "sse",
    feature = "websocket"
)))]
mod without_a_transport {
    #[test]
    #[should_panic(expected = "no transport is built in: enable one of the cargo features `sse`")]
    fn endpoint_names_the_features_of_transports() {
        drop(super::builder().build());
    }
}

#[cfg(any(feature = "short-poll", feature = "long-poll", feature = "chunked", feature = "sse", feature = "websocket"))]
mod with_a_transport {
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use std::time::Instant;

    use tidings::EndpointBuilder;
    use tidings::time::{Clock, Sleep, Timer};

    use super::builder;

    /// A timer that never advances.
    struct Still(Instant);

    struct Asleep;

    impl Clock for Still {
        fn now(&self) -> Instant {
            self.0
        }
    }

    impl Timer for Still {
        fn sleep_until(&self, _: Instant) -> Pin<Box<dyn Sleep>> {
            Box::pin(Asleep)
        }
    }

    impl Future for Asleep {
        type Output = ();

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Pending
        }
    }

    impl Sleep for Asleep {
        fn reset(self: Pin<&mut Self>, _: Instant) {}
    }

    fn timed() -> EndpointBuilder {
        builder().timer(Still(Instant::now()))
    }

    #[cfg(feature = "tokio")]
    #[test]
    fn endpoint_with_tokio_is_complete() {
        drop((builder().build(), timed().build()));
    }

    #[cfg(not(feature = "tokio"))]
    #[test]
    #[should_panic(expected = "no timer: enable the cargo feature `tokio`, or call `EndpointBuilder::timer`")]
    fn endpoint_without_a_timer_names_the_feature_and_the_method() {
        drop(builder().build());
    }

    #[cfg(all(not(feature = "tokio"), feature = "websocket"))]
    #[test]
    #[should_panic(expected = "needs a task for each connection: enable the cargo feature `tokio`")]
    fn endpoint_of_websockets_without_a_spawner_names_the_feature_and_the_methods() {
        drop(timed().build());
    }

    #[cfg(all(feature = "websocket", feature = "sse"))]
    #[test]
    fn endpoint_without_websockets_needs_no_spawner() {
        drop(timed().transports([tidings::Transport::Sse]).build());
    }

    #[test]
    fn endpoint_with_a_timer_and_a_spawner_is_built() {
        drop(timed().spawn(drop).build());
    }

    /// Sends GETs without a driver, for any features.
    #[test]
    fn request_without_a_driver_is_answered_with_the_reason() {
        use std::future::Future as _;
        use std::task::Waker;

        use http_body::Body as _;

        let endpoint = timed().spawn(drop).build();
        let transport = match () {
            () if cfg!(feature = "sse") => "sse",
            () if cfg!(feature = "chunked") => "chunked",
            () if cfg!(feature = "short-poll") => "short-poll",
            () if cfg!(feature = "long-poll") => "long-poll",
            // The handshake is refused before it needs a driver.
            () => return,
        };
        let request = http::Request::get(format!("/?transport={transport}")).header("host", "example.com");
        let mut response = std::pin::pin!(endpoint.handle(request.body(String::new()).unwrap()));
        let Poll::Ready(response) = response.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("it waits");
        };
        assert_eq!(response.status(), 500);
        let Poll::Ready(Some(Ok(body))) =
            Pin::new(&mut response.into_body()).poll_frame(&mut Context::from_waker(Waker::noop()))
        else {
            panic!("no body");
        };
        let body = String::from_utf8(body.into_data().unwrap().to_vec()).unwrap();
        assert!(body.contains("the endpoint has no driver"), "{body}");
    }
}
