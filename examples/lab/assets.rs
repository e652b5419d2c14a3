use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// Files of the page, compiled in: path, media type, text.
pub(crate) const ASSETS: &[(&str, &str, &str)] = &[
    ("/", HTML, include_str!("page/index.html")),
    ("/style.css", CSS, include_str!("page/style.css")),
    ("/main.js", JS, include_str!("page/main.js")),
    ("/board.js", JS, include_str!("page/board.js")),
    ("/cells.js", JS, include_str!("page/cells.js")),
    ("/clock.js", JS, include_str!("page/clock.js")),
    ("/ink.js", JS, include_str!("page/ink.js")),
    ("/link.js", JS, include_str!("page/link.js")),
    ("/panel.js", JS, include_str!("page/panel.js")),
    ("/plots.js", JS, include_str!("page/plots.js")),
    ("/restarts.js", JS, include_str!("page/restarts.js")),
    ("/ribbon.js", JS, include_str!("page/ribbon.js")),
    ("/series.js", JS, include_str!("page/series.js")),
    ("/tally.js", JS, include_str!("page/tally.js")),
    ("/transports/index.js", JS, include_str!("page/transports/index.js")),
    ("/transports/transport.js", JS, include_str!("page/transports/transport.js")),
    ("/transports/poll.js", JS, include_str!("page/transports/poll.js")),
    ("/transports/chunked.js", JS, include_str!("page/transports/chunked.js")),
    ("/transports/sse.js", JS, include_str!("page/transports/sse.js")),
    ("/transports/websocket.js", JS, include_str!("page/transports/websocket.js")),
    ("/vendor/uPlot.iife.min.js", JS, include_str!("page/vendor/uPlot.iife.min.js")),
    ("/vendor/uPlot.min.css", CSS, include_str!("page/vendor/uPlot.min.css")),
    ("/vendor/uPlot.LICENSE", TEXT, include_str!("page/vendor/uPlot.LICENSE")),
];

/// Returns a file as a response. Browsers revalidate it each time, so a rebuilt lab is used at once.
pub(crate) fn answer(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")], text)
}
