use crate::conformance::cases::{end, filter, gaps, keyed, losses, order, overflow, restart, resume, topic_ends, ttl};
use crate::conformance::run::case::{Ability, Case, Rows};
use crate::model::Overflow;

/// The cases of adapters and of hubs.
pub(in crate::conformance) const CASES: &[Case] = &[
    Case::new("order across topics", 100, Rows::Every, |cx| Box::pin(order::across_topics(cx))),
    Case::new("payloads of every kind", 100, Rows::Every, |cx| Box::pin(order::payloads(cx))),
    Case::new("a burst in more than one piece", 100, Rows::Every, |cx| Box::pin(order::a_burst(cx))),
    Case::new("no event of other topics", 100, Rows::Every, |cx| Box::pin(order::no_event_of_other_topics(cx))),
    Case::new("resume before the first event", 100, Rows::Resuming, |cx| Box::pin(resume::before_the_first(cx))),
    Case::new("resume at every cut", 100, Rows::Resuming, |cx| Box::pin(resume::at_every_cut(cx))),
    Case::new("resume twice with one cursor", 100, Rows::Resuming, |cx| Box::pin(resume::twice(cx))),
    Case::new("resume on another transport", 100, Rows::Pairs, |cx| Box::pin(resume::on_another(cx))),
    Case::new("gap on eviction", 4, Rows::Resuming, |cx| Box::pin(gaps::evicted(cx))).needs(&[Ability::Exact]),
    Case::new("gap on eviction in one of two topics", 4, Rows::Resuming, |cx| Box::pin(gaps::evicted_in_one(cx)))
        .needs(&[Ability::Exact]),
    Case::new("gap on eviction, not repeated on another transport", 4, Rows::Pairs, |cx| {
        Box::pin(gaps::not_repeated(cx))
    })
    .needs(&[Ability::Exact]),
    Case::new("gap after lag", 4, Rows::Live, |cx| Box::pin(gaps::overflow(cx))).needs(&[Ability::Exact]),
    Case::new("the newest of each key", 1_000, Rows::Every, |cx| Box::pin(overflow::latest(cx)))
        .overflow(Overflow::Latest)
        .needs(&[Ability::Prompt]),
    Case::new("the newest of each key on another transport", 100, Rows::Pairs, |cx| {
        Box::pin(overflow::latest_on_another(cx))
    })
    .overflow(Overflow::Latest)
    .needs(&[Ability::Prompt]),
    Case::new("no gap for replaced events", 3, Rows::Every, |cx| Box::pin(overflow::latest_resumed(cx)))
        .overflow(Overflow::Latest)
        .needs(&[Ability::Exact]),
    Case::new("gap after lag, and the newest of each key", 4, Rows::Live, |cx| Box::pin(overflow::latest_lagging(cx)))
        .overflow(Overflow::Latest)
        .needs(&[Ability::Exact]),
    Case::new("disconnected after lag", 4, Rows::Live, |cx| Box::pin(overflow::disconnect(cx)))
        .overflow(Overflow::Disconnect)
        .needs(&[Ability::Exact]),
    Case::new("no expired event", 100, Rows::Every, |cx| Box::pin(ttl::never_delivered(cx))).needs(&[Ability::Prompt]),
    Case::new("no gap for expired events", 4, Rows::Resuming, |cx| Box::pin(ttl::no_gap(cx))),
    Case::new("events that a predicate keeps", 100, Rows::Every, |cx| Box::pin(filter::kept_events_only(cx)))
        .filter(filter::is_visible),
    Case::new("events that a predicate keeps, on another transport", 4, Rows::Pairs, |cx| {
        Box::pin(filter::on_another(cx))
    })
    .filter(filter::is_visible),
    Case::new("gap after the history was lost", 4, Rows::Resuming, |cx| Box::pin(gaps::epoch(cx))),
    Case::new("unreadable cursor", 4, Rows::Every, |cx| Box::pin(gaps::unreadable(cx))).needs(&[Ability::Prompt]),
    Case::new("end", 100, Rows::Every, |cx| Box::pin(end::after_all_events(cx))),
    Case::new("ends of topics", 100, Rows::Every, |cx| Box::pin(topic_ends::in_order(cx))).needs(&[Ability::Ends]),
    Case::new("ends of topics, unread", 100, Rows::Live, |cx| Box::pin(topic_ends::unread(cx))).needs(&[Ability::Ends]),
    Case::new("ends of topics, resumed at every cut", 100, Rows::Resuming, |cx| {
        Box::pin(topic_ends::resumed_at_every_cut(cx))
    })
    .needs(&[Ability::Ends]),
    Case::new("ends of topics on another transport", 100, Rows::Pairs, |cx| Box::pin(topic_ends::on_another(cx)))
        .needs(&[Ability::Ends]),
    Case::new("ends of topics and evicted events", 4, Rows::Resuming, |cx| Box::pin(topic_ends::evicted(cx)))
        .needs(&[Ability::Exact, Ability::Ends]),
    Case::new("ends of topics after lag", 4, Rows::Live, |cx| Box::pin(topic_ends::overflow(cx)))
        .needs(&[Ability::Exact, Ability::Ends]),
    Case::new("ends of topics after the history was lost", 4, Rows::Resuming, |cx| Box::pin(topic_ends::epoch(cx)))
        .needs(&[Ability::Ends]),
    Case::new("topics that had ended before", 100, Rows::Every, |cx| Box::pin(topic_ends::before(cx)))
        .needs(&[Ability::Ends]),
    Case::new("state first, then changes", 100, Rows::Every, |cx| Box::pin(keyed::state_first(cx)))
        .needs(&[Ability::Keyed]),
    Case::new("state, cut before it, on another transport", 100, Rows::Pairs, |cx| {
        Box::pin(keyed::cut_before_the_state(cx))
    })
    .needs(&[Ability::Keyed]),
    Case::new("state, cut in it, on another transport", 100, Rows::Pairs, |cx| Box::pin(keyed::cut_in_the_state(cx)))
        .needs(&[Ability::Keyed]),
    Case::new("state, cut in it, without history", 0, Rows::Resuming, |cx| Box::pin(keyed::cut_in_the_state(cx)))
        .needs(&[Ability::Keyed]),
    Case::new("state, away longer than history", 4, Rows::Resuming, |cx| Box::pin(keyed::away_longer_than_history(cx)))
        .needs(&[Ability::Exact, Ability::Keyed]),
    Case::new("state with forgotten removals", 4, Rows::Resuming, |cx| Box::pin(keyed::removals_forgotten(cx)))
        .needs(&[Ability::Exact, Ability::Keyed]),
    Case::new("state after the history was lost", 100, Rows::Resuming, |cx| Box::pin(keyed::epoch(cx)))
        .needs(&[Ability::Keyed]),
    Case::new("state after lag", 4, Rows::Live, |cx| Box::pin(keyed::lag(cx))).needs(&[Ability::Exact, Ability::Keyed]),
    Case::new("end after unread events", 100, Rows::Live, |cx| Box::pin(end::after_unread_events(cx)))
        .needs(&[Ability::Prompt]),
    Case::new("every event or a gap after a long absence", 4, Rows::Resuming, |cx| Box::pin(losses::away(cx))),
    Case::new("every event or a gap after lag", 4, Rows::Live, |cx| Box::pin(losses::behind(cx))),
    Case::new("restart, resume at every cut", 100, Rows::Pairs, |cx| Box::pin(restart::at_every_cut(cx)))
        .needs(&[Ability::Restarts]),
    Case::new("restart, resume after several", 100, Rows::Resuming, |cx| Box::pin(restart::between_restarts(cx)))
        .needs(&[Ability::Restarts]),
    Case::new("restart, connected client", 100, Rows::Live, |cx| Box::pin(restart::connected(cx)))
        .needs(&[Ability::Restarts, Ability::Prompt]),
    Case::new("restart, new client", 100, Rows::Every, |cx| Box::pin(restart::new_client(cx)))
        .needs(&[Ability::Restarts]),
    Case::new("restart, every event or a gap", 4, Rows::Resuming, |cx| Box::pin(restart::evicted(cx)))
        .needs(&[Ability::Restarts]),
    Case::new("restart, then the history was lost", 100, Rows::Resuming, |cx| Box::pin(restart::then_lost(cx)))
        .needs(&[Ability::Restarts]),
    Case::new("restart, ends of topics", 100, Rows::Resuming, |cx| Box::pin(topic_ends::restarted(cx)))
        .needs(&[Ability::Restarts, Ability::Ends]),
    Case::new("restart, state", 100, Rows::Pairs, |cx| Box::pin(keyed::restarted(cx)))
        .needs(&[Ability::Restarts, Ability::Keyed]),
];
