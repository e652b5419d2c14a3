//! Attacks and the answers to them: each row by its number in the functions' names. If a row is another area's matter
//! as well, its tests are named here too, and [`every_row_has_its_tests`] checks that they are there.
//!
//! | row | threat | tests |
//! |---|---|---|
//! | 1 | a foreign page uses a user's cookies | `row_01_` |
//! | 2 | a name is bound to a local server's address | `row_02_` |
//! | 3 | a foreign page reads answers | `row_03_` |
//! | 4 | line breaks make events | `row_04_`, `what_is_published_is_read` |
//! | 5 | a resume goes round authorisation | `row_05_` |
//! | 6 | two names are one topic | `row_06_` |
//! | 7 | a cursor is forged | `row_07_` |
//! | 8 | clients make topics | `row_08_` |
//! | 9 | a reader is slow | `row_09_`, `a_client_that_takes_nothing_is_asked_for_and_holds_nothing` |
//! | 10 | a body comes a byte at a time | `row_10_`, `a_body_has_a_limit_and_a_deadline` |
//! | 11 | polls are held for ever | `row_11_`, `a_client_that_goes_is_forgotten` |
//! | 12 | connections come in floods | `row_12_`, `one_session_too_many_is_told_to_come_later` |
//! | 13 | frames lie about their length, or never end | `row_13_`, `each_has_its_code_however_it_is_cut` |
//! | 14 | compression | `row_14_` |
//! | 15 | pings in floods | `row_15_`, `a_flood_of_pings_costs_one_pong` |
//! | 16 | all come back together | `row_16_` |
//! | 17 | a cache keeps one user's answer for another | `row_17_`, `row_03_17_19_` |
//! | 18 | an answer is split | `row_18_` |
//! | 19 | an answer is run as a script | `row_19_`, `row_03_17_19_` |
//! | 20 | a log is forged | `row_20_` |
//! | 21 | an authorization has ended | `row_21_` |
//! | 22 | a token in a URL is logged | `row_22_` |
//! | 23 | one stream of HTTP/2 stalls | `row_23_`, `a_stream_that_takes_nothing_loses_its_session_and_its_siblings_do_not` |
//! | 24 | the peer is gone and says nothing | `client_that_neither_answers_nor_sends_is_left`, `a_client_that_takes_nothing_loses_its_session_though_hyper_asks_for_nothing` |
//! | 25 | bytes follow an upgrade | `row_25_` |
//! | 26 | an error leaks | `row_26_` |
//! | 27 | one message is many | `row_27_` |
//! | 28 | the application panics | `row_28_`, `a_panic_ends_its_own_session_alone`, `a_panic_ends_its_own_stream_and_not_the_connection`, `panics_pass_over_nothing`, `client_whose_events_were_lost_in_a_panic_gets_them_when_it_is_back` |
//! | 29 | the server goes | `tidings_v1_resumes_and_says_goodbye`, `an_end_that_is_not_one_has_no_last_chunk_and_takes_nothing_along` |
//! | 30 | a path parameter is a wildcard | `row_30_` |
//! | 31 | a name takes another's session | `row_31_` |
//! | 32 | idle runs take every place | `row_32_` |
//! | 33 | bodies are not taken | `row_33_` |
//! | 34 | publishers make topics in floods | `row_34_`, `honest_topics_keep_their_history_under_a_flood_of_tiny_topics` |
//! | 35 | one value spoils every reply with it | `json_that_common_parsers_refuse_is_refused_with_kind_and_offset`, `json_is_taken_exactly_where_a_reply_with_it_is_read` |
//! | 36 | a large event goes to a slow reader | `row_36_`, `websocket_that_takes_large_events_slowly_gets_them` |
//!
//! Beside the rows: refusals, each as its transport's clients can hear it (`wire_`), and every limit (`limits`).

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
    assert_eq!(count, 36);
}
