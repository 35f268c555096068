//! The way to the broker.

pub mod message;

pub use message::{Event, Incoming, Outgoing, Protocol, Settings};
