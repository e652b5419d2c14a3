use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn validity(expires: Instant, renew_before: Duration) -> Validity {
    Validity { expires, renew_before }
}

/// Returns a session whose authorization expires after 100 s, and is to be renewed 10 s before.
fn session(kind: SessionKind, begin: Instant, max_age: Option<Duration>) -> Lifecycle {
    let mut session = entering(kind, begin, Some(begin + 100 * SECOND));
    let _ = session.handle(Input::Joined { max_age, renew_before: 10 * SECOND }, begin, &TIMEOUTS);
    session
}

fn alarm(session: &mut Lifecycle, at: Instant) -> Actions {
    session.handle(Input::Alarm { is_unread: false }, at, &TIMEOUTS)
}

#[test]
fn publisher_is_asked_once_before_the_authorization_expires() {
    let begin = Instant::now();
    for kind in [SessionKind::Stream, SessionKind::WebSocket] {
        let mut session = session(kind, begin, None);
        assert_eq!(session.alarm(), Some(begin + 90 * SECOND));
        assert!(!alarm(&mut session, begin + 89 * SECOND).renews);
        let asked = alarm(&mut session, begin + 90 * SECOND);
        assert!(asked.renews && asked.wakes && session.is_renewing());
        assert_eq!(session.alarm(), Some(begin + 100 * SECOND), "the expiry stands until there is an answer");
        assert!(!alarm(&mut session, begin + 95 * SECOND).renews);
        let _ = alarm(&mut session, begin + 100 * SECOND);
        assert_eq!(session.reason(), Some(SessionEnd::Revoked));
        assert!(!session.is_renewing());
    }
}

#[test]
fn renewed_authorization_expires_later_and_is_renewed_again() {
    let begin = Instant::now();
    let mut session = session(SessionKind::WebSocket, begin, None);
    for round in 1..5 {
        let due = session.alarm().unwrap();
        assert_eq!(due, begin + (90 * round) * SECOND);
        assert!(alarm(&mut session, due).renews);
        let answer = validity(due + 100 * SECOND, 10 * SECOND);
        assert_eq!(session.handle(Input::Renewed(Some(answer)), due, &TIMEOUTS).no_effect, None);
        assert_eq!(session.expires(), Some(due + 100 * SECOND));
    }
}

#[test]
fn answer_without_a_renewal_leaves_the_expiry() {
    let begin = Instant::now();
    let mut session = session(SessionKind::Stream, begin, None);
    let _ = alarm(&mut session, begin + 90 * SECOND);
    let _ = session.handle(Input::Renewed(None), begin + 91 * SECOND, &TIMEOUTS);
    assert_eq!((session.is_renewing(), session.alarm()), (false, Some(begin + 100 * SECOND)));
}

#[test]
fn void_answer_has_no_effect() {
    let begin = Instant::now();
    let far = validity(begin + 900 * SECOND, SECOND);
    // Not asked.
    let mut session = session(SessionKind::WebSocket, begin, None);
    let _ = session.handle(Input::Renewed(Some(far)), begin, &TIMEOUTS);
    assert_eq!(session.expires(), Some(begin + 100 * SECOND));
    // Overtaken by the application, which shortens it.
    let _ = alarm(&mut session, begin + 90 * SECOND);
    let near = validity(begin + 92 * SECOND, Duration::ZERO);
    assert_eq!(session.handle(Input::Extend(near), begin + 91 * SECOND, &TIMEOUTS).no_effect, None);
    let _ = session.handle(Input::Renewed(Some(far)), begin + 91 * SECOND, &TIMEOUTS);
    assert_eq!(session.expires(), Some(begin + 92 * SECOND));
}

#[test]
fn no_answer_revives_a_revoked_session() {
    let begin = Instant::now();
    for ends in [Input::Revoke, Input::Cut(SessionEnd::Drained), Input::Leave(SessionEnd::Disconnected)] {
        let mut session = session(SessionKind::WebSocket, begin, None);
        let _ = alarm(&mut session, begin + 90 * SECOND);
        let _ = session.handle(ends, begin + 91 * SECOND, &TIMEOUTS);
        let before = (session.phase(), session.expires());
        for input in [
            Input::Renewed(Some(validity(begin + 900 * SECOND, SECOND))),
            Input::Extend(validity(begin + 900 * SECOND, SECOND)),
        ] {
            let _ = session.handle(input, begin + 92 * SECOND, &TIMEOUTS);
            assert_eq!((session.phase(), session.expires()), before, "{ends:?}: {input:?}");
        }
    }
}

