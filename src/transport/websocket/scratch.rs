use std::cell::Cell;

/// Size of the read buffer: the maximum of a TLS record. A message of the default maximum length takes four reads.
const SIZE: usize = 16 * 1024;

thread_local! {
    static SCRATCH: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Calls `f` with the read buffer of the thread, so that a connection needs none. Its content is undefined.
///
/// A call inside `f` allocates another buffer.
#[inline]
pub(super) fn lend<R>(f: impl FnOnce(&mut [u8]) -> R) -> R {
    let kept = SCRATCH.try_with(Cell::take).ok().flatten();
    let mut buffer = kept.unwrap_or_else(|| vec![0; SIZE].into_boxed_slice());
    let result = f(&mut buffer);
    // While the thread ends, its storage is gone and the buffer is dropped.
    let _ = SCRATCH.try_with(|place| place.set(Some(buffer)));
    result
}
