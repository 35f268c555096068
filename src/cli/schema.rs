//! `halyard schema`: the JSON Schema of the configuration, for editors.

/// The schema as text.
#[must_use]
pub fn text() -> String {
    format!("{:#}", crate::config::schema::schema())
}
