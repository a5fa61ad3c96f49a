//! Names and numbers of things, each its own type: mixing them does not compile.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::time::Time;

/// The text is not a valid id of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct ParseIdError {
    /// What was given, cut at 80 characters.
    pub text: String,
    /// What it should have been, with an example.
    pub expected: &'static str,
}

fn wrong(text: &str, expected: &'static str) -> ParseIdError {
    ParseIdError {
        text: text.chars().take(80).collect(),
        expected,
    }
}

/// Serde and JSON Schema for an id whose wire form is its text.
macro_rules! text_id {
    ($type:ty, $name:literal, $example:literal) => {
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "examples": [$example] })
            }
        }
    };
}

/// Longest name of a namespace, node, job or input.
pub const NAME_BYTES_MAX: usize = 63;

/// Whether `text` is a name: lower-case letters, digits and inner hyphens.
pub fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= NAME_BYTES_MAX
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Who a job belongs to: quota, fair share, access. Cheap to clone: every id of a job has one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Arc<str>);

impl Namespace {
    /// The namespace as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self("default".into())
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Namespace {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_name(text) {
            Ok(Self(text.into()))
        } else {
            Err(wrong(
                text,
                "a namespace (at most 63 of a-z, 0-9 and inner hyphens)",
            ))
        }
    }
}

/// A job: its namespace and its number there. Text form: `default.42`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId {
    /// Who the job belongs to.
    pub namespace: Namespace,
    /// Counts up from 1 within the namespace; never used again.
    pub number: u64,
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.namespace, self.number)
    }
}

impl FromStr for JobId {
    type Err = ParseIdError;
    /// Reads `namespace.number`, or a bare `number` of the default namespace.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "a job id such as `default.42`";
        let (namespace, number) = match text.split_once('.') {
            Some((namespace, number)) => (
                namespace.parse().map_err(|_| wrong(text, expected))?,
                number,
            ),
            None => (Namespace::default(), text),
        };
        let plain = !number.starts_with('0') && number.bytes().all(|b| b.is_ascii_digit());
        let number = number
            .parse()
            .ok()
            .filter(|_| plain)
            .ok_or_else(|| wrong(text, expected))?;
        Ok(Self { namespace, number })
    }
}

/// One index of a job, from 0.
pub type TaskIndex = u32;

/// Numbers the grants of one job, from 1, strictly upwards; the fencing token.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct GrantNumber(pub u32);

/// One grant of one job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GrantId {
    /// The job whose tasks are granted.
    pub job: JobId,
    /// Which grant of that job.
    pub grant: GrantNumber,
}

impl GrantId {
    /// The attempt `try_number` of `task` under this grant.
    pub fn attempt(&self, task: TaskIndex, try_number: u32) -> AttemptId {
        AttemptId {
            job: self.job.clone(),
            task,
            grant: self.grant,
            try_number,
        }
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.g{}", self.job, self.grant.0)
    }
}

/// One start of a task on a node. Text form: `default.42.t7.g3.1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId {
    /// The job.
    pub job: JobId,
    /// The task within the job.
    pub task: TaskIndex,
    /// The grant under which it runs.
    pub grant: GrantNumber,
    /// Counts the starts of this task within the grant, from 1.
    pub try_number: u32,
}

impl AttemptId {
    /// The grant under which the attempt runs.
    pub fn grant_id(&self) -> GrantId {
        GrantId {
            job: self.job.clone(),
            grant: self.grant,
        }
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.t{}.g{}.{}",
            self.job, self.task, self.grant.0, self.try_number
        )
    }
}

impl FromStr for AttemptId {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let mut parts = text.rsplitn(4, '.');
            let try_number = parts.next()?.parse().ok()?;
            let grant = parts.next()?.strip_prefix('g')?.parse().ok()?;
            let task = parts.next()?.strip_prefix('t')?.parse().ok()?;
            let job = parts.next()?.parse().ok()?;
            Some(Self {
                job,
                task,
                grant: GrantNumber(grant),
                try_number,
            })
        };
        parse().ok_or_else(|| wrong(text, "an attempt id such as `default.42.t7.g3.1`"))
    }
}

/// A node's name, unique in its cluster: the rules of [`is_name`], inner dots allowed. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(Arc<str>);

impl NodeId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for NodeId {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() <= NAME_BYTES_MAX && text.split('.').all(is_name) {
            Ok(Self(text.into()))
        } else {
            Err(wrong(
                text,
                "a node name (at most 63 of a-z, 0-9, inner hyphens and dots)",
            ))
        }
    }
}

/// Changes when a node's directory is emptied or the machine is re-installed:
/// what an older incarnation of that name ran is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(pub u64);

/// Counts the times a node was welcomed; orders and reports bear it, an older one is refused.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Generation(pub u64);

/// A scheduler's data directory: grants of another cluster mean nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClusterId(pub u64);

/// The sha-256 of some bytes. Text form: `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The 64 hexadecimal digits, without the prefix; safe as a file name.
    pub fn hex(&self) -> String {
        self.0
            .iter()
            .fold(String::with_capacity(64), |mut text, byte| {
                for nibble in [byte >> 4, byte & 15] {
                    text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
                }
                text
            })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "a digest: `sha256:` and 64 hexadecimal digits";
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        if hex.len() != 64 || !hex.is_ascii() {
            return Err(wrong(text, expected));
        }
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16)
                .map_err(|_| wrong(text, expected))?;
        }
        Ok(Self(bytes))
    }
}

text_id!(Time, "Time", "2026-01-31T12:00:00.000000000Z");
text_id!(Namespace, "Namespace", "default");
text_id!(JobId, "JobId", "default.42");
text_id!(AttemptId, "AttemptId", "default.42.t7.g3.1");
text_id!(NodeId, "NodeId", "node-1");
text_id!(Digest, "Digest", "sha256:e3b0c442…");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        let id: AttemptId = "team-a.42.t7.g3.1".parse().unwrap();
        assert_eq!(id.to_string(), "team-a.42.t7.g3.1");
        assert_eq!("42".parse::<JobId>().unwrap().to_string(), "default.42");
        let digest = Digest([0xab; 32]);
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        for text in [
            "",
            "default.",
            ".1",
            "a.b.1",
            "Default.1",
            "default.01",
            "default.-1",
            "../x.1",
        ] {
            assert!(text.parse::<JobId>().is_err(), "{text}");
        }
        for text in ["", "a..b", "-a", "A", "a/b", &"a".repeat(64)] {
            assert!(text.parse::<NodeId>().is_err(), "{text}");
        }
        assert!("sha256:+f".repeat(8).parse::<Digest>().is_err());
    }
}
