use crate::contract::EventFilter;
use crate::hub::subscription::added_states::AddedStates;
use crate::model::Gap;

/// State that most subscriptions do not have.
pub(super) struct Rare {
    pub(super) first: Option<Box<First>>,
    pub(super) filter: Option<EventFilter>,
}

/// Deliveries that precede all others.
pub(super) struct First {
    /// States of added topics. They precede the gap.
    pub(super) states: Option<AddedStates>,
    pub(super) opening: Option<Gap>,
}
