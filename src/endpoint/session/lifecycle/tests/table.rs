use super::*;

const PHASES: [(&str, Phase); 9] = [
    ("open", Phase::Open),
    ("leave", Phase::Leaving(2)),
    ("flushE", Phase::Flushing(BodyError::Ended)),
    ("flushR", Phase::Flushing(BodyError::Revoked)),
    ("brokeE", Phase::Broken(BodyError::Ended)),
    ("brokeR", Phase::Broken(BodyError::Revoked)),
    ("revoked", Phase::Revoked),
    ("cutS", Phase::Cut(BodyError::Stalled)),
    ("over", Phase::Over),
];

/// The phase after each input, with a column for each phase before it. `=`: the phase does not change.
///
/// An input `Kind:Name` is for one kind of session, `idle:Name` for a poll session between two polls. `@Name` is an alarm
/// at which only this timer is due.
const TRANSITIONS: &str = "
    input               open    leave   flushE  flushR  brokeE  brokeR  revoked cutS    over
    NoPlace             =       =       =       =       =       =       =       =       =
    Joined              =       =       =       =       =       =       =       =       =
    DrainAt             =       =       =       =       =       =       =       =       =
    Note                =       =       =       =       =       =       =       =       =
    Watch               =       =       =       =       =       =       =       =       =
    Leave               leave8  =       =       =       =       =       =       =       =
    idle:Leave          over    =       =       =       =       =       =       =       =
    Stream:Revoke       flushR  flushR  flushR  =       flushR  =       =       =       =
    Poll:Revoke         revoked revoked revoked =       revoked =       =       =       =
    WebSocket:Revoke    revoked revoked revoked =       revoked =       =       =       =
    PollSession:Revoke  revoked revoked revoked =       revoked =       =       =       =
    idle:Revoke         over    over    over    =       over    =       =       =       =
    Stream:Expire       flushR  flushR  flushR  =       flushR  =       =       =       =
    WebSocket:Expire    revoked revoked revoked =       revoked =       =       =       =
    EarlyExpire         =       =       =       =       =       =       =       =       =
    Extend              =       =       =       =       =       =       =       =       =
    Stream:LateExtend   flushR  =       =       =       =       =       =       =       =
    WebSocket:LateExtend revoked =      =       =       =       =       =       =       =
    Poll:LateExtend     =       =       =       =       =       =       =       =       =
    PollSession:LateExtend =    =       =       =       =       =       =       =       =
    Renewed             =       =       =       =       =       =       =       =       =
    NotRenewed          =       =       =       =       =       =       =       =       =
    Stream:LateRenewed  flushR  =       =       =       =       =       =       =       =
    WebSocket:LateRenewed revoked =     =       =       =       =       =       =       =
    CutDrained          cutE    cutE    cutE    cutR    cutE    cutR    cutE    =       =
    CutStalled          cutS    cutS    cutE    cutR    cutE    cutR    cutS    =       =
    Piece               =       leave1  =       =       =       =       =       =       =
    BreakOff            flushE  flushE  =       =       =       =       =       =       =
    Finish              over    over    over    over    over    over    over    over    over
    End                 over    over    over    over    over    over    over    =       over
    PollSession:BeginPoll =     =       =       =       =       =       =       =       =
    idle:BeginPoll      =       =       =       =       =       =       =       =       =
    PollSession:EndPoll =       over    over    over    over    over    over    =       over
    GiveWay             =       =       =       =       =       =       =       =       =
    idle:GiveWay        over    =       =       =       =       =       =       =       =
    Alarm               =       =       =       =       =       =       =       =       =
    Stream:@Expiry      flushR  flushR  flushR  =       flushR  =       =       =       =
    WebSocket:@Expiry   revoked revoked revoked =       revoked =       =       =       =
    Poll:@Expiry        =       =       =       =       =       =       =       =       =
    PollSession:@Expiry =       =       =       =       =       =       =       =       =
    @Check              =       =       =       =       =       =       =       =       =
    @Drain              leave8  =       =       =       =       =       =       =       =
    idle:@Drain         over    =       =       =       =       =       =       =       =
    @MaxAge             leave8  =       =       =       =       =       =       =       =
    idle:@MaxAge        over    =       =       =       =       =       =       =       =
    @Silence            =       =       =       =       =       =       =       =       =
    idle:@Silence       over    =       =       =       =       =       =       =       =
    @Renewal            =       =       =       =       =       =       =       =       =
    @Flush              =       =       brokeE  brokeR  =       =       =       =       =
    @Cutoff             cutE    cutE    cutE    cutR    cutE    cutR    cutE    =       =
