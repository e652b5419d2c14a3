use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Lets the alarms go off, one after another, for this long. Returns the actions of each, with its time.
fn pass(session: &mut Lifecycle, begin: Instant, until: Duration, is_unread: bool) -> Vec<(Duration, Actions)> {
    let mut actions = Vec::new();
    while let Some(at) = session.alarm().filter(|&at| at <= begin + until) {
        actions.push((at - begin, session.handle(Input::Alarm { is_unread }, at, &TIMEOUTS)));
    }
    actions
}

#[test]
fn stream_without_progress_is_cut_after_one_write_timeout() {
    let begin = Instant::now();
    let mut session = joined(SessionKind::Stream, begin);
    assert!(session.wrote(100));
    let _ = session.handle(Input::Watch, begin, &TIMEOUTS);
    assert!(!session.wrote(1), "a check is due already");
    let passed = pass(&mut session, begin, 60 * SECOND, true);
    // The first check finds the bytes that were written before it.
    let (at, last) = passed.last().unwrap();
    assert_eq!((*at, passed.len()), (10 * SECOND, 5));
    assert_eq!((last.left, last.stalls_body, last.counts_stall), (Some(SessionEnd::Stalled), true, true));
    assert_eq!(passed.iter().map(|(_, actions)| actions.sent).sum::<u64>(), 101);
    assert_eq!(session.phase(), Phase::Cut(BodyError::Stalled));
}

#[test]
fn stream_that_is_read_is_not_checked_until_it_writes_again() {
    let begin = Instant::now();
    let mut session = joined(SessionKind::Stream, begin);
    session.wrote(1);
    let _ = session.handle(Input::Watch, begin, &TIMEOUTS);
    assert_eq!(pass(&mut session, begin, 60 * SECOND, false).len(), 1);
    assert_eq!(session.alarm(), None);
    assert!(session.wrote(1));
}

#[test]
fn client_that_takes_a_byte_between_two_checks_stays() {
    let begin = Instant::now();
    let mut session = joined(SessionKind::Stream, begin);
    let _ = session.handle(Input::Watch, begin, &TIMEOUTS);
    for round in 1..20 {
        session.wrote(1);
        assert_eq!(pass(&mut session, begin, round * 6 * SECOND, true).len(), 3);
        assert_eq!(session.phase(), Phase::Open);
    }
}

#[test]
fn drained_stream_that_is_not_polled_is_cut_after_one_write_timeout() {
    let begin = Instant::now();
    let mut session = joined(SessionKind::Stream, begin);
    let _ = session.handle(Input::Watch, begin, &TIMEOUTS);
    let _ = session.handle(Input::DrainAt(begin + 3 * SECOND), begin, &TIMEOUTS);
    let passed = pass(&mut session, begin, 60 * SECOND, true);
    assert_eq!(passed.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [3 * SECOND, 11 * SECOND]);
    assert_eq!(passed[1].1.left, Some(SessionEnd::Drained));
}

#[test]
fn drained_stream_that_ends_in_order_breaks_off_after_its_last_bytes() {
    let begin = Instant::now();
    let mut session = joined(SessionKind::Stream, begin);
    let _ = session.handle(Input::DrainAt(begin), begin, &TIMEOUTS);
    assert!(pass(&mut session, begin, Duration::ZERO, false)[0].1.wakes);
    for _ in 0..20 {
        let _ = session.handle(Input::Piece, begin, &TIMEOUTS);
    }
    assert_eq!(session.phase(), Phase::Leaving(0));
    let _ = session.handle(Input::BreakOff(BodyError::Ended), begin, &TIMEOUTS);
    let passed = pass(&mut session, begin, SECOND, false);
    assert_eq!(passed[0].0, FLUSH);
    assert!(passed[0].1.wakes, "the body is to be polled for its error");
    assert_eq!(session.phase(), Phase::Broken(BodyError::Ended));
    let _ = session.handle(Input::Finish, begin, &TIMEOUTS);
    let ended = session.handle(Input::End(SessionEnd::Gone), begin, &TIMEOUTS);
    assert_eq!((ended.left, session.alarm()), (Some(SessionEnd::Drained), None));
}

#[test]
fn authorization_of_a_long_lived_session_expires_by_its_alarm() {
    let begin = Instant::now();
    for (kind, is_alarmed) in [
        (SessionKind::Stream, true),
        (SessionKind::WebSocket, true),
        (SessionKind::Poll, false),
        (SessionKind::PollSession, false),
    ] {
        let mut session = entering(kind, begin, Some(begin + SECOND));
        assert_eq!((session.alarm(), session.expires()), (None, Some(begin + SECOND)));
        let _ = session.handle(Input::Joined { max_age: None, renew_before: Duration::ZERO }, begin, &TIMEOUTS);
        assert_eq!(session.alarm().is_some(), is_alarmed, "{kind:?}");
        let early = session.handle(Input::Alarm { is_unread: false }, begin + SECOND / 2, &TIMEOUTS);
        assert!(!early.wakes && !session.is_shut());
        pass(&mut session, begin, SECOND, false);
        assert_eq!((session.is_shut(), session.reason().is_some()), (is_alarmed, is_alarmed), "{kind:?}");
    }
}

