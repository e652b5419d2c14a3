//! State in the place of what is gone: nothing between it and what follows, over every transport.

mod board;
mod cuts;
mod order;
mod threads;
