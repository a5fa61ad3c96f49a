//! Which nodes a job may run on, by their labels.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Most constraints of one job; each node is held against all of them.
pub const CONSTRAINTS_MAX: usize = 32;
/// Longest name of a label.
pub const LABEL_BYTES_MAX: usize = 255;
/// Longest constraint.
const TEXT_BYTES_MAX: usize = 512;

/// One thing that a node's labels must be. Text form: `zone=eu`, `zone=eu|us`
/// (one of them), `arch!=arm`, `gpu` (it has the label), `!spot` (it has not).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Constraint {
    key: String,
    values: Values,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Values {
    Any,
    None,
    OneOf(Vec<String>),
    NoneOf(Vec<String>),
}

/// The text is not a constraint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a constraint; write for example `zone=eu`, `zone=eu|us`, `arch!=arm`, `gpu` or `!spot`"
)]
pub struct ParseConstraintError(String);

impl Constraint {
    /// Whether a node with these labels may be used.
    pub fn allows(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match &self.values {
            Values::Any => value.is_some(),
            Values::None => value.is_none(),
            Values::OneOf(values) => value.is_some_and(|value| values.contains(value)),
            Values::NoneOf(values) => value.is_none_or(|value| !values.contains(value)),
        }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        match &self.values {
            Values::Any => f.write_str(key),
            Values::None => write!(f, "!{key}"),
            Values::OneOf(values) => write!(f, "{key}={}", values.join("|")),
            Values::NoneOf(values) => write!(f, "{key}!={}", values.join("|")),
        }
    }
}

impl FromStr for Constraint {
    type Err = ParseConstraintError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseConstraintError(text.chars().take(60).collect());
        let list = |text: &str| text.split('|').map(str::to_owned).collect();
        let (key, values) = match (text.split_once('='), text.strip_prefix('!')) {
            (Some((key, values)), _) => match key.strip_suffix('!') {
                Some(key) => (key, Values::NoneOf(list(values))),
                None => (key, Values::OneOf(list(values))),
            },
            (None, Some(key)) => (key, Values::None),
            (None, None) => (text, Values::Any),
        };
        let plain = |key: &str| !key.is_empty() && !key.contains(['!', '=', '|', ' ', '\t', '\n']);
        if plain(key) && text.len() <= TEXT_BYTES_MAX {
            let key = key.to_owned();
            Ok(Self { key, values })
        } else {
            Err(wrong())
        }
    }
}

impl Serialize for Constraint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Constraint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Constraint {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Constraint".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "examples": ["zone=eu", "zone=eu|us", "arch!=arm", "gpu", "!spot"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_s_labels_are_held_against_it() {
        let labels = [("zone", "eu"), ("gpu", "a100")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let labels = BTreeMap::from(labels);
        for (text, allowed) in [
            ("zone=eu", true),
            ("zone=us", false),
            ("zone=us|eu", true),
            ("zone!=us", true),
            ("zone!=us|eu", false),
            ("arch!=arm", true),
            ("arch=x86", false),
            ("gpu", true),
            ("spot", false),
            ("!spot", true),
            ("!gpu", false),
        ] {
            let constraint: Constraint = text.parse().unwrap();
            assert_eq!(constraint.allows(&labels), allowed, "{text}");
            assert_eq!(constraint.to_string(), text);
        }
    }

    #[test]
    fn what_is_not_a_constraint_is_refused() {
        for text in ["", "!", "=eu", "!=eu", "a b", "zone!", &"x".repeat(600)] {
            assert!(text.parse::<Constraint>().is_err(), "{text}");
        }
    }
}
