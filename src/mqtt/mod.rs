//! The way to the broker.

mod client;
pub mod discovery;
mod grants;
mod line;
mod link;
pub mod message;
mod outbox;
pub mod paho_fix;
#[cfg(feature = "tls")]
mod paho_tls;
mod paho_why;
mod queue;
pub mod topics;
mod way;
mod words;

pub use client::{Client, Error, Shortcut};
pub use message::{Event, Incoming, Outgoing, Protocol, Secret, Settings};
pub use outbox::{Outbox, OutboxStatus};
pub use queue::Limits;
pub use topics::{Inbound, Topics};
