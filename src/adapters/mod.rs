//! Carry one subscriber over one transport. Each takes any [`Subscriber`](crate::Subscriber); none knows a sibling.
