//! Halyard: a hardware agent for Linux single-board computers.

pub mod acting;
pub mod agent;
pub mod broker;
pub mod bus;
pub mod cli;
pub mod config;
pub mod device;
pub mod doctor;
mod files;
pub mod health;
pub mod mqtt;
pub mod problem;
pub mod process;
pub mod reporter;
pub mod scan;
pub mod sensing;
pub mod simulation;
pub mod store;
mod task;
#[cfg(test)]
mod testing;
pub mod time;
pub mod watchdog;