/// The alarm may be late.
#[test]
fn expired_authorization_is_not_extended() {
    let begin = Instant::now();
    for renews in [false, true] {
        let mut session = session(SessionKind::WebSocket, begin, None);
        let _ = alarm(&mut session, begin + 90 * SECOND);
        let late = validity(begin + 900 * SECOND, SECOND);
        let input = if renews { Input::Renewed(Some(late)) } else { Input::Extend(late) };
        let actions = session.handle(input, begin + 100 * SECOND, &TIMEOUTS);
        assert_eq!((actions.no_effect, session.phase()), (Some(NoEffect::Ended), Phase::Revoked));
        assert!(actions.wakes);
    }
}

#[test]
fn publisher_is_not_asked_if_the_session_ends_before() {
    let begin = Instant::now();
    let mut aged = session(SessionKind::Stream, begin, Some(95 * SECOND));
    assert!(!alarm(&mut aged, begin + 90 * SECOND).renews);
    let mut drained = session(SessionKind::Stream, begin, None);
    let _ = drained.handle(Input::DrainAt(begin + 99 * SECOND), begin + 89 * SECOND, &TIMEOUTS);
    assert!(!alarm(&mut drained, begin + 90 * SECOND).renews);
    // A drain that ends after it does not keep it from being renewed.
    let mut later = session(SessionKind::Stream, begin, None);
    let _ = later.handle(Input::DrainAt(begin + 101 * SECOND), begin + 89 * SECOND, &TIMEOUTS);
    assert!(alarm(&mut later, begin + 90 * SECOND).renews);
}

#[test]
fn maximum_age_ends_a_session_that_is_renewed() {
    let begin = Instant::now();
    let mut session = session(SessionKind::WebSocket, begin, Some(150 * SECOND));
    assert!(alarm(&mut session, begin + 90 * SECOND).renews);
    let far = validity(begin + 900 * SECOND, 10 * SECOND);
    let _ = session.handle(Input::Renewed(Some(far)), begin + 90 * SECOND, &TIMEOUTS);
    assert_eq!(session.alarm(), Some(begin + 150 * SECOND));
    let _ = alarm(&mut session, begin + 150 * SECOND);
    assert_eq!((session.phase(), session.reason()), (Phase::Leaving(8), Some(SessionEnd::Disconnected)));
}

#[test]
fn session_without_an_end_of_its_authorization_gets_one() {
    let begin = Instant::now();
    let mut session = joined(SessionKind::Stream, begin);
    assert!(!session.can_expire());
    let _ = session.handle(Input::Extend(validity(begin + 9 * SECOND, SECOND)), begin, &TIMEOUTS);
    assert_eq!((session.can_expire(), session.alarm()), (true, Some(begin + 8 * SECOND)));
}

#[test]
fn extension_in_joined_keeps_its_own_renewal() {
    let begin = Instant::now();
    let mut session = entering(SessionKind::WebSocket, begin, Some(begin + 100 * SECOND));
    let _ = session.handle(Input::Extend(validity(begin + 200 * SECOND, 20 * SECOND)), begin, &TIMEOUTS);
    let _ = session.handle(Input::Joined { max_age: None, renew_before: 10 * SECOND }, begin, &TIMEOUTS);
    assert_eq!(session.alarm(), Some(begin + 180 * SECOND));
}

#[test]
fn polls_have_no_authorization_to_extend() {
    let begin = Instant::now();
    for kind in [SessionKind::Poll, SessionKind::PollSession] {
        let mut session = entering(kind, begin, Some(begin + 100 * SECOND));
        let _ = session.handle(Input::Joined { max_age: None, renew_before: 10 * SECOND }, begin, &TIMEOUTS);
        assert_eq!(session.alarm(), None, "{kind:?}");
        let extended = session.handle(Input::Extend(validity(begin + 900 * SECOND, SECOND)), begin, &TIMEOUTS);
        assert_eq!((extended.no_effect, session.expires()), (Some(NoEffect::Ended), Some(begin + 100 * SECOND)));
    }
}