#[test]
fn expiry_at_the_time_of_the_maximum_age_revokes() {
    let begin = Instant::now();
    let mut session = entering(SessionKind::WebSocket, begin, Some(begin + SECOND));
    let _ = session.handle(Input::Joined { max_age: Some(SECOND), renew_before: Duration::ZERO }, begin, &TIMEOUTS);
    assert_eq!(pass(&mut session, begin, SECOND, false).len(), 1);
    assert_eq!((session.phase(), session.reason()), (Phase::Revoked, Some(SessionEnd::Revoked)));
}

#[test]
fn maximum_age_disconnects() {
    let begin = Instant::now();
    let mut session = entering(SessionKind::Poll, begin, None);
    let _ = session.handle(Input::Joined { max_age: Some(SECOND), renew_before: Duration::ZERO }, begin, &TIMEOUTS);
    assert!(pass(&mut session, begin, SECOND, false)[0].1.wakes);
    assert_eq!((session.phase(), session.reason()), (Phase::Leaving(8), Some(SessionEnd::Disconnected)));
}

#[test]
fn silent_poll_session_ends_unless_a_poll_comes() {
    let begin = Instant::now();
    let mut session = joined(SessionKind::PollSession, begin);
    assert_eq!(session.handle(Input::EndPoll, begin, &TIMEOUTS).after, Some(SessionState::Idle));
    assert_eq!(session.alarm(), Some(begin + 50 * SECOND));
    assert_eq!(session.handle(Input::BeginPoll, begin, &TIMEOUTS).after, Some(SessionState::Open));
    assert_eq!(session.alarm(), None);
    let _ = session.handle(Input::EndPoll, begin, &TIMEOUTS);
    let passed = pass(&mut session, begin, 50 * SECOND, false);
    assert_eq!((passed[0].1.left, passed[0].1.before), (Some(SessionEnd::Silent), Some(SessionState::Idle)));
    assert_eq!(session.handle(Input::BeginPoll, begin, &TIMEOUTS).no_effect, Some(NoEffect::Ended));
}

#[test]
fn poll_session_has_at_most_sixteen_polls_at_once() {
    let begin = Instant::now();
    let mut session = joined(SessionKind::PollSession, begin);
    let no_effect: Vec<_> = (0..17).map(|_| session.handle(Input::BeginPoll, begin, &TIMEOUTS).no_effect).collect();
    assert_eq!(no_effect.iter().filter(|no_effect| no_effect.is_none()).count(), 15, "one had begun");
    assert_eq!(no_effect[16], Some(NoEffect::TooManyPolls));
}

#[test]
fn poll_session_whose_reason_is_known_ends_with_its_last_poll() {
    let begin = Instant::now();
    let mut session = joined(SessionKind::PollSession, begin);
    let _ = session.handle(Input::Note(SessionEnd::Panicked), begin, &TIMEOUTS);
    assert_eq!(session.handle(Input::BeginPoll, begin, &TIMEOUTS).no_effect, Some(NoEffect::Ended));
    assert_eq!(session.handle(Input::EndPoll, begin, &TIMEOUTS).left, Some(SessionEnd::Panicked));
}

#[test]
fn session_that_ends_while_joining_leaves_after_joined_returned() {
    let begin = Instant::now();
    let mut session = entering(SessionKind::WebSocket, begin, None);
    assert_eq!(session.handle(Input::Cut(SessionEnd::Drained), begin, &TIMEOUTS).left, None);
    assert!(session.is_joining());
    let joined =
        session.handle(Input::Joined { max_age: Some(SECOND), renew_before: Duration::ZERO }, begin, &TIMEOUTS);
    assert_eq!((joined.left, joined.before), (Some(SessionEnd::Drained), Some(SessionState::Leaving)));
    assert_eq!((session.alarm(), session.state()), (None, None));
}

#[test]
fn times_that_no_clock_reaches_are_far_and_not_wrong() {
    let begin = Instant::now();
    let far = Timeouts { write: Duration::MAX, poll_session: Duration::MAX };
    let mut session = joined(SessionKind::Stream, begin);
    let _ = session.handle(Input::Leave(SessionEnd::Disconnected), begin, &far);
    assert!(session.alarm().is_none_or(|at| at > begin + Duration::from_secs(1 << 32)));
    assert!(session.timers.is_armed(SessionTimer::Cutoff));
}
