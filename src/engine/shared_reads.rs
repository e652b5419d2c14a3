use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker, ready};

use crate::engine::history::{History, HistoryError, HistoryPage, LostEvents, Read, ReadFrom, ReadFuture, ReadRange};
use crate::model::Pattern;

/// Number of pages that a read waits for, before it is made by itself.
const ATTEMPTS: usize = 64;
/// Least number of sets of names after which those without a reader are removed.
const LEAST: usize = 64;

/// History whose reads are shared: while a page is read, others that need a part of it wait for it, and the reads of one set of
/// names after other positions wait for the next page, which begins at the first of these.
///
/// A herd of clients that return at once therefore costs reads by the number of its sets of topics.
pub(crate) struct SharedReads(Arc<Shared>);

struct Shared {
    inner: Arc<dyn History>,
    pages: Mutex<Pages>,
}

#[derive(Default)]
struct Pages {
    /// By names, the newest page that is read or will be.
    newest: HashMap<Vec<Pattern>, Arc<SharedPage>>,
    /// Number of them after which those without a reader are removed.
    limit: usize,
    /// All pages that are read or will be, and others.
    all: Vec<Weak<SharedPage>>,
    /// Number of them after which those without a reader are removed.
    all_limit: usize,
    is_closed: bool,
}

/// Page that several reads share.
struct SharedPage {
    state: Mutex<PageState>,
}

struct PageState {
    /// Read of all that share the page.
    read: Read,
    progress: Progress,
    wakers: Vec<Waker>,
}

enum Progress {
    /// The page before this one is not read. `None` if there is none.
    Waiting(Option<Arc<SharedPage>>),
    /// `None` while a task polls it.
    Reading(Option<ReadFuture>),
    Done(Result<Arc<HistoryPage>, HistoryError>),
}

impl SharedReads {
    pub(crate) fn new(inner: Arc<dyn History>) -> Self {
        Self(Arc::new(Shared { inner, pages: Mutex::default() }))
    }

    /// Ends all reads, as those of a hub that is closed.
    pub(crate) fn close(&self) {
        let mut pages = self.0.pages();
        pages.is_closed = true;
        let all = std::mem::take(&mut pages.all);
        pages.newest.clear();
        drop(pages);
        all.iter().filter_map(Weak::upgrade).for_each(|page| page.finish(Err(HistoryError::closed())));
    }
}

impl Shared {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the page for a read: the newest one if it has the first events of the read, or one that follows it.
    fn page_of(&self, read: &Read) -> Arc<SharedPage> {
        let names: Vec<_> = read.ranges.iter().map(|range| range.name.clone()).collect();
        let mut pages = self.pages();
        // A page without a reader may have been read long ago.
        let newest = pages.newest.get(&names).filter(|page| Arc::strong_count(page) > 1);
        if let Some(page) = newest.filter(|page| page.lock().takes(read)) {
            return Arc::clone(page);
        }
        let before = newest.filter(|page| !page.lock().is_done()).cloned();
        // The position of the page may become another one, and the ranges begin at it.
        let ranges = names.iter().cloned().map(ReadRange::new).collect();
        let page = pages.add(Read { ranges, ..read.clone() }, before);
        pages.newest.insert(names, Arc::clone(&page));
        if pages.newest.len() > pages.limit {
            pages.newest.retain(|_, page| Arc::strong_count(page) > 1);
            pages.limit = (2 * pages.newest.len()).max(LEAST);
        }
        page
    }

    async fn read(&self, read: Read) -> Result<HistoryPage, HistoryError> {
        let is_shared =
            |range: &ReadRange| range.from == ReadFrom::Position && range.state.is_none() && range.after <= read.after;
        let attempts = if read.ranges.iter().all(is_shared) { ATTEMPTS } else { 0 };
        for _ in 0..attempts {
            let page = self.page_of(&read);
            let shared = std::future::poll_fn(|cx| page.poll(&*self.inner, cx)).await?;
            if let Some(part) = part_of(&shared, &read) {
                return Ok(part);
            }
        }
        let page = self.pages().add(read, None);
        let shared = std::future::poll_fn(|cx| page.poll(&*self.inner, cx)).await?;
        drop(page);
        Ok(Arc::try_unwrap(shared).unwrap_or_else(|shared| HistoryPage::clone(&shared)))
    }
}

