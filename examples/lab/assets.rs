use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

macro_rules! assets {
    ($($path:literal $file:literal $kind:ident)*) => {
        &[$(($path, $kind, include_str!(concat!("page/", $file)))),*]
    };
}

/// The page, compiled in: address, type, text.
pub const ASSETS: &[(&str, &str, &str)] = assets! {
    "/" "index.html" HTML
    "/style.css" "style.css" CSS
    "/main.js" "main.js" JS
    "/board.js" "board.js" JS
    "/clock.js" "clock.js" JS
    "/ink.js" "ink.js" JS
    "/link.js" "link.js" JS
    "/panel.js" "panel.js" JS
    "/plots.js" "plots.js" JS
    "/ribbon.js" "ribbon.js" JS
    "/series.js" "series.js" JS
    "/tally.js" "tally.js" JS
    "/transports/index.js" "transports/index.js" JS
    "/transports/transport.js" "transports/transport.js" JS
    "/transports/poll.js" "transports/poll.js" JS
    "/transports/chunked.js" "transports/chunked.js" JS
    "/transports/sse.js" "transports/sse.js" JS
    "/transports/websocket.js" "transports/websocket.js" JS
    "/vendor/uPlot.iife.min.js" "vendor/uPlot.iife.min.js" JS
    "/vendor/uPlot.min.css" "vendor/uPlot.min.css" CSS
    "/vendor/uPlot.LICENSE" "vendor/uPlot.LICENSE" TEXT
};

/// One asset as an answer. Browsers ask again each time: a rebuilt lab is seen at once.
pub fn answer(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")], text)
}
