//! Checks of the tree that the compiler does not make: places of code, and things that must not be there.
//!
//! Every rule is first shown breaches that it must find, then the tree, in which it must find none.

mod circles;
mod docs;
mod examples;
mod floors;
mod source;
mod types;

use source::{Source, read};

/// Files and folders that may really sleep, because a real server, a real socket or the runtime's timer is their point.
const SLEEPERS: [&str; 5] =
    ["src/time/tokio_timer.rs", "tests/clients/", "tests/disk/main.rs", "tests/storm/storm.rs", "tests/swarm/swarm.rs"];

#[test]
fn imports_point_down() {
    enforce(
        floors::imports_point_down,
        &["src"],
        &[
            ("src/model/topic.rs", "use crate::contract::Event;"),
            ("src/contract/hub.rs", "use crate::{hub::LocalHub, model::Topic};"),
            ("src/hub/log.rs", "fn f(x: crate::transport::reply::Reply) {}"),
            ("src/transport/sse/mod.rs", "use crate::hub::Subscription;"),
            ("src/transport/sse/mod.rs", "pub use super::super::endpoint::Endpoint;"),
            ("src/hub/log.rs", "use crate::Event;"),
            ("src/endpoint/body.rs", "use crate::server::PeerAddr;"),
        ],
    );
}

#[test]
fn adapters_do_not_know_each_other() {
    enforce(
        floors::adapters_do_not_know_each_other,
        &["src/transport"],
        &[
            ("src/transport/sse/block.rs", "use crate::transport::chunked::line;"),
            ("src/transport/sse.rs", "use super::chunked::line;"),
            ("src/transport/reply.rs", "use crate::transport::long_poll::LongPollWaiter;"),
            ("src/transport/sse/mod.rs", "use crate::transport::{object, short_poll};"),
        ],
    );
}

#[test]
fn runtimes_stay_in_endpoint_runs_and_server() {
    let rule = |file: &Source| {
        only_in(
            file,
            &[
                "src/conformance/engines/task.rs",
                "src/disk/",
                "src/endpoint/",
                "src/runs/",
                "src/server/",
                "src/time/tokio_timer.rs",
            ],
            "hyper, tokio and spawn belong to src/disk, src/endpoint, src/runs, src/server, src/time/tokio_timer.rs and the \
             kit's tasks",
            |word| matches!(word, "hyper" | "tokio" | "spawn"),
        )
    };
    enforce(
        rule,
        &["src"],
        &[("src/hub/log.rs", "std::thread::spawn(f);"), ("src/transport/sse.rs", "use tokio::time;")],
    );
}

#[test]
fn clocks_are_read_in_endpoint() {
    let rule = |file: &Source| {
        let clocks = ["src/time/std_clock.rs", "src/time/tokio_timer.rs"];
        let free = file.path.starts_with("src/endpoint/") || clocks.contains(&file.path.as_str());
        let places = || ["Instant::now", "SystemTime::now"].into_iter().flat_map(|call| file.places(call));
        let found = if free { Vec::new() } else { places().collect() };
        at_each(file, found, "time comes from the injected Clock; only src/endpoint and the two clocks read one")
    };
    let breaches = [("src/hub/log.rs", "let now = Instant::now();"), ("src/hub/epoch.rs", "SystemTime::now()")];
    enforce(rule, &["src"], &breaches);
}

#[test]
fn tungstenite_stays_in_its_adapter_and_the_upgrade() {
    let rule = |file: &Source| {
        let floors = ["src/transport/websocket", "src/endpoint/stream/upgrade", "src/conformance/clients/frames.rs"];
        only_in(
            file,
            &floors,
            "tungstenite belongs to the WebSocket adapter, the upgrade and the kit's client",
            |word| word == "tungstenite",
        )
    };
    enforce(rule, &["src"], &[("src/endpoint/body.rs", "use tungstenite::protocol::Role;")]);
}

#[test]
fn files_hold_one_idea() {
    let rule = |file: &Source| match file.text.lines().count() {
        ..=400 => Vec::new(),
        lines => vec![format!("{}:{lines}: at most 400 lines a file: split it by ideas", file.path)],
    };
    enforce(rule, &EVERYWHERE, &[("src/hub/log.rs", &"//\n".repeat(401))]);
}

