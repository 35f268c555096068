//! Configuration: what the file says, what that means, and every problem at its place.

pub mod model;

pub use model::{ActuatorConfig, At, Board, Config, Initial, LineName, SensorConfig, Source, Store};
