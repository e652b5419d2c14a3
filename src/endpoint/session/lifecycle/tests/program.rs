use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// A step of a program.
#[derive(Debug, Clone, Copy)]
enum Step {
    Input(Input),
    /// Time passes, and the alarms that become due go off late by up to this.
    Pass(u64),
    DrainIn(u64),
    /// The application extends the authorization, or the publisher renews it, for this long, to be renewed so long before it expires.
    Extend(bool, u64, u64),
    NotRenewed,
    /// The alarm's waker is called though nothing may be due.
    StrayAlarm,
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop_oneof![
        Just(SessionEnd::Gone),
        Just(SessionEnd::Finished),
        Just(SessionEnd::Disconnected),
        Just(SessionEnd::Panicked)
    ];
    let input = prop_oneof![
        2 => end.clone().prop_map(Input::Leave),
        2 => Just(Input::Revoke),
        2 => Just(Input::Expire),
        1 => Just(Input::Cut(SessionEnd::Drained)),
        2 => end.clone().prop_map(Input::Note),
        4 => Just(Input::Piece),
        2 => Just(Input::BreakOff(BodyError::Ended)),
        1 => Just(Input::Finish),
        6 => Just(Input::Watch),
        5 => Just(Input::BeginPoll),
        5 => Just(Input::EndPoll),
        1 => Just(Input::GiveWay),
        1 => end.prop_map(Input::End),
    ];
    prop_oneof![
        20 => input.prop_map(Step::Input),
        10 => (1_u64..20_000).prop_map(Step::Pass),
        2 => (0_u64..9_000).prop_map(Step::DrainIn),
        3 => (any::<bool>(), 0_u64..60_000, 0_u64..60_000).prop_map(|(renews, millis, renew_before)| Step::Extend(renews, millis, renew_before)),
        1 => Just(Step::NotRenewed),
        2 => Just(Step::StrayAlarm),
    ]
}

/// The state machine with its observers.
struct World {
    session: Lifecycle,
    now: Instant,
    is_run: bool,
    polls: u8,
    has_joined: bool,
    lefts: Vec<SessionEnd>,
    reason: Option<SessionEnd>,
    was_shut: bool,
    ended: bool,
    /// Whether the publisher was asked, and nothing has happened since that makes its answer void.
    asked: bool,
    /// State in which the endpoint's counters have the session.
    counted: Option<SessionState>,
}

impl World {
    fn new(kind: SessionKind, expires: Option<u64>, now: Instant) -> Self {
        let expires = expires.map(|millis| now + Duration::from_millis(millis));
        Self {
            session: entering(kind, now, expires),
            now,
            is_run: kind == SessionKind::PollSession,
            polls: 1,
            has_joined: false,
            lefts: Vec::new(),
            reason: None,
            was_shut: false,
            ended: false,
            asked: false,
            counted: Some(SessionState::Open),
        }
    }

    /// Returns whether the caller's own rules allow the input: only polls that began end, for one.
    fn may(&self, input: Input) -> bool {
        match input {
            Input::BeginPoll => self.is_run,
            Input::EndPoll => self.is_run && self.polls > 0,
            Input::GiveWay => self.is_run,
            Input::End(_) => !self.is_run,
            // A poll session has no body of its own.
            Input::Piece | Input::BreakOff(_) | Input::Finish => !self.is_run,
            _ => true,
        }
    }

    fn give(&mut self, input: Input) {
        let due = self.session.alarm().is_some_and(|at| at <= self.now);
        let before = self.session.phase();
        let (expired, asked) = (self.session.expires(), self.asked);
        let actions = self.session.handle(input, self.now, &TIMEOUTS);
        match input {
            Input::Extend(validity) if actions.no_effect.is_none() => {
                assert!(before == Phase::Open && expired.is_none_or(|at| at > self.now), "an ended session is revived");
                assert_eq!(self.session.expires(), Some(validity.expires));
                self.asked = false;
            }
            Input::Renewed(validity) => {
                let is_void = !asked || before != Phase::Open || expired.is_none_or(|at| at <= self.now);
                let expires = if is_void {
                    self.session.expires().and(expired)
                } else {
                    validity.map_or(expired, |it| Some(it.expires))
                };
                assert_eq!(self.session.expires(), expires);
                self.asked = false;
            }
            Input::BeginPoll if actions.no_effect.is_none() => self.polls += 1,
            Input::EndPoll => self.polls -= 1,
            Input::Joined { .. } => self.has_joined = true,
            Input::Alarm { .. } if actions.renews => self.asked = true,
            Input::Alarm { .. } if !due => assert_eq!((before, actions.wakes), (self.session.phase(), false)),
            _ => {}
        }
        self.observe(&actions);
    }

    fn observe(&mut self, actions: &Actions) {
        if let Some(why) = actions.left {
            assert!(self.has_joined, "left before joined returned");
            assert_eq!(actions.before, self.counted, "the counters have it so");
            self.lefts.push(why);
            self.counted = None;
        } else if self.counted.is_some() {
            assert_eq!(actions.before, self.counted);
            self.counted = actions.after;
        }
        assert!(self.lefts.len() <= 1, "left is called once");
        let reason = self.session.reason();
        let is_new = self.reason.is_none() || reason == Some(SessionEnd::Revoked);
        assert!(reason == self.reason || is_new, "{:?} became {reason:?}", self.reason);
        self.reason = reason;
        assert!(self.session.is_shut() || !self.was_shut, "a shut session is open again");
        self.was_shut = self.session.is_shut();
        self.ended |= actions.ends;
        self.asked &= self.session.phase() == Phase::Open;
        assert_eq!(self.session.is_renewing(), self.asked);
        self.check_timers();
    }