#[test]
fn mod_files_only_declare() {
    let rule = |file: &Source| {
        if !file.path.ends_with("/mod.rs") || !file.path.starts_with("src/") {
            return Vec::new();
        }
        let declares = |item: &str| {
            let visible = ["pub(crate)", "pub(super)"].iter().find_map(|visible| item.split_once(visible));
            let item = visible.map_or(item, |(_, item)| item).trim();
            let item = item.strip_prefix("pub ").unwrap_or(item);
            item.is_empty() || item.starts_with("use ") || (item.starts_with("mod ") && !item.contains('{'))
        };
        let mut at = 0;
        let mut found = Vec::new();
        for item in file.code.split_inclusive(';') {
            let bare = without_attributes(item);
            if !declares(bare.trim().trim_end_matches(';')) {
                found.push(at + item.len() - item.trim_start().len());
            }
            at += item.len();
        }
        at_each(file, found, "mod.rs is docs, `mod` and `pub use`")
    };
    enforce(rule, &["src"], &[("src/hub/mod.rs", "mod log;\nfn f() {}"), ("src/hub/mod.rs", "mod log { use x; }")]);
}

#[test]
fn names_say_something() {
    let rule = |file: &Source| {
        let empty = |part: &str| matches!(part, "core" | "utils" | "util" | "common" | "helpers" | "helper" | "misc");
        match file.path.trim_end_matches(".rs").split('/').any(empty) {
            true => vec![format!("{}:1: a module is named for what it does", file.path)],
            false => Vec::new(),
        }
    };
    enforce(rule, &EVERYWHERE, &[("src/hub/core.rs", ""), ("tests/it/common/mod.rs", "")]);
}

#[test]
fn nothing_is_left_for_later() {
    let rule = |file: &Source| {
        let marks = ["todo!", "unimplemented!", "#[ignore", "FIXME"];
        at_each(file, marks.iter().flat_map(|mark| file.places(mark)).collect(), "finish it, or leave it out")
    };
    let planted =
        [("src/a.rs", "todo!()"), ("tests/it/a.rs", "#[ignore = \"slow\"]"), ("src/a.rs", "unimplemented!(\"\")")];
    enforce(rule, &EVERYWHERE, &planted);
}

#[test]
fn no_let_chains_before_rust_1_88() {
    enforce(
        let_chains,
        &EVERYWHERE,
        &[
            ("src/a.rs", "if let Some(a) = b && a > 1 { c() }"),
            ("src/a.rs", "while a && let Some(b) = c() {}"),
            ("src/a.rs", "if a.is_some()\n    && let Some(b) = c() {}"),
        ],
    );
    assert_eq!(let_chains(&Source::new("src/a.rs", "if let Some(a) = b(c && d) { e && f }")), [""; 0]);
}

#[test]
fn tests_do_not_sleep() {
    let rule = |file: &Source| {
        let mut found = file.places("thread::sleep(");
        if !file.path.starts_with("src/endpoint/")
            && !file.path.starts_with("src/server/")
            && !SLEEPERS.iter().any(|path| file.path.starts_with(path))
        {
            // A call, be it by its path or imported; not a definition, and not a method of ours.
            let called = |at: &usize| {
                let before = file.code[..*at].trim_end();
                file.code[at + "sleep".len()..].starts_with('(') && !before.ends_with("fn") && !before.ends_with('.')
            };
            found.extend(file.words(|word| word == "sleep").into_iter().map(|(at, _)| at).filter(called));
            found.extend(file.places("time::sleep_until("));
        }
        at_each(file, found, "time is virtual in tests, and nothing here naps")
    };
    let planted = [
        ("tests/it/a.rs", "tokio::time::sleep(x).await"),
        ("src/a.rs", "std::thread::sleep(x)"),
        ("tests/a.rs", "sleep(x)"),
    ];
    enforce(rule, &["src", "tests"], &planted);
}

