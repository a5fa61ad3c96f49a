//! What a job says about trying again: rules by how an attempt ended.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::job::InvalidSpec;
use crate::outcome::{Blame, Outcome};
use crate::problem::nearest;
use crate::quantity::{Bytes, Factor};

/// Most rules of one job; the first that matches counts.
pub const RULES_MAX: usize = 32;
/// Memory is granted in pages of this size.
const PAGE: u64 = 64 << 10;
/// Reasons that rules are about: failures of the job's own that another try may cure.
const REASONS: [&str; 12] = [
    "exited",
    "trapped",
    "guest-memory-limit",
    "cgroup-oom",
    "address-space",
    "deadline",
    "stalled",
    "scratch-full",
    "output-limit",
    "sandbox-violation",
    "input-unavailable",
    "output-refused",
];

/// What follows when an attempt ends in a certain way. Without a rule a task is
/// tried again within its `retries`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryRule {
    /// The ends that it is about.
    pub on: RetryOn,
    /// What to do then.
    #[serde(rename = "do", default)]
    pub action: RetryAction,
    /// Try again with so many times the memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_factor: Option<Factor>,
    /// But with no more than this; an attempt that had as much is the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<Bytes>,
}

/// Ends of attempts: a reason such as `guest-memory-limit`, or `exit:42`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetryOn {
    /// Those of this reason.
    Reason(String),
    /// Those where the program exited with this code.
    Exit(u32),
}

/// What a rule does.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum RetryAction {
    /// Tries again, within the task's `retries`.
    #[default]
    Retry,
    /// Lets the task fail at once.
    Fail,
}

/// What the rules of a job say of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruled {
    /// Nothing beyond the task's `retries`.
    Plain,
    /// The task fails at once.
    Fails,
    /// It is tried again with this much memory, within its `retries`.
    WithMemory(Bytes),
}

/// The text is no end that a rule could be about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no end that a rule could be about{}; write `exit:CODE` or one of {}",
    near.map_or(String::new(), |near| format!(", did you mean `{near}`?")), REASONS.join(", "))]
pub struct ParseOnError {
    text: String,
    near: Option<&'static str>,
}

/// What `rules` say of an attempt that had `memory` and ended as `outcome`.
pub fn ruled(rules: &[RetryRule], outcome: &Outcome, memory: Bytes) -> Ruled {
    if outcome.blame() != Blame::Job {
        return Ruled::Plain;
    }
    let Some(rule) = rules.iter().find(|rule| rule.on.matches(outcome)) else {
        return Ruled::Plain;
    };
    match (rule.action, rule.memory_factor, rule.up_to) {
        (RetryAction::Fail, _, _) => Ruled::Fails,
        (RetryAction::Retry, Some(factor), Some(up_to)) if memory < up_to => {
            let more = Bytes(factor.times(memory.0).next_multiple_of(PAGE));
            Ruled::WithMemory(more.min(up_to))
        }
        (RetryAction::Retry, Some(_), Some(_)) => Ruled::Fails,
        (RetryAction::Retry, _, _) => Ruled::Plain,
    }
}

impl RetryOn {
    fn matches(&self, outcome: &Outcome) -> bool {
        match self {
            Self::Reason(reason) => outcome.reason() == reason,
            Self::Exit(code) => outcome.code() == Some(*code),
        }
    }
}

impl RetryRule {
    /// Checks the rule number `index` of a job with so many retries and this memory.
    pub(crate) fn validate(
        &self,
        index: usize,
        retries: u32,
        memory: Bytes,
    ) -> Result<(), InvalidSpec> {
        let wrong = |field: &str, why: String| {
            let field = format!("retry[{index}].{field}");
            Err(InvalidSpec { field, why })
        };
        match (self.action, self.memory_factor, self.up_to) {
            (RetryAction::Fail, None, None) => Ok(()),
            (RetryAction::Fail, _, _) => {
                let why = "a task that fails at once needs no `memory_factor` and no `up_to`";
                wrong("do", why.to_owned())
            }
            (RetryAction::Retry, _, _) if retries == 0 => wrong(
                "do",
                "the job allows no retry; set `retries` to how many it may take".to_owned(),
            ),
            (RetryAction::Retry, None, Some(_)) => {
                wrong("memory_factor", "missing; `up_to` limits it".to_owned())
            }
            (RetryAction::Retry, Some(_), None) => {
                wrong("up_to", "missing; say how much memory is enough".to_owned())
            }
            (RetryAction::Retry, Some(factor), Some(_)) if !factor.grows() => wrong(
                "memory_factor",
                format!("{factor} gives no more; above 1, at most 64"),
            ),
            (RetryAction::Retry, Some(_), Some(up_to)) if up_to <= memory => wrong(
                "up_to",
                format!("{up_to} is not more than the {memory} that the job begins with"),
            ),
            (RetryAction::Retry, _, _) => Ok(()),
        }
    }
}

