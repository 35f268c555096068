//! Filters between a sample and a state.

/// One step between a raw value and the state.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Filter {
    /// Adds.
    Offset(f64),
}
