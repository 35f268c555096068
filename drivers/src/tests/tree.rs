//! Options as a driver gets them, from YAML.

use crate::Driver;
use crate::options::{Content, Node, Place};

/// A YAML value as a tree. All places are the same: nothing here is about them.
pub fn node(value: &serde_yaml::Value) -> Node {
    let content = match value {
        serde_yaml::Value::Null => Content::Null,
        serde_yaml::Value::Bool(value) => Content::Bool(*value),
        serde_yaml::Value::Number(number) => {
            number.as_i64().map_or_else(|| Content::Float(number.as_f64().unwrap()), Content::Integer)
        }
        serde_yaml::Value::String(text) => Content::Text(text.clone()),
        serde_yaml::Value::Sequence(items) => Content::List(items.iter().map(node).collect()),
        serde_yaml::Value::Mapping(entries) => {
            Content::Map(entries.iter().map(|(key, value)| (node(key), node(value))).collect())
        }
        serde_yaml::Value::Tagged(_) => panic!("no tags in examples"),
    };
    Node { place: Place::default(), content, origin: None }
}

/// What a driver reports of these options, in their order.
pub fn problems(driver: &Driver, yaml: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let spec = (driver.parse)(&node(&serde_yaml::from_str(yaml).unwrap()), &mut problems);
    assert_eq!(spec.is_none(), !problems.is_empty(), "{yaml}");
    problems.into_iter().map(|problem| problem.message).collect()
}