";

/// The registration after each input, with a column for each registration before it, in an open session. `!`: `left` is
/// called.
const REGISTRATIONS: &str = "
    input               outside joining joined  ended   left
    NoPlace             outside outside outside outside outside
    Joined              =       joined  =       left!   =
    Note                =       =       =       =       =
    DrainAt             =       =       =       =       =
    Watch               =       =       =       =       =
    Leave               =       =       =       =       =
    idle:Leave          =       ended   left!   =       =
    Revoke              =       =       =       =       =
    idle:Revoke         =       ended   left!   =       =
    Expire              =       =       =       =       =
    Extend              =       =       =       =       =
    LateExtend          =       =       =       =       =
    Renewed             =       =       =       =       =
    CutDrained          =       ended   left!   =       =
    CutStalled          =       ended   left!   =       =
    Piece               =       =       =       =       =
    BreakOff            =       =       =       =       =
    Finish              =       =       =       =       =
    End                 =       ended   left!   =       =
    PollSession:BeginPoll =     =       =       =       =
    PollSession:EndPoll =       =       =       =       =
    GiveWay             =       =       =       =       =
    idle:GiveWay        =       ended   left!   =       =
    Alarm               =       =       =       =       =
    @Check              =       =       =       =       =
    @Drain              =       =       =       =       =
    idle:@Drain         =       ended   left!   =       =
    idle:@Silence       =       ended   left!   =       =
    @Cutoff             =       ended   left!   =       =
";

const REGISTERED: [(&str, Registration); 5] = [
    ("outside", Registration::Outside),
    ("joining", Registration::Joining),
    ("joined", Registration::Joined),
    ("ended", Registration::EndedWhileJoining),
    ("left", Registration::Left),
];

/// A row of a table: the kinds that it is for, each with the number of polls, the input, and the cells.
type Row<'a> = (Vec<(SessionKind, u8)>, &'a str, Vec<&'a str>);

fn rows(table: &str) -> Vec<Row<'_>> {
    let lines = table.lines().map(str::trim).filter(|line| !line.is_empty()).skip(1);
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            let input = words.next().unwrap();
            let (kind, input) = input.split_once(':').unwrap_or(("", input));
            let kinds = match kind {
                "" => vec![
                    (SessionKind::Stream, 0),
                    (SessionKind::Poll, 0),
                    (SessionKind::WebSocket, 0),
                    (SessionKind::PollSession, 2),
                ],
                "Stream" => vec![(SessionKind::Stream, 0)],
                "Poll" => vec![(SessionKind::Poll, 0)],
                "WebSocket" => vec![(SessionKind::WebSocket, 0)],
                "PollSession" => vec![(SessionKind::PollSession, 1)],
                "idle" => vec![(SessionKind::PollSession, 0)],
                other => panic!("{other} is no kind"),
            };
            (kinds, input, words.collect())
        })
        .collect()
}

/// Brings a session into a state by its fields. Returns it with the input that the table names.
fn state(kind: SessionKind, polls: u8, phase: Phase, registration: Registration, input: &str) -> (Lifecycle, Input) {
    let begin = Instant::now();
    let mut session = Lifecycle::new(kind, begin, None, registration);
    (session.polls, session.phase) = (polls, phase);
    let input = match input {
        "NoPlace" => Input::NoPlace,
        "Joined" => Input::Joined { max_age: Some(Duration::from_secs(1)), renew_before: Duration::ZERO },
        "DrainAt" => Input::DrainAt(begin),
        "Leave" => Input::Leave(SessionEnd::Disconnected),
        "Revoke" => Input::Revoke,
        "Expire" | "EarlyExpire" | "Extend" | "LateExtend" | "Renewed" | "LateRenewed" | "NotRenewed" => {
            // It has expired, or expires later.
            let is_over = input.starts_with("Late") || input == "Expire";
            session.timers.arm(SessionTimer::Expiry, begin + Duration::from_secs(u64::from(!is_over)));
            session.is_renewing = input.ends_with("enewed");
            let validity = Validity { expires: begin + Duration::from_secs(9), renew_before: Duration::from_secs(1) };
            match input.trim_start_matches("Late").trim_start_matches("Early") {
                "Expire" => Input::Expire,
                "Extend" => Input::Extend(validity),
                "Renewed" => Input::Renewed(Some(validity)),
                _ => Input::Renewed(None),
            }
        }
        "CutDrained" => Input::Cut(SessionEnd::Drained),
        "CutStalled" => Input::Cut(SessionEnd::Stalled),
        "Note" => Input::Note(SessionEnd::Finished),
        "Piece" => Input::Piece,
        "BreakOff" => Input::BreakOff(BodyError::Ended),
        "Finish" => Input::Finish,
        "Watch" => Input::Watch,
        "BeginPoll" => Input::BeginPoll,
        "EndPoll" => Input::EndPoll,
        "GiveWay" => Input::GiveWay,
        "End" => Input::End(SessionEnd::Gone),
        "Alarm" => Input::Alarm { is_unread: true },
        timer => {
            let timer = timer.strip_prefix('@').expect("an input");
            let timer = SessionTimer::ALL.into_iter().find(|known| format!("{known:?}") == timer).expect("a timer");
            session.timers.arm(timer, begin);
            Input::Alarm { is_unread: true }
        }
    };
    (session, input)
}

