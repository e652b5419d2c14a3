//! Sessions that go on: changes of their topics, by the client or the application, and renewals of their authorization.

mod app;
mod boundaries;
mod keyed;
mod keyed_sequences;
mod renewals;
mod resubscribe;
mod scripted;
mod sequences;
mod throttle;
mod topics;
