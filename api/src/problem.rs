//! Errors over HTTP: problem details (RFC 9457) that say what to do next.

use serde::{Deserialize, Serialize};

/// The body of every answer that is not a success; `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Problem {
    /// Names the kind of problem and stays the same: `urn:stint:` and a kebab-case word.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong this time.
    pub detail: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Media type of [`Problem`].
pub const PROBLEM_JSON: &str = "application/problem+json";

/// The known name nearest to `unknown`, when one is near enough to be meant.
pub fn nearest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(unknown, name), name))
        .filter(|(distance, name)| *distance <= name.len().div_ceil(3))
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_its_neighbour() {
        let fields = ["memory", "module", "tasks", "timeout"];
        assert_eq!(nearest("memroy", fields), Some("memory"));
        assert_eq!(nearest("timout", fields), Some("timeout"));
        assert_eq!(nearest("colour", fields), None);
    }
}
