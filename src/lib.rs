//! Halyard: a hardware agent for Linux single-board computers.

pub mod bus;
pub mod cli;
pub mod config;
pub mod mqtt;
pub mod sensing;
