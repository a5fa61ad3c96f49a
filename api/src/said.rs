//! What a program says of itself while it runs: lines of JSON that it appends to the
//! file that `STINT_EVENTS` names. Two kinds are known, anything else is passed over:
//!
//! ```text
//! {"progress": 0.25, "message": "chunk 3 of 12"}
//! {"metric": "loss", "value": 0.31}
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Most bytes of one line; a longer one is passed over.
pub const LINE_BYTES_MAX: usize = 4 << 10;
/// Most metrics of one attempt; more names are passed over.
pub const METRICS_MAX: usize = 32;
/// Most bytes of the name of a metric.
pub const METRIC_NAME_BYTES_MAX: usize = 64;
/// Most characters of a message; the rest of it is left out.
pub const MESSAGE_CHARS_MAX: usize = 200;

/// The latest of everything that an attempt said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Said {
    /// How far it is, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<f64>,
    /// What it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The latest value of each metric.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
}

/// One line, whichever kind it is.
#[derive(Debug, Deserialize)]
struct Line {
    progress: Option<f64>,
    message: Option<String>,
    metric: Option<String>,
    value: Option<f64>,
}

impl Said {
    /// Takes what a line says; whether it says anything.
    pub fn hear(&mut self, line: &[u8]) -> bool {
        if line.len() > LINE_BYTES_MAX {
            return false;
        }
        let Ok(line) = serde_json::from_slice::<Line>(line) else {
            return false;
        };
        let mut heard = false;
        if let Some(progress) = line.progress {
            self.progress = Some(progress.clamp(0.0, 1.0));
            // A message belongs to the progress that it was said with.
            self.message = line.message.map(shortened);
            heard = true;
        } else if let Some(message) = line.message {
            self.message = Some(shortened(message));
            heard = true;
        }
        if let (Some(name), Some(value)) = (line.metric, line.value) {
            heard |= self.measure(name, value);
        }
        heard
    }

    fn measure(&mut self, name: String, value: f64) -> bool {
        let fits = (1..=METRIC_NAME_BYTES_MAX).contains(&name.len())
            && !name.chars().any(char::is_control)
            && (self.metrics.len() < METRICS_MAX || self.metrics.contains_key(&name));
        if fits {
            self.metrics.insert(name, value);
        }
        fits
    }

    /// What of it a scheduler keeps, whoever said it.
    #[must_use]
    pub fn bounded(self) -> Self {
        let mut bounded = Self {
            progress: self.progress.map(|progress| progress.clamp(0.0, 1.0)),
            message: self.message.map(shortened),
            metrics: BTreeMap::new(),
        };
        for (name, value) in self.metrics {
            bounded.measure(name, value);
        }
        bounded
    }

    /// Bytes that it takes on the wire, about.
    pub fn bytes(&self) -> usize {
        /// A number with a comma and quotes.
        const VALUE_BYTES: usize = 24;
        let metrics = self.metrics.keys().map(|name| name.len() + VALUE_BYTES);
        self.message.as_ref().map_or(0, String::len) + metrics.sum::<usize>() + VALUE_BYTES
    }
}

/// One line that fits, without what would move a terminal's cursor.
fn shortened(text: String) -> String {
    let plain = text
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c });
    plain.take(MESSAGE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_of_each_kind_counts() {
        let mut said = Said::default();
        assert!(said.hear(br#"{"progress": 0.25, "message": "chunk 3"}"#));
        assert!(said.hear(br#"{"metric": "loss", "value": 0.5}"#));
        assert!(said.hear(br#"{"metric": "loss", "value": 3, "more": [1]}"#));
        assert_eq!(said.message.as_deref(), Some("chunk 3"));
        assert!(said.hear(br#"{"progress": 7}"#));
        assert_eq!((said.progress, &said.message), (Some(1.0), &None));
        assert_eq!(said.metrics["loss"], 3.0);
    }

    #[test]
    fn what_is_not_understood_or_too_much_is_passed_over() {
        let mut said = Said::default();
        let long = format!(r#"{{"message": "{}"}}"#, "x".repeat(LINE_BYTES_MAX));
        for line in [
            "",
            "progress",
            "[]",
            r#"{"value": 1}"#,
            r#"{"progress": NaN}"#,
            &long,
        ] {
            assert!(!said.hear(line.as_bytes()), "{line:.40}");
        }
        for number in 0..100 {
            said.hear(format!(r#"{{"metric": "m{number}", "value": 1}}"#).as_bytes());
        }
        assert!(said.hear(br#"{"message": "a\u001b[2Jb"}"#));
        assert_eq!(said.metrics.len(), METRICS_MAX);
        assert_eq!(said.message.as_deref(), Some("a\u{fffd}[2Jb"));
        assert_eq!(said.clone().bounded(), said);
    }
}
