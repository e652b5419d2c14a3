use std::time::Duration;

use crate::disk::commands::{NotQueued, QueueLimits, Weighted, commands};

impl Weighted for usize {
    fn weight(&self) -> usize {
        *self
    }
}

#[test]
fn queue_is_limited_by_commands_and_by_their_bytes() {
    let (sender, queue) = commands(QueueLimits { commands: 3, bytes: 100 });
    // Alone it may be larger.
    assert_eq!((sender.send(150_usize), sender.send(1)), (Ok(()), Err(NotQueued::Full)));
    assert_eq!(queue.next(), Some(150));
    assert_eq!((sender.send(60), sender.send(60), sender.send(40)), (Ok(()), Err(NotQueued::Full), Ok(())));
    assert_eq!((sender.send(0), sender.send(0), sender.len()), (Ok(()), Err(NotQueued::Full), 3));
    assert_eq!((queue.next(), sender.send(60)), (Some(60), Ok(())));
    // The last command has no limit.
    sender.send_always(500);
    let rest: Vec<_> = std::iter::from_fn(|| queue.next()).collect();
    assert_eq!((rest, sender.len()), (vec![40, 0, 60, 500], 0));
    drop(queue);
    assert_eq!(sender.send(1), Err(NotQueued::Closed));
    let (sender, queue) = commands::<usize>(QueueLimits { commands: 1, bytes: 1 });
    drop(sender);
    assert_eq!(queue.wait(Duration::from_secs(60)), Err(()));
}
