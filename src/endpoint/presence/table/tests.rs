//! A reference model, and random programs that both follow. The model looks at every key at every step of 50 ms, and
//! keeps the history of its sessions.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::endpoint::presence::key::INTERVAL;

/// Time is a number of these.
const STEP: Duration = Duration::from_millis(50);
const KEYS: [&str; 3] = ["ann", "bob", "cid"];

#[derive(Debug, Clone)]
enum Step {
    /// A session begins, present under these keys with this event.
    Begin(Vec<u8>, u8),
    End(usize),
    Pass(u16),
    /// The hub answers so from now on.
    Hub(Outcome),
    /// Changes are under way until the next `Hold(false)`.
    Hold(bool),
    /// The alarm goes off though nothing may be due.
    StrayAlarm,
    Drain,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (vec(0..3_u8, 1..3), 0..2_u8).prop_map(|(keys, event)| Step::Begin(keys, event)),
        10 => any::<usize>().prop_map(Step::End),
        6 => (1..20_u16).prop_map(Step::Pass),
        3 => (20..400_u16).prop_map(Step::Pass),
        2 => prop_oneof![Just(Outcome::Published), Just(Outcome::Refused), Just(Outcome::Postponed)].prop_map(Step::Hub),
        2 => any::<bool>().prop_map(Step::Hold),
        1 => Just(Step::StrayAlarm),
    ]
}

/// An attempt to publish: time, key, and the text of the event or `None` for the removal.
type Attempt = (u64, usize, Option<String>);

/// Model of one key.
#[derive(Debug, Clone, Default)]
struct ModelKey {
    /// Session of each begin, with its event, in order.
    begun: Vec<(u64, String)>,
    live: Vec<u64>,
    last_end: Option<u64>,
    published: Option<String>,
    /// Earliest time of the next attempt.
    next_attempt: u64,
    /// Time of the last change.
    changed: Option<u64>,
    failures: u32,
    /// Number of begins when the hub refused the newest event.
    refused_at: Option<usize>,
    under_way: Option<(Option<String>, u64)>,
}

impl ModelKey {
    /// Returns the change that is to be tried now.
    fn attempt(&mut self, now: u64, grace: u64) -> Option<Option<String>> {
        let in_grace = self.published.is_some() && self.last_end.is_some_and(|end| now < end + grace);
        let is_wanted = !self.live.is_empty() || in_grace;
        let wanted = is_wanted.then(|| self.begun.last().unwrap().1.clone());
        let is_unchanged = self.changed.is_none_or(|at| now >= at + ticks(INTERVAL));
        if !is_wanted && self.published.is_none() && self.under_way.is_none() && is_unchanged {
            // The key is forgotten, with the failures.
            (self.failures, self.next_attempt) = (0, now);
        }
        let is_refused = is_wanted && self.refused_at == Some(self.begun.len());
        if wanted == self.published || is_refused || self.under_way.is_some() || now < self.next_attempt {
            return None;
        }
        self.next_attempt = now + ticks(INTERVAL);
        self.under_way = Some((wanted.clone(), now));
        Some(wanted)
    }

    fn finish(&mut self, outcome: Outcome) {
        let Some((change, began)) = self.under_way.take() else { return };
        match outcome {
            Outcome::Published => (self.published, self.failures, self.changed) = (change, 0, Some(began)),
            Outcome::Refused if change.is_none() => {
                (self.published, self.failures, self.changed) = (None, 0, Some(began))
            }
            Outcome::Refused if change.as_ref() == self.begun.last().map(|(_, event)| event) => {
                self.refused_at = Some(self.begun.len());
            }
            Outcome::Refused => {}
            Outcome::Postponed => {
                self.next_attempt = began + ticks(INTERVAL) * 2_u64.pow(self.failures.min(6));
                self.failures += 1;
            }
        }
    }
}

fn ticks(duration: Duration) -> u64 {
    (duration.as_millis() / STEP.as_millis()) as u64
}

fn name(key: usize) -> KeyName {
    KeyName { topic: Topic::new("people").unwrap(), key: KEYS[key].into() }
}

fn event(key: usize, text: &str) -> Event {
    Event::text(text).with_key(KEYS[key]).unwrap()
}

fn key_of(change: &KeyChange) -> usize {
    KEYS.iter().position(|key| *key == &*change.name.key).unwrap()
}

