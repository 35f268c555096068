//! From a command to an output.
pub mod command;
pub mod gate;
