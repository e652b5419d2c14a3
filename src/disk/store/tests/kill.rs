//! A process that is killed while it writes. The test binary runs itself, with the directory in an environment
//! variable.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use super::support::{ALL, Directory, event, text, topic};
use crate::disk::store::{Durability, Store, StoreOptions};
use crate::model::Retention;

const DIRECTORY: &str = "TIDINGS_DISK_KILLED";

/// Writes until the process is killed, and prints each acknowledged sequence.
fn write_until_killed(directory: &Path) {
    let options = StoreOptions {
        durability: Durability::Synced,
        retention: std::sync::Arc::new(|_| Retention::count(500).bytes(usize::MAX)),
        ..StoreOptions::default()
    };
    let (store, opened) = Store::open(directory, &options, 1).unwrap();
    let mut out = std::io::stdout().lock();
    let mut last = opened.head;
    loop {
        let batch = 1 + last % 50;
        let records =
            (last + 1..=last + batch).map(|sequence| event(sequence, "a", text(sequence))).collect::<Vec<_>>();
        store.write(&records).unwrap();
        last += batch;
        writeln!(out, "acknowledged {last}").unwrap();
        out.flush().unwrap();
        if last % 7 == 0 {
            store.trim(0, 1_000).unwrap();
        }
    }
}

#[test]
fn acknowledged_events_are_there_after_the_process_was_killed() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        write_until_killed(directory.as_ref());
    }
    let directory = Directory::new();
    let mut last = 0;
    let kills = if std::env::var_os("TIDINGS_DISK_DEEP").is_some() { 100 } else { 8 };
    for kill in 0..kills {
        // `timeout` sends SIGKILL after a time that differs from kill to kill.
        let output = Command::new("timeout")
            .args(["-s", "KILL", &format!("0.{}", 300 + kill * 37 % 300)])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "disk::store::tests::kill::acknowledged_events_are_there_after_the_process_was_killed"])
            .arg("--nocapture")
            .env(DIRECTORY, &directory.0)
            .output()
            .unwrap();
        assert_eq!(output.status.signal(), Some(9), "{}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8(output.stdout).unwrap();
        // The last line may be cut.
        let acknowledged = printed.rsplit_once('\n').map_or("", |(lines, _)| lines).lines();
        let acknowledged =
            acknowledged.filter_map(|line| line.strip_prefix("acknowledged ")?.parse::<u64>().ok()).max();
        let (store, opened) = directory.open(kill + 100);
        assert_eq!(opened.lost, None, "kill {kill}");
        assert!(opened.head >= acknowledged.unwrap_or(last), "kill {kill}: {acknowledged:?} {opened:?}");
        assert!(kill > 0 || opened.head > 0, "the child wrote");
        last = opened.head;
        let page = store.read(&topic("a"), 0, u64::MAX, ALL).unwrap();
        let expected =
            (page.trimmed + 1..=last).map(|sequence| event(sequence, "a", text(sequence))).collect::<Vec<_>>();
        assert_eq!(page.records, expected);
    }
}
