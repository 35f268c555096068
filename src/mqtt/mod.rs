//! The way to the broker.
//!
//! ```text
//! a reading   reporter ─ outbox ─ queue ─ publisher ─ library ─▶ broker
//!                          └ store: all ─ crate::store ┘
//! its end     broker ─ library ─ connection: operations ─ queue: delivered, or lost and sent again ─ crate::store
//! a command   broker ─ library ─ client: the callback ─ shortcut ─▶ its actuator
//! others      broker ─ library ─ client: the callback ─ events ─▶ the agent
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `client` | the connection, seen from outside: it is started, subscribed with, stopped; what arrives |
//! | `message`, `topics` | what goes to and fro, and where |
//! | `discovery` | what Home Assistant is told |
//! | `outbox` | what is given for the broker: the handle that everybody has |
//! | `queue` | what of it waits: pure; `queue/flight` what is on its way, `queue/kept` what the store has too |
//! | `shared` | what the threads here share, and what the connection's is told |
//! | `publisher` | gives the library what is next, on whichever thread has the time |
//! | `connection` | the thread of the connection: what it does next |
//! | `connection/open`, `loss`, `end` | how a connection begins, what follows when it is lost or given up, the goodbye |
//! | `connection/operations` | what the library was asked for, and what became of it |
//! | `connection/back` | from a later broker of the list to an earlier one |
//! | `broker`, `grants` | one of the brokers; what it allows |
//! | `options`, `reasons` | settings for the library; its errors for people |
//! | `paho_fix`, `paho_tls`, `paho_wake`, `paho_why` | what the library does not do by itself |

mod broker;
mod client;
mod connection;
pub mod discovery;
mod grants;
pub mod message;
mod options;
mod outbox;
pub mod paho_fix;
#[cfg(feature = "tls")]
mod paho_tls;
mod paho_wake;
mod paho_why;
mod publisher;
mod queue;
mod reasons;
mod shared;
pub mod topics;

pub use client::{Client, Error, Shortcut};
pub use message::{Event, Incoming, Outgoing, Protocol, Secret, Settings};
pub use outbox::{Given, Outbox, OutboxStatus};
pub use queue::Limits;
pub use topics::{Inbound, Topics};
