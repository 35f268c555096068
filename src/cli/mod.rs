//! The commands.

pub mod check;
pub mod drivers;
pub mod schema;