#[test]
fn the_hub_has_its_atomics_in_one_file() {
    let with = |files: &[Source]| {
        let atomic = |file: &&Source| !file.words(|word| word == "atomic" || word.starts_with("Atomic")).is_empty();
        files.iter().filter(atomic).map(|file| format!("{}:1", file.path)).collect::<Vec<_>>()
    };
    let planted = ["use std::sync::atomic::AtomicU64;", "use loom::sync::atomic::AtomicBool;"];
    assert_eq!(with(&planted.map(|text| Source::new("src/hub/a.rs", text))).len(), 2);
    let found = with(&Source::all(&["src/hub"]));
    assert!(
        found.len() <= 1,
        "atomics of src/hub stand in one file, with their orderings argued:\n{}",
        found.join("\n")
    );
}

#[test]
fn the_readme_names_every_feature() {
    let unnamed = |manifest: &str, readme: &str| -> Vec<String> {
        let table = manifest.split("\n[features]\n").nth(1).unwrap_or("").split("\n[").next().unwrap_or("");
        let names =
            table.lines().filter(|line| !line.starts_with([' ', '#', ']'])).filter_map(|line| line.split_once(" = "));
        names
            .map(|(name, _)| format!("`{name}`"))
            .filter(|name| name != "`default`" && !readme.contains(name))
            .collect()
    };
    assert_eq!(
        unnamed("\n[features]\ndefault = []\n# b = 1\na = []\nsse = [\n    \"a\",\n]\n[c]\nd = 1", "`a`"),
        ["`sse`"]
    );
    let missing = unnamed(&read("Cargo.toml"), &read("README.md"));
    assert!(missing.is_empty(), "README.md:1: features that it does not name: {}", missing.join(", "));
}

#[test]
fn doc_comments_open_with_the_thing() {
    enforce(
        docs::paragraphs_open_with_the_thing,
        &EVERYWHERE,
        &[
            ("src/a.rs", "/// What it is."),
            ("src/a.rs", "//! Text.\n//!\n//! Where it is, is known."),
            ("src/a.rs", "    /// The same, encoded."),
            ("tests/it/a.rs", "/// Text:\n/// - Whoever comes\n///   waits."),
            ("src/a.rs", "/// # Errors\n/// 1. So many."),
            ("src/a.rs", "/// ```\n/// a();\n/// ```\n/// Has it done."),
        ],
    );
    let fine = "/// Some text:\n/// What continues a line.\n/// Sources, not So.\n/// ```\n/// Has();\n/// ```\n// What\n//// Who";
    assert_eq!(docs::paragraphs_open_with_the_thing(&Source::new("src/a.rs", fine)), [""; 0]);
}

#[test]
fn who_is_for_people() {
    enforce(
        docs::who_is_for_people,
        &["src"],
        &[
            ("src/a.rs", "/// Wakes whoever waits."),
            ("src/a.rs", "//! The clients\n//! who wait."),
            ("src/a.rs", "/// The one whom\n/// it wakes."),
        ],
    );
    let fine = "/// A user who waits. Whose is free.\n\n/// The field `who` is a handle.";
    assert_eq!(docs::who_is_for_people(&Source::new("src/a.rs", fine)), [""; 0]);
}

