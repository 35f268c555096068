//! Halyard: a hardware agent for Linux single-board computers.

pub mod acting;
pub mod bus;
pub mod config;
pub mod mqtt;
pub mod sensing;
pub mod time;