/// The table and the model, side by side.
struct World {
    table: PresenceTable,
    model: Vec<ModelKey>,
    sessions: BTreeMap<u64, Vec<usize>>,
    begin: Instant,
    now: u64,
    grace: u64,
    outcome: Outcome,
    is_holding: bool,
    held: Vec<KeyChange>,
    has_drained: bool,
    ids: u64,
    attempts: Vec<Attempt>,
    of_model: Vec<Attempt>,
    /// Time and key of the changes that the hub accepted.
    accepted: Vec<(u64, usize)>,
}

impl World {
    fn new(grace: u64) -> Self {
        Self {
            table: PresenceTable::new(STEP * grace as u32),
            model: vec![ModelKey::default(); KEYS.len()],
            sessions: BTreeMap::new(),
            begin: Instant::now(),
            now: 0,
            grace,
            outcome: Outcome::Published,
            is_holding: false,
            held: Vec::new(),
            has_drained: false,
            ids: 0,
            attempts: Vec::new(),
            of_model: Vec::new(),
            accepted: Vec::new(),
        }
    }

    fn instant(&self) -> Instant {
        self.begin + STEP * self.now as u32
    }

    fn input(&mut self, input: impl FnOnce(&mut PresenceTable, Instant, &mut PresenceWork)) {
        let mut work = PresenceWork::default();
        let now = self.instant();
        input(&mut self.table, now, &mut work);
        for change in work.changes {
            let key = key_of(&change);
            let text = change.event.as_ref().map(|event| event.as_str().unwrap().to_owned());
            self.attempts.push((self.now, key, text));
            self.held.push(change);
        }
        if !self.is_holding {
            self.finish();
        }
    }

    fn finish(&mut self) {
        for change in std::mem::take(&mut self.held) {
            let outcome = self.outcome;
            if outcome == Outcome::Published {
                self.accepted.push((ticks(change.began - self.begin), key_of(&change)));
            }
            self.input(|table, now, work| table.finish(change, outcome, now, work));
        }
        self.model.iter_mut().for_each(|key| key.finish(self.outcome));
    }

    /// Lets the model look at every key.
    fn look(&mut self) {
        for (at, key) in self.model.iter_mut().enumerate() {
            if self.has_drained {
                break;
            }
            if let Some(change) = key.attempt(self.now, self.grace) {
                self.of_model.push((self.now, at, change));
                if !self.is_holding {
                    key.finish(self.outcome);
                }
            }
        }
    }

    fn pass(&mut self) {
        self.now += 1;
        if self.table.first_due().is_some_and(|due| due <= self.instant()) {
            self.input(|table, now, work| table.run_due(now, usize::MAX, work));
        }
        self.look();
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Begin(keys, text) => {
                let keys: Vec<_> = keys.into_iter().map(usize::from).collect();
                let (id, text) = (self.ids, format!("event {text}"));
                self.ids += 1;
                if !self.has_drained {
                    for &key in &keys {
                        self.model[key].begun.push((id, text.clone()));
                        self.model[key].live.push(id);
                    }
                }
                let present = keys.iter().map(|&key| (name(key), event(key, &text))).collect();
                self.input(|table, now, work| table.begin(SessionId::new(id), present, now, work));
                self.sessions.insert(id, keys);
            }
            Step::End(which) if !self.sessions.is_empty() => {
                let id = *self.sessions.keys().nth(which % self.sessions.len()).unwrap();
                for key in self.sessions.remove(&id).unwrap() {
                    let key = &mut self.model[key];
                    key.live.retain(|&live| live != id);
                    key.last_end = Some(self.now);
                }
                self.input(|table, now, work| table.end(SessionId::new(id), now, work));
            }
            Step::End(_) => {}
            Step::Pass(steps) => (0..steps).for_each(|_| self.pass()),
            Step::Hub(outcome) => self.outcome = outcome,
            Step::Hold(true) => self.is_holding = true,
            Step::Hold(false) => {
                self.is_holding = false;
                self.finish();
            }
            Step::StrayAlarm => self.input(|table, now, work| table.run_due(now, 1, work)),
            Step::Drain => {
                self.has_drained = true;
                drop(self.table.stop());
            }
        }
        self.look();
    }

    /// Checks what holds after each step.
    fn check(&self) {
        let sorted = |attempts: &[Attempt]| {
            let mut sorted = attempts.to_vec();
            // Keys that change at the same time are in any order.
            sorted.sort_by_key(|(at, key, _)| (*at, *key));
            sorted
        };
        assert_eq!(sorted(&self.attempts), sorted(&self.of_model));
        assert!(self.table.due.len() <= self.table.keys.len());
        assert!(self.table.keys.len() <= KEYS.len());
        assert!(self.table.sessions.len() <= self.sessions.len());
    }

    /// Ends every session, lets the hub accept everything, and lets time pass.
    fn settle(&mut self) {
        self.run(Step::Hub(Outcome::Published));
        self.run(Step::Hold(false));
        (0..self.sessions.len()).for_each(|_| self.run(Step::End(0)));
        // The longest pause after failures, the grace, and two intervals.
        self.run(Step::Pass(64 * 20 + 200 + 40));
    }
}