#[test]
fn type_names_are_defined_once_on_a_floor() {
    let found = |texts: [(&str, &str); 2]| {
        types::names_are_defined_once(&texts.map(|(path, text)| Source::new(path, text))).len()
    };
    let planted = ["pub struct A;", "pub(crate) enum A {}", "pub(in crate::hub) trait A {}", "pub(super) type A = u8;"];
    for text in planted {
        assert_eq!(found([("src/hub/a.rs", text), ("src/hub/b/c.rs", "x();\npub(super) struct A<'a>(&'a u8);")]), 1);
        let fine =
            ["struct A;", "pub(crate) fn f(a: A) {}", "// pub struct A;", "pub struct Ab;", "pub mod a { use A; }"];
        fine.iter().for_each(|fine| assert_eq!(found([("src/hub/a.rs", text), ("src/hub/b.rs", fine)]), 0, "{fine}"));
        assert_eq!(found([("src/hub/a.rs", text), ("src/mount/a.rs", text)]), 0);
        let alternatives = "#[cfg(a)] pub struct A;\n#[cfg(b)] pub struct A;";
        assert_eq!(found([("src/hub/a.rs", alternatives), ("src/hub/b.rs", "")]), 0);
    }
    let found = types::names_are_defined_once(&Source::all(&["src"]));
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn every_example_names_the_command_that_runs_it() {
    enforce(
        examples::says_how_to_run_it,
        &["examples"],
        &[("examples/a.rs", "//! cargo run --example b"), ("examples/a/main.rs", "fn main() {}")],
    );
}

#[test]
fn every_example_prints_its_address() {
    enforce(
        examples::prints_its_address,
        &["examples"],
        &[
            ("examples/a.rs", "//! http://127.0.0.1:3000\nfn main() { bind(); }"),
            ("examples/b.rs", "use tokio::net::TcpListener;"),
            ("examples/a/main.rs", "println!(\"it runs\");"),
        ],
    );
}

#[test]
fn the_hub_on_disk_takes_one_other_line() {
    let [one, other] = ["//! a\nfn main() {}\n", "//! b\n//! c\nfn main() { x }\nfn x() {}\n"];
    let found = examples::different_lines(&Source::new("examples/a.rs", one), &Source::new("examples/b.rs", other));
    assert_eq!(found.len(), 2, "the rule finds each line: {found:?}");
    let examples = Source::all(&["examples"]);
    let named = |name| examples.iter().find(|file| file.path == name).expect("the example is there");
    let found = examples::different_lines(named("examples/axum_notify.rs"), named("examples/axum_notify_disk.rs"));
    let one = [(
        r#"    let hub = tidings::LocalHub::new();"#.to_owned(),
        r#"    let hub = tidings::disk::DiskHub::open("target/axum_notify")?;"#.to_owned(),
    )];
    assert_eq!(found, one);
    let readme = std::fs::read_to_string("README.md").expect("the README is there");
    let [(memory, disk)] = one;
    assert!(readme.contains(&format!("-{memory}\n+{disk}\n")), "the README has both lines");
}

/// The folders that hold Rust.
const EVERYWHERE: [&str; 5] = ["src", "tests", "examples", "benches", "fuzz"];

/// Shows the rule each planted breach on its own, then the tree.
fn enforce(rule: impl Fn(&Source) -> Vec<String>, folders: &[&str], planted: &[(&str, &str)]) {
    for (path, text) in planted {
        assert!(!rule(&Source::new(path, text)).is_empty(), "the rule does not find what is wrong with {path}: {text}");
    }
    let files = Source::all(folders);
    assert!(!files.is_empty() || !folders.contains(&"src"), "there is nothing to look at");
    let found: Vec<String> = files.iter().flat_map(rule).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

fn at_each(file: &Source, offsets: Vec<usize>, rule: &str) -> Vec<String> {
    offsets.into_iter().map(|offset| file.at(offset, rule)).collect()
}

/// Words that may only stand in files whose path begins with one of `floors`.
fn only_in(file: &Source, floors: &[&str], rule: &str, word: impl Fn(&str) -> bool) -> Vec<String> {
    if floors.iter().any(|floor| file.path.starts_with(floor)) {
        return Vec::new();
    }
    at_each(file, file.words(word).iter().map(|(at, _)| *at).collect(), rule)
}

/// Edition 2024 allows `if let .. && ..` from Rust 1.88 on; this crate builds on 1.85.
fn let_chains(file: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in file.words(|word| word == "let") {
        let before = file.code[..at].trim_end();
        let condition = before.ends_with("if") || before.ends_with("while");
        if before.ends_with("&&") || (condition && joined(&file.code[at..])) {
            found.push(at);
        }
    }
    at_each(file, found, "let chains need Rust 1.88")
}

/// Whether `&&` stands before the block of this condition, outside brackets.
fn joined(condition: &str) -> bool {
    let mut depth = 0_i32;
    for (at, char) in condition.char_indices() {
        match char {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' if depth == 0 => return false,
            '&' if depth == 0 && condition[at..].starts_with("&& ") => return true,
            _ => {}
        }
    }
    false
}

fn without_attributes(code: &str) -> String {
    let mut out = String::new();
    let mut rest = code;
    while let Some((before, attribute)) = rest.split_once('#') {
        out.push_str(before);
        let mut depth = 0_i32;
        let end = attribute.char_indices().find(|(_, char)| {
            depth += i32::from(*char == '[') - i32::from(*char == ']');
            *char == ']' && depth == 0
        });
        rest = end.map_or("", |(at, _)| &attribute[at + 1..]);
    }
    out + rest
}
