//! The script of a job, and the files that it finds beside it: a helper of its own, a
//! package, what each task works on.

use serde::{Deserialize, Serialize};

use crate::id::Digest;
use crate::job::{InvalidSpec, check, is_file_name};

/// Most bytes of a script: source that people write has kilobytes.
pub const SCRIPT_BYTES_MAX: u64 = 4 << 20;
/// Most files beside a script: each is linked into the directory of every attempt.
pub const BESIDE_MAX: usize = 64;
/// Most bytes of them together: a few packages, or a short line for each of a million
/// tasks. Data belongs in inputs.
pub const BESIDE_BYTES_MAX: u64 = 256 << 20;

/// The script of a job, put before by `PUT /v1/files`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Its name, for example `analysis.py`.
    pub name: String,
    /// Its sha-256.
    pub digest: Digest,
    /// What lies in the same directory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ScriptFile>,
}

/// A file beside a script, put before by `PUT /v1/files`.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct ScriptFile {
    /// Its name, for example `humanize-4.9.0.whl`.
    pub name: String,
    /// Its sha-256.
    pub digest: Digest,
}

impl Script {
    /// The script `name` alone.
    pub const fn new(name: String, digest: Digest) -> Self {
        Self {
            name,
            digest,
            files: Vec::new(),
        }
    }

    /// Everything in its directory, itself first.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Digest)> {
        let files = self.files.iter();
        let files = files.map(|file| (file.name.as_str(), &file.digest));
        std::iter::once((self.name.as_str(), &self.digest)).chain(files)
    }

    /// Checks the names.
    pub(crate) fn validate(&self) -> Result<(), InvalidSpec> {
        check_name("script.name", &self.name)?;
        let count = self.files.len();
        check("script.files", count <= BESIDE_MAX, || {
            format!("{count} files; at most {BESIDE_MAX}")
        })?;
        let names: Vec<&str> = self.all().map(|(name, _)| name).collect();
        for (index, name) in names.iter().enumerate().skip(1) {
            check_name("script.files", name)?;
            check("script.files", !names[..index].contains(name), || {
                format!("`{name}` is there twice")
            })?;
        }
        Ok(())
    }
}

fn check_name(field: &str, name: &str) -> Result<(), InvalidSpec> {
    check(field, is_file_name(name), || {
        format!("`{name}` is not a file name; use at most 63 letters, digits, `-`, `_`, `.`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_beside_a_script_have_names_of_their_own() {
        let with = |names: &[&str]| {
            let file = |name: &&str| ScriptFile {
                name: (*name).to_owned(),
                digest: Digest([1; 32]),
            };
            Script {
                files: names.iter().map(file).collect(),
                ..Script::new("a.s".into(), Digest([0; 32]))
            }
        };
        assert_eq!(with(&["b", "c"]).validate(), Ok(()));
        for wrong in [["b", "b"], ["a.s", "b"], ["../b", "c"], ["", "c"]] {
            let error = with(&wrong).validate().unwrap_err();
            assert_eq!(error.field, "script.files", "{wrong:?}");
        }
        let many = vec!["x"; BESIDE_MAX + 1];
        assert!(with(&many).validate().unwrap_err().why.contains("at most"));
    }
}
