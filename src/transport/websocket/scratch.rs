use std::cell::Cell;

/// As much as is read at once: a TLS record. A message of the default limit takes four.
const SIZE: usize = 16 * 1024;

thread_local! {
    static SCRATCH: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Lends the thread's read buffer, so that a connection needs none of its own. What is in it is of no meaning.
///
/// Inside another loan there is a new one, so that no `f` can fail.
#[inline]
pub(super) fn lend<R>(f: impl FnOnce(&mut [u8]) -> R) -> R {
    let kept = SCRATCH.try_with(Cell::take).ok().flatten();
    let mut buffer = kept.unwrap_or_else(|| vec![0; SIZE].into_boxed_slice());
    let result = f(&mut buffer);
    // At the thread's end there is no place left to put it back to.
    let _ = SCRATCH.try_with(|place| place.set(Some(buffer)));
    result
}
