//! The `halyard` command.

fn main() {}
