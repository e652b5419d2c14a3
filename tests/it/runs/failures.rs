use std::sync::{Arc, Mutex};

use tidings::EndReason::Failed;
use tidings::runs::FailureCause;

use super::script::{Script, Step};
use super::world::World;

#[test]
fn failure_is_one_line_of_a_log() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&lines);
    let world =
        World::with(|runs| runs.on_failure(move |failure| kept.lock().unwrap().push(format!("{failure} {failure:?}"))));
    let script = Script::default();
    script.push(Step::Error("a\nb \u{1b}[31m"));
    world.started("runs/\u{202e}7", &script);
    let line = r#"run "runs/\u{202e}7" failed (error): "a\nb \u{1b}[31m""#;
    assert_eq!(*lines.lock().unwrap(), [format!("{line} RunFailure({line})")]);
}

#[test]
fn hook_may_call_the_runs() {
    let slot = Arc::new(Mutex::new(None::<tidings::runs::Runs>));
    let (inner, seen) = (Arc::clone(&slot), Arc::new(Mutex::new(Vec::new())));
    let kept = Arc::clone(&seen);
    let world = World::with(|runs| {
        runs.on_failure(move |failure| {
            let runs = inner.lock().unwrap().clone().unwrap();
            kept.lock().unwrap().push((runs.list().len(), runs.stop(failure.topic())));
        })
    });
    *slot.lock().unwrap() = Some(world.runs.clone());
    let script = Script::default();
    script.push(Step::Error("broken"));
    world.started("runs/7", &script);
    assert_eq!(*seen.lock().unwrap(), [(0, false)]);
    *slot.lock().unwrap() = None;
}

#[test]
fn panic_of_the_hook_has_no_further_effect() {
    let world = World::with(|runs| runs.on_failure(|_| panic!("in the hook")));
    let script = Script::default();
    script.push(Step::Error("broken"));
    world.started("runs/7", &script);
    assert_eq!(world.read("runs/7"), (vec![], Some(Failed)));
}

#[test]
fn every_cause_has_its_own_name() {
    let mut names: Vec<_> = FailureCause::ALL.iter().map(|cause| cause.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 6);
}
