//! The tables of names: those of the page are those of the code.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tidings::{Cursor, EndReason};

use super::page::{PAGE, names, table};

/// Returns the code of a file or of all files of a folder, without comments and unit tests.
fn code(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(path);
    if path.is_dir() {
        let mut files: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        return files.iter().map(|file| code(file.to_str().unwrap())).collect();
    }
    let text = fs::read_to_string(&path).unwrap();
    let text = text.split("#[cfg(test)]").next().unwrap();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| format!("{}\n", line.trim())).collect()
}

/// Returns the texts between `before` and the first of `after`.
fn between<'a>(code: &'a str, before: &str, after: &[char]) -> Vec<&'a str> {
    code.split(before).skip(1).filter_map(|rest| rest.split(after).next()).collect()
}

/// Returns the names in a table, each once, in lower case.
fn documented(part: &str, heading: &str) -> BTreeSet<String> {
    let names = names(part, heading);
    let all: BTreeSet<_> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    assert_eq!(all.len(), names.len(), "a name is in the table of {heading} twice");
    all
}

/// Compares a table of a part of the page with the names in the code. Shows that a missing row and a wrong one are found.
fn compare_in(part: &str, heading: &str, code: impl IntoIterator<Item = impl AsRef<str>>) {
    let code: BTreeSet<String> = code.into_iter().map(|name| name.as_ref().to_ascii_lowercase()).collect();
    assert_eq!(documented(part, heading), code, "table of {heading}");
    for row in table(part, heading) {
        let (line, name) = (format!("| {} |", row.join(" | ")), &row[0]);
        let missing = part.replacen(&format!("{line}\n"), "", 1);
        if table(part, heading).len() > 1 {
            assert_ne!(documented(&missing, heading), code, "the missing row {name} is not found");
        }
        let wrong = part.replacen(&line, &line.replacen(name, "`wrong`", 1), 1);
        assert_ne!(documented(&wrong, heading), code, "the wrong row {name} is not found");
    }
}

fn compare(heading: &str, code: impl IntoIterator<Item = impl AsRef<str>>) {
    compare_in(PAGE, heading, code);
}

#[test]
fn parameters_are_those_that_the_endpoint_reads() {
    let read = code("endpoint/request/negotiate.rs");
    let query = read.split("impl<'a> Query<'a> {").nth(1).unwrap();
    let arms =
        query.lines().filter(|line| line.contains("=>")).filter_map(|line| line.strip_prefix('"')?.split('"').next());
    let start = code("endpoint/request/start.rs");
    let mut all: BTreeSet<_> = arms.chain(between(&start, "name == \"", &['"'])).map(str::to_owned).collect();
    assert!(start.contains("is_last_event_id(name) =>"));
    all.insert("lastEventId".to_owned());
    compare("parameter", all);
}

/// Returns the name of a header's constant, in lower case.
fn header_name(constant: &str) -> String {
    constant.trim_start_matches('&').to_ascii_lowercase().replace('_', "-")
}

fn is_constant(name: &str) -> bool {
    let name = name.trim_start_matches('&');
    name.len() > 3 && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

/// Returns the part of the page under a heading.
fn section(heading: &str) -> &'static str {
    let part = PAGE.split(&format!("\n{heading}\n")).nth(1).unwrap();
    part.split("\n## ").next().unwrap().split("\n### ").next().unwrap()
}

#[test]
fn request_headers_are_those_that_the_endpoint_reads() {
    let all = code("endpoint");
    let mut read: BTreeSet<String> = BTreeSet::new();
    let head = code("endpoint/request/head.rs");
    let arms =
        head.lines().filter(|line| line.contains("=>")).filter_map(|line| line.strip_prefix('"')?.split('"').next());
    read.extend(arms.map(str::to_owned));
    let calls = [
        ".get(",
        ".get_all(",
        ".contains_key(",
        "parts.headers.remove(",
        "one(headers, ",
        "one(&parts.headers, ",
        "has_token(headers, ",
    ];
    for call in calls {
        read.extend(between(&all, call, &[')', ',']).into_iter().filter(|name| is_constant(name)).map(header_name));
    }
    compare_in(section("### Request headers"), "header", read);
}

#[test]
fn response_headers_are_those_that_the_endpoint_sends() {
    let all = code("endpoint");
    let names = ["headers.insert(", "headers_mut().insert(", "with_header(", "set(&mut headers, &"]
        .map(|call| between(&all, call, &[',']));
    let sent = names.concat().into_iter().filter(|name| is_constant(name)).map(header_name);
    compare_in(section("## Response headers"), "header", sent);
}

#[test]
fn statuses_are_those_of_the_endpoint() {
    let code = code("endpoint");
    // Those of an error of a publish are the application's.
    let own = code.split("impl IntoResponse for PublishError").collect::<Vec<_>>();
    let own = [own[0], own[1].split("fn respond(").nth(1).unwrap()].concat();
    let number = |name: &str| {
        let constant = |status: &http::StatusCode| {
            status.canonical_reason().unwrap_or("").to_ascii_uppercase().replace([' ', '-'], "_") == name
        };
        (100..600)
            .filter_map(|code| http::StatusCode::from_u16(code).ok())
            .find(constant)
            .unwrap_or_else(|| panic!("{name}"))
    };
    let names = between(&own, "StatusCode::", &[',', ')', ';', ' ', '.', '(', '\n']);
    let statuses = names.into_iter().filter(|name| is_constant(name)).map(|name| number(name).as_u16().to_string());
    compare("status", statuses.chain(["200".to_owned()]));
}

#[test]
fn close_codes_are_those_that_the_server_sends() {
    compare("close code", between(&code("transport/websocket/close.rs"), "Self = Self(", &[')']));
}

#[test]
fn control_objects_and_blocks_are_those_that_the_crate_writes() {
    let control = code("transport/object/control.rs");
    compare("control object", between(&control, "{\\\"tidings\\\":\\\"", &['\\']));
    let blocks = between(&code("transport/sse"), "event: tidings.", &['\\'])
        .into_iter()
        .map(|name| format!("tidings.{name}"))
        .collect::<Vec<_>>();
    compare("block", blocks.clone());
    compare("instead of", blocks);
}

#[test]
fn reasons_and_error_codes_are_those_of_the_types() {
    let gap = code("model/gap.rs");
    let gap = gap.split("impl GapReason").nth(1).unwrap().split("\n}\n").next().unwrap().to_owned();
    compare("gap reason", between(&gap, "=> \"", &['"']));
    compare("end reason", EndReason::ALL.iter().map(|reason| reason.as_str()));
    let rejection = code("contract/rejection.rs");
    let rejection = rejection.split("fn code(").nth(1).unwrap().split("fn message(").next().unwrap().to_owned();
    compare("error code", between(&rejection, "=> \"", &['"']));
}

#[test]
fn limits_of_the_page_are_the_defaults() {
    let builder = code("endpoint/config.rs");
    for (text, constant) in [
        ("at most 64 times", "max_topics_per_request: 64"),
        ("at most 1,000", "max_last: 1_000"),
        ("up to 55", "MAX_LONG_POLL_TIMEOUT: Duration = Duration::from_secs(55)"),
    ] {
        assert!(PAGE.contains(text) && builder.contains(constant), "{text}");
    }
    assert!(PAGE.contains("at most 255 bytes") && tidings::Topic::new("x".repeat(255)).is_ok());
    assert!(tidings::Topic::new("x".repeat(256)).is_err() && Cursor::MAX_LEN == 64);
}