impl fmt::Display for RetryOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reason(reason) => f.write_str(reason),
            Self::Exit(code) => write!(f, "exit:{code}"),
        }
    }
}

impl FromStr for RetryOn {
    type Err = ParseOnError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let code = text.strip_prefix("exit:");
        let code = code.filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()));
        match code.and_then(|code| code.parse().ok()) {
            // An exit with 0 is no failure.
            Some(code) if code > 0 => Ok(Self::Exit(code)),
            _ if REASONS.contains(&text) => Ok(Self::Reason(text.to_owned())),
            _ => Err(ParseOnError {
                text: text.chars().take(40).collect(),
                near: nearest(text, REASONS),
            }),
        }
    }
}

impl Serialize for RetryOn {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RetryOn {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for RetryOn {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RetryOn".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "`exit:CODE`, or a reason",
            "examples": ["exit:42", "guest-memory-limit"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> RetryRule {
        serde_json::from_str(text).unwrap()
    }

    fn refused(limit: Bytes) -> Outcome {
        Outcome::GuestMemoryLimit {
            asked: limit,
            limit,
            peak: limit,
            code: Some(3),
            trap: None,
        }
    }

    #[test]
    fn memory_grows_by_the_factor_up_to_the_limit_and_no_further() {
        let rules = [rule(
            r#"{"on": "guest-memory-limit", "memory_factor": 1.5, "up_to": "512Mi"}"#,
        )];
        let next = |memory| ruled(&rules, &refused(memory), memory);
        assert_eq!(next(Bytes::mebi(256)), Ruled::WithMemory(Bytes::mebi(384)));
        assert_eq!(next(Bytes::mebi(384)), Ruled::WithMemory(Bytes::mebi(512)));
        assert_eq!(next(Bytes::mebi(512)), Ruled::Fails);
        let odd = ruled(&rules, &refused(Bytes(1)), Bytes((64 << 10) + 1));
        assert_eq!(odd, Ruled::WithMemory(Bytes(128 << 10)));
        let other = Outcome::Exited { code: 1 };
        assert_eq!(ruled(&rules, &other, Bytes(1)), Ruled::Plain);
    }

    #[test]
    fn the_first_rule_that_matches_counts() {
        let rules = [
            rule(r#"{"on": "exit:42", "do": "fail"}"#),
            rule(r#"{"on": "exited"}"#),
        ];
        let exited = |code| ruled(&rules, &Outcome::Exited { code }, Bytes(1));
        assert_eq!((exited(42), exited(41)), (Ruled::Fails, Ruled::Plain));
        let rules = [rule(r#"{"on": "exited", "do": "fail"}"#)];
        let lost = Outcome::WorkerLost { signal: 9 };
        assert_eq!(ruled(&rules, &lost, Bytes(1)), Ruled::Plain);
    }

    #[test]
    fn an_end_that_is_none_is_refused_with_its_neighbour() {
        for text in [
            "exit:",
            "exit:-1",
            "exit:0",
            "exit:x",
            "succeeded",
            "node-lost",
        ] {
            assert!(text.parse::<RetryOn>().is_err(), "{text}");
        }
        let error = "guest-memory-limt".parse::<RetryOn>().unwrap_err();
        assert!(
            error
                .to_string()
                .contains("did you mean `guest-memory-limit`?"),
            "{error}"
        );
    }

    #[test]
    fn a_rule_that_could_not_work_is_refused() {
        for (text, retries, field) in [
            (r#"{"on": "exited", "do": "fail", "up_to": "1Gi"}"#, 1, "do"),
            (r#"{"on": "exited"}"#, 0, "do"),
            (r#"{"on": "cgroup-oom", "memory_factor": 2}"#, 1, "up_to"),
            (
                r#"{"on": "cgroup-oom", "up_to": "1Gi"}"#,
                1,
                "memory_factor",
            ),
            (
                r#"{"on": "cgroup-oom", "memory_factor": 1, "up_to": "1Gi"}"#,
                1,
                "memory_factor",
            ),
            (
                r#"{"on": "cgroup-oom", "memory_factor": 2, "up_to": "1Mi"}"#,
                1,
                "up_to",
            ),
        ] {
            let error = rule(text)
                .validate(2, retries, Bytes::mebi(256))
                .unwrap_err();
            assert_eq!(error.field, format!("retry[2].{field}"), "{text}");
        }
        let good = rule(r#"{"on": "exit:42", "do": "fail"}"#);
        good.validate(0, 0, Bytes::mebi(256)).unwrap();
    }
}