fn phase_of(name: &str) -> Phase {
    match name {
        "leave8" => Phase::Leaving(8),
        "leave1" => Phase::Leaving(1),
        "cutE" => Phase::Cut(BodyError::Ended),
        "cutR" => Phase::Cut(BodyError::Revoked),
        name => PHASES.iter().find(|(known, _)| *known == name).expect("a phase").1,
    }
}

#[test]
fn every_input_moves_every_phase_as_in_the_table() {
    for (kinds, input, cells) in rows(TRANSITIONS) {
        assert_eq!(cells.len(), PHASES.len(), "{input}");
        for (kind, polls) in kinds {
            for ((name, phase), cell) in PHASES.into_iter().zip(&cells) {
                let (mut session, input) = state(kind, polls, phase, Registration::Joined, input);
                let _ = session.handle(input, session.begin(), &TIMEOUTS);
                let expected = if *cell == "=" { phase } else { phase_of(cell) };
                assert_eq!(session.phase, expected, "{kind:?}, {polls} polls, {name}: {input:?}");
            }
        }
    }
}

#[test]
fn every_input_moves_every_registration_as_in_the_table() {
    for (kinds, input, cells) in rows(REGISTRATIONS) {
        assert_eq!(cells.len(), REGISTERED.len(), "{input}");
        for (kind, polls) in kinds {
            for ((name, registration), cell) in REGISTERED.into_iter().zip(&cells) {
                let (mut session, input) = state(kind, polls, Phase::Open, registration, input);
                let actions = session.handle(input, session.begin(), &TIMEOUTS);
                let after = cell.trim_end_matches('!');
                let expected = match after {
                    "=" => registration,
                    after => REGISTERED.iter().find(|(known, _)| *known == after).expect("a registration").1,
                };
                let found = (session.registration, actions.left.is_some());
                assert_eq!(found, (expected, cell.ends_with('!')), "{kind:?}, {polls} polls, {name}: {input:?}");
            }
        }
    }
}

/// A session that ended leaves nothing behind that could act later.
#[test]
fn ended_session_has_no_timer_in_any_phase() {
    for (name, phase) in PHASES {
        for end in ["End", "CutDrained", "CutStalled"] {
            let (mut session, input) = state(SessionKind::Stream, 0, phase, Registration::Joined, end);
            for timer in SessionTimer::ALL {
                session.timers.arm(timer, session.begin());
            }
            let _ = session.handle(input, session.begin(), &TIMEOUTS);
            assert!(SessionTimer::ALL.iter().all(|&timer| !session.timers.is_armed(timer)), "{name}: {end}");
            assert!(session.is_shut());
        }
    }
}

#[test]
fn revocation_replaces_the_reason_and_no_other_input_does() {
    for (_, input, _) in rows(TRANSITIONS) {
        for (name, phase) in PHASES {
            let (mut session, made) = state(SessionKind::Stream, 0, phase, Registration::Joined, input);
            let first = Some(SessionEnd::Finished);
            session.reason = first;
            let is_shut = session.is_shut();
            let _ = session.handle(made, session.begin(), &TIMEOUTS);
            let is_open = phase == Phase::Open;
            let revokes = match input {
                "Revoke" | "Expire" | "@Expiry" => !is_shut,
                "LateExtend" | "LateRenewed" => is_open,
                _ => false,
            };
            let expected = if revokes { Some(SessionEnd::Revoked) } else { first };
            assert_eq!(session.reason, expected, "{name}: {input}");
        }
    }
}
