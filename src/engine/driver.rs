use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::contract::PublishError;
use crate::engine::action::Action;
use crate::engine::engine::{Followed, LogState};
use crate::engine::history::{EngineFuture, HistoryError, HistoryPage, StoredEnd};
use crate::engine::record::{TailBody, TailRecord};
use crate::engine::shared::EngineShared;
use crate::engine::tail::Tail;

/// Number of actions of a poll, after which other tasks run.
const ACTIONS: usize = 64;

/// Future that drives an [`EngineHub`](crate::engine::EngineHub): it runs the engine, and publishes in memory what its log pushes. It
/// ends when the hub is closed.
///
/// If it is dropped before, subscribers get no further events, and publishes still reach the log.
#[must_use = "a driver does nothing unless it is polled"]
pub struct EngineDriver {
    shared: Arc<EngineShared>,
    /// `None` if the engine's future has ended.
    run: Option<EngineFuture<()>>,
    reading: Option<EngineFuture<Result<HistoryPage, HistoryError>>>,
    following: Option<EngineFuture<Result<Followed, HistoryError>>>,
    checking: Option<EngineFuture<Result<LogState, HistoryError>>>,
}

impl EngineDriver {
    pub(crate) fn new(shared: &Arc<EngineShared>) -> Self {
        shared.lock().has_driver = true;
        let run = shared.engine.run(Tail::new(Arc::clone(shared) as _));
        Self { shared: Arc::clone(shared), run: Some(run), reading: None, following: None, checking: None }
    }

    /// Polls the futures of the engine, and notes their results.
    fn poll_engine(&mut self, cx: &mut Context<'_>) {
        if poll(&mut self.run, cx).is_some() {
            self.shared.lock().has_driver = false;
        }
        if let Some(result) = poll(&mut self.following, cx) {
            let mut state = self.shared.lock();
            let followed = state.merge.followed(result);
            let (memory, waiting) = (Arc::clone(&state.memory), state.take_waiting());
            drop(state);
            for StoredEnd { sequence, topic, reason } in followed.into_iter().flat_map(|followed| followed.ends) {
                memory.hub.restore_end(&topic, sequence, reason);
            }
            waiting.into_iter().for_each(Waker::wake);
        }
        if let Some(page) = poll(&mut self.reading, cx) {
            self.shared.lock().merge.page(page);
        }
        if self.checking.is_none() && self.shared.lock().begin_check() {
            self.checking = Some(self.shared.engine.state());
        }
        if let Some(state) = poll(&mut self.checking, cx) {
            self.shared.checked(state.as_ref().ok());
            let waiting = self.shared.lock().take_waiting();
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    fn act(&mut self, action: Action) {
        let engine = &self.shared.engine;
        match action {
            Action::Publish { records, up_to } => {
                if self.publish(records, up_to).is_err() {
                    self.shared.lock().merge.not_published();
                }
            }
            Action::Read(read) => self.reading = Some(engine.read(read)),
            Action::Follow(names) => self.following = Some(engine.follow(names)),
            Action::Unfollow(names) => engine.unfollow(&names),
            Action::Renew(state, late) => {
                self.reading = None;
                self.shared.renew(&state, late);
            }
        }
    }

    fn publish(&self, records: Vec<(u64, TailRecord)>, up_to: u64) -> Result<(), PublishError> {
        let memory = Arc::clone(&self.shared.lock().memory);
        let mut events = Vec::with_capacity(records.len());
        for (sequence, TailRecord { topic, body, .. }) in records {
            match body {
                TailBody::Event(event) => events.push((sequence, topic, event)),
                TailBody::End(reason) => {
                    memory.hub.publish_at(std::mem::take(&mut events), sequence - 1)?;
                    memory.hub.finish_at(&topic, sequence, reason)?;
                }
            }
        }
        memory.hub.publish_at(events, up_to)?;
        self.shared.note_published(up_to).into_iter().for_each(Waker::wake);
        Ok(())
    }
}

/// Polls a future, if there is one. Returns its result, and removes it then.
fn poll<T>(future: &mut Option<EngineFuture<T>>, cx: &mut Context<'_>) -> Option<T> {
    let Poll::Ready(result) = future.as_mut()?.as_mut().poll(cx) else { return None };
    *future = None;
    Some(result)
}

impl Future for EngineDriver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let now = this.shared.clock.now();
        let mut left = ACTIONS;
        loop {
            let waker = cx.waker().clone();
            let old = this.shared.lock().driver.replace(waker);
            drop(old);
            this.poll_engine(cx);
            let mut acted = false;
            loop {
                let mut state = this.shared.lock();
                if state.is_closed {
                    return Poll::Ready(());
                }
                let action = state.merge.next(now);
                drop(state);
                let Some(action) = action else { break };
                this.act(action);
                (acted, left) = (true, left - 1);
                if left == 0 {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
            if !acted {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for EngineDriver {
    fn drop(&mut self) {
        self.shared.lock().has_driver = false;
    }
}

impl fmt::Debug for EngineDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineDriver").finish_non_exhaustive()
    }
}
