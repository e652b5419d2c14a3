use std::sync::{Arc, Mutex};

use tidings::{Session, SessionEnd};

/// A call of `joined` or `left`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SessionEvent {
    Joined(u64),
    Left(u64, SessionEnd),
}

/// Record of the sessions of an [`App`](super::App) and of the deliveries to them.
#[derive(Default)]
pub(super) struct SessionLog(Mutex<State>);

#[derive(Default)]
struct State {
    events: Vec<SessionEvent>,
    deliveries: usize,
    /// Number of deliveries at each event.
    deliveries_at: Vec<usize>,
    panics: bool,
    on_joined: Option<OnJoined>,
    on_delivery: Option<Arc<dyn Fn() + Send + Sync>>,
}

type OnJoined = Arc<dyn Fn(&Session) + Send + Sync>;

impl SessionLog {
    pub(super) fn panic_in_hooks(&self) {
        self.0.lock().unwrap().panics = true;
    }

    pub(super) fn on_joined(&self, run: impl Fn(&Session) + Send + Sync + 'static) {
        self.0.lock().unwrap().on_joined = Some(Arc::new(run));
    }

    pub(super) fn on_delivery(&self, run: impl Fn() + Send + Sync + 'static) {
        self.0.lock().unwrap().on_delivery = Some(Arc::new(run));
    }

    pub(super) fn events(&self) -> Vec<SessionEvent> {
        self.0.lock().unwrap().events.clone()
    }

    pub(super) fn deliveries(&self) -> (Vec<usize>, usize) {
        let state = self.0.lock().unwrap();
        (state.deliveries_at.clone(), state.deliveries)
    }

    pub(super) fn joined(&self, session: &Session) {
        self.record(SessionEvent::Joined(session.id().get()));
        let run = self.0.lock().unwrap().on_joined.clone();
        run.iter().for_each(|run| run(session));
    }

    pub(super) fn left(&self, session: &Session, why: SessionEnd) {
        self.record(SessionEvent::Left(session.id().get(), why));
    }

    pub(super) fn delivered(&self) {
        self.0.lock().unwrap().deliveries += 1;
        let run = self.0.lock().unwrap().on_delivery.clone();
        run.iter().for_each(|run| run());
    }

    fn record(&self, event: SessionEvent) {
        let mut state = self.0.lock().unwrap();
        state.events.push(event);
        let deliveries = state.deliveries;
        state.deliveries_at.push(deliveries);
        let panics = state.panics;
        drop(state);
        assert!(!panics, "in joined or left");
    }
}