impl Pages {
    fn add(&mut self, read: Read, before: Option<Arc<SharedPage>>) -> Arc<SharedPage> {
        let progress = match self.is_closed {
            true => Progress::Done(Err(HistoryError::closed())),
            false => Progress::Waiting(before),
        };
        let page = Arc::new(SharedPage { state: Mutex::new(PageState { read, progress, wakers: Vec::new() }) });
        self.all.push(Arc::downgrade(&page));
        if self.all.len() > self.all_limit {
            self.all.retain(|page| page.strong_count() > 0);
            self.all_limit = (2 * self.all.len()).max(LEAST);
        }
        page
    }
}

impl History for SharedReads {
    fn read(&self, read: Read) -> ReadFuture {
        let shared = Arc::clone(&self.0);
        Box::pin(async move { shared.read(read).await })
    }
}

impl SharedPage {
    fn lock(&self) -> MutexGuard<'_, PageState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the result, if there is none.
    fn finish(&self, page: Result<Arc<HistoryPage>, HistoryError>) {
        let mut state = self.lock();
        if state.is_done() {
            return;
        }
        // Futures are dropped without a lock held.
        let progress = std::mem::replace(&mut state.progress, Progress::Done(page));
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        drop(progress);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn poll(
        self: &Arc<Self>,
        inner: &dyn History,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Arc<HistoryPage>, HistoryError>> {
        loop {
            let mut state = self.lock();
            if let Progress::Done(page) = &state.progress {
                return Poll::Ready(page.clone());
            }
            if !state.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
                state.wakers.push(cx.waker().clone());
            }
            match &mut state.progress {
                Progress::Waiting(before) => {
                    if let Some(before) = before.clone() {
                        drop(state);
                        ready!(before.poll(inner, cx)).ok();
                        state = self.lock();
                    }
                    if matches!(state.progress, Progress::Waiting(_)) {
                        let read = inner.read(state.read.clone());
                        state.progress = Progress::Reading(Some(read));
                    }
                }
                Progress::Reading(reading) => {
                    let Some(mut taken) = reading.take() else { return Poll::Pending };
                    drop(state);
                    // The waker locks the state.
                    let polled = taken.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(self))));
                    let Poll::Ready(page) = polled else {
                        let mut state = self.lock();
                        if state.is_done() {
                            continue;
                        }
                        state.progress = Progress::Reading(Some(taken));
                        return Poll::Pending;
                    };
                    self.finish(page.map(Arc::new));
                }
                Progress::Done(_) => {}
            }
        }
    }
}

impl Wake for SharedPage {
    fn wake(self: Arc<Self>) {
        let wakers = std::mem::take(&mut self.lock().wakers);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl PageState {
    fn is_done(&self) -> bool {
        matches!(self.progress, Progress::Done(_))
    }

    /// Returns whether the page has the first events of a read. One that is not begun is widened for it.
    fn takes(&mut self, read: &Read) -> bool {
        match self.progress {
            Progress::Waiting(_) => {
                self.read.after = self.read.after.min(read.after);
                self.read.up_to = self.read.up_to.max(read.up_to);
                true
            }
            Progress::Reading(_) => self.read.after <= read.after && self.read.up_to > read.after,
            Progress::Done(_) => false,
        }
    }
}

/// Returns the part of a page after the position of a read, up to its end. `None` if there is none, or its loss is not certain.
fn part_of(page: &HistoryPage, read: &Read) -> Option<HistoryPage> {
    let up_to = page.up_to.min(read.up_to);
    if up_to <= read.after {
        return None;
    }
    let is_read = |sequence: u64| (read.after + 1..=up_to).contains(&sequence);
    let lost = match &page.lost {
        Some(lost) if lost.last > up_to => return None,
        lost => lost.clone().filter(|lost: &LostEvents| lost.last > read.after),
    };
    let events = page.events.iter().filter(|event| is_read(event.sequence)).cloned().collect();
    let ends = page.ends.iter().filter(|end| is_read(end.sequence)).cloned().collect();
    Some(HistoryPage { lost, ..HistoryPage::new(events, up_to).with_ends(ends).with_trims(page.trims) })
}