proptest! {
    #[test]
    fn presence_of_random_sessions_follows_the_reference_model(
        steps in vec(any_step(), 1..60),
        grace in prop_oneof![Just(0_u64), Just(1), Just(7), Just(20), Just(100)],
        drains in prop::bool::weighted(0.1),
    ) {
        let mut world = World::new(grace);
        for step in steps {
            world.run(step);
            world.check();
        }
        if drains {
            let before = world.attempts.len();
            world.run(Step::Drain);
            world.settle();
            prop_assert_eq!(world.attempts.len(), before, "nothing is published after a drain");
        }
        world.settle();
        world.check();
        prop_assert!(world.table.sessions.is_empty() && world.table.keys.is_empty() && world.table.due.is_empty());
        for key in 0..KEYS.len() {
            let of_key: Vec<_> = world.attempts.iter().filter(|(_, of, _)| *of == key).collect();
            let accepted: Vec<_> = world.accepted.iter().filter(|(_, of)| *of == key).map(|(at, _)| at).collect();
            prop_assert!(accepted.windows(2).all(|pair| pair[1] - pair[0] >= ticks(INTERVAL)), "{:?}", accepted);
            let is_removed = of_key.last().is_none_or(|(_, _, event)| event.is_none()) || world.model[key].published.is_none();
            prop_assert!(drains || is_removed, "{:?}", of_key);
        }
    }
}

#[test]
fn session_that_begins_within_the_grace_publishes_nothing() {
    let mut world = World::new(100);
    world.run(Step::Begin(vec![0], 0));
    world.run(Step::Pass(30));
    world.run(Step::End(0));
    world.run(Step::Pass(99));
    world.run(Step::Begin(vec![0], 0));
    world.run(Step::Pass(1_000));
    assert_eq!(world.attempts, [(0, 0, Some("event 0".to_owned()))]);
    world.run(Step::End(0));
    world.run(Step::Pass(100));
    assert_eq!(world.attempts[1..], [(1_229, 0, None)]);
}

#[test]
fn key_that_flaps_publishes_its_newest_state_after_a_second() {
    let mut world = World::new(0);
    for n in 0..9 {
        world.run(Step::Begin(vec![0], n));
        world.run(Step::Pass(1));
        world.run(Step::End(0));
        world.run(Step::Pass(1));
    }
    world.run(Step::Begin(vec![0], 9));
    world.run(Step::Pass(100));
    let texts: Vec<_> = world.attempts.iter().map(|(at, _, text)| (*at, text.as_deref())).collect();
    assert_eq!(texts, [(0, Some("event 0")), (20, Some("event 9"))]);
}

#[test]
fn many_due_keys_change_in_parts() {
    let (mut table, begin) = (PresenceTable::new(Duration::ZERO), Instant::now());
    let mut work = PresenceWork::default();
    for n in 0..1_000_u64 {
        let name = KeyName { topic: Topic::new("people").unwrap(), key: n.to_string().into() };
        table.begin(SessionId::new(n), vec![(name, Event::text("here"))], begin, &mut work);
        table.end(SessionId::new(n), begin, &mut work);
    }
    std::mem::take(&mut work.changes)
        .into_iter()
        .for_each(|change| table.finish(change, Outcome::Published, begin, &mut work));
    for part in [300, 300, 300, 100, 0] {
        table.run_due(begin + INTERVAL, 300, &mut work);
        assert_eq!(work.changes.len(), part);
        work.changes.clear();
    }
}
