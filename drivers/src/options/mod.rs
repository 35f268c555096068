//! How options are written down and read: a tree of values that know their place in the file, and a reader that turns
//! such a tree into any `serde::Deserialize` type and reports **every** problem, each with its place.

pub mod inputs;
pub(crate) mod limits;
pub mod node;
pub mod placed;
pub mod read;
pub mod shape;
pub mod types;

pub use inputs::{Input, Inputs};
pub use limits::number;
pub use node::{Content, Node, Place};
pub use placed::{OneOrMany, Placed};
pub use read::{Problem, Report, read, read_checked, read_rest};
pub(crate) use shape::shape;
pub use shape::{Shape, keys};
pub use types::{Frequency, Span};
