//! Senders for whoever has a loop over transactions, and for whoever gets them a few at a time.
//!
//! [`Engine::senders`](crate::engine::Engine::senders) takes an iterator and is one: a stage that recovers the senders of old blocks puts it
//! where its own recovery was. A [`Collector`] is for many that each have a little, such as the connections of a transaction pool: what
//! comes within a short time is recovered as one batch.

mod collector;
mod stream;

pub use collector::{Collector, CollectorOptions, Refused};
pub use stream::{SenderOptions, Senders};
