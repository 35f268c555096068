//! Halyard: a hardware agent for Linux single-board computers.

pub mod broker;
pub mod bus;
pub mod config;
pub mod mqtt;
pub mod sensing;
pub mod simulation;
#[cfg(test)]
mod testing;
