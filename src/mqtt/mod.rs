//! The way to the broker.

pub mod discovery;
pub mod message;
pub mod topics;

pub use message::{Event, Incoming, Outgoing, Protocol, Settings};
pub use topics::Topics;
