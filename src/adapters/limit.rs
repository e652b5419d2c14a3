/// How many bytes of events go out in one piece unless told otherwise: enough that a write costs more than its system
/// call, little enough that a connection holds no more than one TCP window of them.
pub(crate) const BATCH: usize = 64 * 1024;
