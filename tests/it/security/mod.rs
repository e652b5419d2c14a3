//! Attacks and the answers to them. Names of test functions have the number of their row. Tests of other areas that belong
//! to a row are named here, and [`every_row_has_its_tests`] checks that they exist.
//!
//! | row | threat | tests |
//! |---|---|---|
//! | 1 | a foreign page uses the cookies of a user | `row_01_` |
//! | 2 | a name is bound to the address of a local server (DNS rebinding) | `row_02_` |
//! | 3 | a foreign page reads responses | `row_03_` |
//! | 4 | line breaks inject events | `row_04_`, `sse_events_are_read_back_by_two_readers` |
//! | 5 | a resume bypasses authorization | `row_05_` |
//! | 6 | two names are one topic | `row_06_` |
//! | 7 | a cursor is forged | `row_07_` |
//! | 8 | clients create topics | `row_08_` |
//! | 9 | a reader is slow | `row_09_`, `blocked_client_stops_polls_and_releases_history` |
//! | 10 | a request arrives one byte at a time | `row_10_`, `post_body_has_a_size_limit_and_a_timeout` |
//! | 11 | long polls never end | `row_11_`, `disconnected_client_leaves_no_session` |
//! | 12 | floods of connections | `row_12_`, `session_above_max_sessions_is_refused_with_a_retry_time` |
//! | 13 | frames with false lengths or without an end | `row_13_`, `violation_closes_with_its_code_however_the_bytes_are_cut` |
//! | 14 | compression | `row_14_` |
//! | 15 | floods of pings | `row_15_`, `flood_of_pings_is_answered_with_the_first_and_last_pong` |
//! | 16 | all clients reconnect at once | `row_16_` |
//! | 17 | a cache serves one user's response to another | `row_17_`, `row_03_17_19_` |
//! | 18 | a response is split | `row_18_` |
//! | 19 | a response is run as a script | `row_19_`, `row_03_17_19_` |
//! | 20 | a log is forged | `row_20_` |
//! | 21 | an authorization has ended | `row_21_` |
//! | 22 | a token in a URL is logged | `row_22_` |
//! | 23 | one stream of HTTP/2 stalls | `row_23_`, `stalled_stream_loses_its_session_and_its_siblings_go_on` |
//! | 24 | the peer disappears without an end | `silent_client_is_closed_after_the_pong_timeout`, `client_that_reads_nothing_loses_its_session_without_polls_of_hyper` |
//! | 25 | bytes after an upgrade are smuggled | `row_25_` |
//! | 26 | an error leaks a resource | `row_26_` |
//! | 27 | one message becomes several | `row_27_` |
//! | 28 | the application panics | `row_28_`, `panic_ends_its_own_session_only`, `panic_ends_its_own_stream_and_not_the_connection`, `panics_of_format_or_snapshot_call_skip_no_event`, `client_whose_events_were_lost_in_a_panic_gets_them_after_resume` |
//! | 29 | the server shuts down | `tidings_v1_resumes_and_sends_bye`, `drained_stream_has_no_last_chunk_and_loses_no_event` |
//! | 30 | a path parameter is a wildcard | `row_30_` |
//! | 31 | a session name is another client's | `row_31_` |
//! | 32 | idle sessions of polls take every place | `row_32_` |
//! | 33 | bodies are not read | `row_33_` |
//! | 34 | publishers flood topics | `row_34_`, `honest_topics_keep_their_history_under_a_flood_of_tiny_topics` |
//! | 35 | one value makes every reply with it unreadable | `json_that_common_parsers_refuse_is_refused_with_kind_and_offset`, `json_is_accepted_exactly_if_a_reply_with_it_parses` |
//! | 36 | a large event goes to a slow reader | `row_36_`, `websocket_that_takes_large_events_slowly_gets_them` |
//! | 37 | changes of topics flood the publisher, or reach topics of others | `row_37_`, `malformed_change_gets_an_error_object` |
//! | 38 | an authorization is renewed after its end | `row_38_`, `session_that_ends_drops_its_renewal_at_once` |
//!
//! Besides the rows: rejections in the form of each transport (`wire_`), and every limit (`limits`).

mod authorization;
mod calls;
mod cors;
mod cursors;
mod echo;
mod expiry;
mod floods;
mod frames;
mod headers;
mod host;
mod injection;
mod limits;
mod live;
mod origin;
mod panics;
mod refusals;
mod rejections;
mod replies;
mod server;
mod sessions;
mod site;
mod tokens;
mod topics;
mod unread;
mod upgrade;
mod wildcards;

#[test]
fn every_row_has_its_tests() {
    let functions = crate::support::functions("tests/it".as_ref());
    let rows = include_str!("mod.rs").lines().filter_map(|line| line.strip_prefix("//! | ")?.strip_suffix(" |"));
    let mut count = 0;
    for row in rows.filter(|row| row.starts_with(|first: char| first.is_ascii_digit())) {
        for name in row.rsplit(" | ").next().unwrap().split(", ").map(|name| name.trim_matches('`')) {
            let found = |function: &String| function == name || (name.ends_with('_') && function.starts_with(name));
            assert!(functions.iter().any(found), "no test {name} of row {row}");
        }
        count += 1;
    }
    assert_eq!(count, 38);
}