    fn check_timers(&self) {
        let armed: Vec<_> = SessionTimer::ALL.into_iter().filter(|&timer| self.has(timer)).collect();
        let allowed: &[SessionTimer] = match self.session.phase() {
            _ if self.ended => &[],
            Phase::Open => &[
                SessionTimer::Expiry,
                SessionTimer::Check,
                SessionTimer::Drain,
                SessionTimer::MaxAge,
                SessionTimer::Silence,
                SessionTimer::Renewal,
            ],
            Phase::Leaving(_) | Phase::Broken(_) => &[SessionTimer::Expiry, SessionTimer::Cutoff],
            Phase::Flushing(_) => &[SessionTimer::Expiry, SessionTimer::Flush],
            Phase::Over => &[SessionTimer::Cutoff],
            Phase::Revoked | Phase::Cut(_) => &[],
        };
        assert!(armed.iter().all(|timer| allowed.contains(timer)), "{armed:?} in {:?}", self.session.phase());
        let both = |one, other| armed.contains(&one) && armed.contains(&other);
        assert!(!both(SessionTimer::Drain, SessionTimer::Check) && !both(SessionTimer::Drain, SessionTimer::Silence));
        assert!(!armed.contains(&SessionTimer::Silence) || self.session.is_idle());
        assert!(!self.ended || self.session.alarm().is_none());
    }

    /// Returns whether a timer is armed. A poll session has another one in the place of its renewal.
    fn has(&self, timer: SessionTimer) -> bool {
        let is_other = match timer {
            SessionTimer::Silence => !self.is_run,
            SessionTimer::Renewal => self.is_run,
            _ => false,
        };
        self.session.timers.is_armed(timer) && !is_other
    }

    /// Lets time pass: each alarm goes off at its time.
    fn pass(&mut self, millis: u64, is_unread: bool) {
        let until = self.now + Duration::from_millis(millis);
        while let Some(at) = self.session.alarm().filter(|&at| at <= until) {
            self.now = self.now.max(at);
            self.give(Input::Alarm { is_unread });
            assert!(self.session.alarm().is_none_or(|next| next > self.now), "what is due fires at once");
        }
        self.now = until;
    }

    fn run(&mut self, steps: &[Step], joined_at: usize, max_age: Option<u64>) {
        for (index, &step) in steps.iter().enumerate() {
            if index == joined_at {
                let renew_before = Duration::from_millis(index as u64 * 1_000);
                self.give(Input::Joined { max_age: max_age.map(Duration::from_millis), renew_before });
            }
            match step {
                Step::Input(input) if self.may(input) => self.give(input),
                Step::Input(_) => {}
                Step::Pass(millis) => self.pass(millis, index % 2 == 0),
                Step::DrainIn(millis) => {
                    let at = self.now + Duration::from_millis(millis);
                    self.give(Input::DrainAt(at));
                }
                Step::Extend(renews, millis, renew_before) => {
                    let expires = self.now + Duration::from_millis(millis);
                    let validity = Validity { expires, renew_before: Duration::from_millis(renew_before) };
                    self.give(if renews { Input::Renewed(Some(validity)) } else { Input::Extend(validity) });
                }
                Step::NotRenewed => self.give(Input::Renewed(None)),
                Step::StrayAlarm => self.give(Input::Alarm { is_unread: true }),
            }
        }
        if !self.has_joined {
            self.give(Input::Joined { max_age: None, renew_before: Duration::ZERO });
        }
    }
}

fn kind() -> impl Strategy<Value = SessionKind> {
    prop_oneof![
        Just(SessionKind::Stream),
        Just(SessionKind::Poll),
        Just(SessionKind::PollSession),
        Just(SessionKind::WebSocket)
    ]
}

proptest! {
    #[test]
    fn invariants_hold_in_every_program(
        kind in kind(),
        steps in vec(step(), 0..60),
        joined_at in 0_usize..8,
        expires in proptest::option::of(0_u64..60_000),
        max_age in proptest::option::of(0_u64..60_000),
    ) {
        let mut world = World::new(kind, expires, Instant::now());
        world.run(&steps, joined_at, max_age);
        // The task goes in the end, whatever happened.
        while world.is_run && world.polls > 0 {
            world.give(Input::EndPoll);
        }
        if world.is_run {
            world.pass(60_000, false);
        } else {
            world.give(Input::End(SessionEnd::Gone));
        }
        prop_assert_eq!(world.lefts.len(), 1);
        prop_assert_eq!(Some(world.lefts[0]), world.session.reason());
        prop_assert_eq!(world.session.alarm(), None);
        prop_assert!(world.session.is_shut());
    }

    #[test]
    fn drained_stream_is_gone_in_bounded_time_whatever_its_task_does(
        steps in vec(step(), 0..60),
        drain_in in 0_u64..9_000,
    ) {
        let mut world = World::new(SessionKind::Stream, None, Instant::now());
        world.give(Input::Joined { max_age: None, renew_before: Duration::ZERO });
        world.give(Input::DrainAt(world.now + Duration::from_millis(drain_in)));
        // It leaves, breaks off just before its cutoff, and is revoked just before the next: each has a cutoff of its own.
        let bound = world.now + Duration::from_millis(drain_in) + TIMEOUTS.write * 3 + FLUSH * 2;
        for step in steps {
            match step {
                // A finished stream is dropped by the HTTP stack. Another drain is later.
                Step::Input(Input::Finish) | Step::DrainIn(_) => {}
                Step::Input(input) if world.may(input) => world.give(input),
                Step::Pass(millis) => world.pass(millis, true),
                _ => {}
            }
        }
        let rest = bound.saturating_duration_since(world.now);
        world.pass(u64::try_from(rest.as_millis()).unwrap() + 1, true);
        prop_assert_eq!(world.lefts.len(), 1);
    }
}
