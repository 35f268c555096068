//! What holds for every driver of the list.

mod conventions;
mod corpus;
mod faults;
mod guide;
mod identity;
pub mod rig;
mod round_trip;
mod serial;
pub mod tree;
