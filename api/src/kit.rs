//! Kits: a module with files beside it that runs scripts. Nothing here knows a
//! language: a kit says how its module is entered, which files it reads, and
//! where in its arguments the script goes.

mod script;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{Digest, Namespace};
use crate::job::{ENTRIES_MAX, ENTRY_BYTES_MAX, InvalidSpec, JobSpec, check, check_variables};
use crate::quantity::Bytes;
use crate::time::{Span, Time};

pub use script::{BESIDE_BYTES_MAX, BESIDE_MAX, SCRIPT_BYTES_MAX, Script, ScriptFile};

/// Most bytes of one file beside a module.
pub const FILE_BYTES_MAX: u64 = 512 << 20;
/// Most bytes of the list of a kit's files.
pub const MANIFEST_BYTES_MAX: u64 = 1 << 20;
/// Most files of a kit: a library in one archive, and data that has to be files.
pub const FILES_MAX: usize = 4_096;
/// Most bytes of all files of a kit together.
pub const FILES_BYTES_MAX: u64 = 2 << 30;
/// Most directories that a kit's files are seen in; each takes a descriptor of every attempt.
pub const DIRS_MAX: usize = 8;
/// Most imports that a kit answers with a constant.
pub const STUBS_MAX: usize = 16;
/// Most packages that a kit says are in it.
pub const AVAILABLE_MAX: usize = 1_024;
/// Most bytes of a path that a guest sees.
const PATH_BYTES_MAX: usize = 512;
/// Longest text for people.
const TEXT_CHARS_MAX: usize = 200;
/// In a kit's arguments: the path of the script.
const SCRIPT: &str = "{script}";
/// In a kit's arguments, alone: all arguments of the job.
const ARGS: &str = "{args}";
/// What a guest sees anyway; a kit puts nothing there.
const TAKEN: [&str; 3] = ["/in", "/out", "/scratch"];
/// The export that a command is entered by.
const COMMAND: &str = "_start";

/// How a module is entered, and what it imports beside WASI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The export that is called, without arguments.
    pub export: String,
    /// What it returns.
    #[serde(default)]
    pub returns: Returns,
    /// Imports that the host answers with a constant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stubs: Vec<Stub>,
}

/// That of a WASI command.
impl Default for Entry {
    fn default() -> Self {
        Self {
            export: COMMAND.to_owned(),
            returns: Returns::Nothing,
            stubs: Vec::new(),
        }
    }
}

impl Entry {
    /// Whether it is that of a WASI command.
    pub fn is_command(&self) -> bool {
        self.export == COMMAND && self.returns == Returns::Nothing && self.stubs.is_empty()
    }
}

/// What an entry returns.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Returns {
    /// Nothing: it succeeded, unless it exited.
    #[default]
    Nothing,
    /// An `i32`: the exit code.
    Code,
}

/// An imported function that nobody stands behind: called with whatever, it
/// returns a constant. How a module learns that there is no such host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stub {
    /// The module part of its name.
    pub module: String,
    /// The field part of its name.
    pub name: String,
    /// What it returns.
    pub result: i32,
}

/// A kit, as it is put: the body of `PUT /v1/kits/{name}`. Module, files and their
/// list are put before, by `PUT /v1/files`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KitSpec {
    /// What is in it, for people.
    #[serde(default)]
    pub about: String,
    /// The module.
    pub module: Digest,
    /// How it is entered.
    #[serde(default)]
    pub entry: Entry,
    /// The list of its files, a [`Manifest`] in JSON; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Digest>,
    /// Scripts whose names end so are run with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    /// The directory in which the script is seen, for example `/job`.
    pub scripts: String,
    /// All arguments, the program's name first: `{script}` is the script's path,
    /// and `{args}` alone stands for the job's arguments.
    pub args: Vec<String>,
    /// Environment variables; the job's own win.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// What scripts can import without bringing it along, each with its version.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub available: BTreeMap<String, String>,
    /// Memory that a script should have when nobody says how much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// What compiling the module may take; by its size when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compile: Option<CompileBudget>,
}

/// What compiling a module may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompileBudget {
    /// CPU time.
    pub cpu: Span,
    /// Memory.
    pub memory: Bytes,
    /// Size of what it is compiled to.
    pub output: Bytes,
}

/// A kit, as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Kit {
    /// Its name.
    pub name: String,
    /// What was put.
    pub spec: KitSpec,
    /// Bytes of its files together.
    pub files_bytes: Bytes,
    /// When it was added last.
    pub added_at: Time,
}

/// `GET /v1/kits`.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct KitList {
    /// Whose.
    pub namespace: Namespace,
    /// Every kit of the namespace, by name.
    pub kits: Vec<Kit>,
}

/// The answer to `PUT /v1/files`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FileView {
    /// Its sha-256.
    pub digest: Digest,
    /// Its size.
    pub bytes: Bytes,
}

/// The files of a kit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The directories that a guest sees, read-only.
    pub dirs: Vec<ManifestDir>,
}

/// A directory of a kit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestDir {
    /// Where the guest sees it.
    pub at: String,
    /// What is in it.
    pub files: Vec<ManifestFile>,
}

/// A file of a kit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestFile {
    /// Its path below the directory.
    pub path: String,
    /// Its sha-256.
    pub digest: Digest,
    /// Its size.
    pub bytes: Bytes,
}

impl Kit {
    /// All arguments of a job that runs `script` with it.
    pub fn arguments(&self, script: &str, args: &[String]) -> Vec<String> {
        let path = format!("{}/{script}", self.spec.scripts);
        let mut all = Vec::with_capacity(self.spec.args.len() + args.len());
        for part in &self.spec.args {
            if part == ARGS {
                all.extend_from_slice(args);
            } else {
                all.push(part.replace(SCRIPT, &path));
            }
        }
        all
    }

    /// Its variables, and over them the job's.
    pub fn environment(&self, job: &JobSpec) -> BTreeMap<String, String> {
        let mut env = self.spec.env.clone();
        env.extend(job.env.clone());
        env
    }
}

impl KitSpec {
    /// Checks every field.
    ///
    /// # Errors
    /// The first that cannot be.
    pub fn validate(&self) -> Result<(), InvalidSpec> {
        let short = |text: &str| !text.is_empty() && text.chars().count() <= TEXT_CHARS_MAX;
        check(
            "about",
            self.about.chars().count() <= TEXT_CHARS_MAX,
            || format!("longer than {TEXT_CHARS_MAX} characters"),
        )?;
        check("entry.export", short(&self.entry.export), || {
            "name the export that is called, for example `run`".to_owned()
        })?;
        check("entry.stubs", self.entry.stubs.len() <= STUBS_MAX, || {
            format!("{} stubs; at most {STUBS_MAX}", self.entry.stubs.len())
        })?;
        for stub in &self.entry.stubs {
            check(
                "entry.stubs",
                short(&stub.module) && short(&stub.name),
                || "a stub names the import that it answers: module and name".to_owned(),
            )?;
        }
        if let Some(suffix) = &self.suffix {
            let plain = short(suffix) && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric());
            check("suffix", plain, || {
                format!("`{suffix}` is not the end of a file name; write it without the dot")
            })?;
        }
        check_place("scripts", &self.scripts)?;
        check("args", self.args.len() <= ENTRIES_MAX, || {
            format!("{} entries; at most {ENTRIES_MAX}", self.args.len())
        })?;
        let bytes = self.args.iter().map(String::len).sum::<usize>();
        check("args", bytes <= ENTRY_BYTES_MAX, || {
            format!("{bytes} bytes; at most {ENTRY_BYTES_MAX}")
        })?;
        let names_the_script = self.args.iter().any(|arg| arg.contains(SCRIPT));
        check("args", names_the_script, || {
            format!("none of them holds {SCRIPT}, so that no script would be run")
        })?;
        let few = self.available.len() <= AVAILABLE_MAX;
        let named = |(name, version): (&String, &String)| {
            short(name) && version.chars().count() <= TEXT_CHARS_MAX
        };
        check("available", few && self.available.iter().all(named), || {
            format!(
                "at most {AVAILABLE_MAX} names and versions, each of {TEXT_CHARS_MAX} characters at most"
            )
        })?;
        check_variables(&self.env)
    }
}

impl Manifest {
    /// Checks every path and amount.
    ///
    /// # Errors
    /// The first that cannot be.
    pub fn validate(&self) -> Result<(), InvalidSpec> {
        check("files", self.dirs.len() <= DIRS_MAX, || {
            format!("{} directories; at most {DIRS_MAX}", self.dirs.len())
        })?;
        let count = self.files().count();
        check("files", count <= FILES_MAX, || {
            format!("{count} files; at most {FILES_MAX}")
        })?;
        let bytes = self.bytes().0;
        check("files", bytes <= FILES_BYTES_MAX, || {
            format!("{bytes} bytes; at most {FILES_BYTES_MAX}")
        })?;
        for (index, dir) in self.dirs.iter().enumerate() {
            check_place("files", &dir.at)?;
            let twice = self.dirs[..index].iter().any(|other| other.at == dir.at);
            check("files", !twice, || format!("`{}` is there twice", dir.at))?;
            for file in &dir.files {
                check("files", is_path(&file.path), || {
                    format!("`{}` is not a path below `{}`", file.path, dir.at)
                })?;
            }
        }
        Ok(())
    }

    /// All files.
    pub fn files(&self) -> impl Iterator<Item = &ManifestFile> {
        self.dirs.iter().flat_map(|dir| &dir.files)
    }

    /// Their bytes together.
    pub fn bytes(&self) -> Bytes {
        Bytes(
            self.files()
                .fold(0, |sum, file| sum.saturating_add(file.bytes.0)),
        )
    }
}

/// A directory in which a guest may see what is not its own.
fn check_place(field: &str, at: &str) -> Result<(), InvalidSpec> {
    let path = at.strip_prefix('/');
    let free = !TAKEN
        .iter()
        .any(|taken| at == *taken || at.starts_with(&format!("{taken}/")));
    check(field, path.is_some_and(is_path) && free, || {
        format!("`{at}` is not a directory that a kit may have, as `/usr/local/lib` is")
    })
}

/// A path that goes nowhere but down.
fn is_path(path: &str) -> bool {
    path.len() <= PATH_BYTES_MAX
        && !path.contains(['\0', '\\'])
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> KitSpec {
        let text = r#"{
            "module": "sha256:0000000000000000000000000000000000000000000000000000000000000000",
            "entry": {"export": "run", "returns": "code",
                      "stubs": [{"module": "host", "name": "call", "result": -1}]},
            "scripts": "/job",
            "args": ["run", "-x={script}", "{args}", "end"]
        }"#;
        serde_json::from_str(text).unwrap()
    }

    fn refused(change: impl FnOnce(&mut KitSpec)) -> String {
        let mut spec = spec();
        change(&mut spec);
        spec.validate().unwrap_err().to_string()
    }

    #[test]
    fn the_script_and_the_arguments_of_the_job_go_where_the_kit_says() {
        let kit = Kit {
            name: "x".into(),
            spec: spec(),
            files_bytes: Bytes(0),
            added_at: Time::default(),
        };
        kit.spec.validate().unwrap();
        let args = kit.arguments("a.x", &["1".into(), "{script}".into()]);
        assert_eq!(args, ["run", "-x=/job/a.x", "1", "{script}", "end"]);
    }

    #[test]
    fn a_kit_that_cannot_be_is_refused_by_its_field() {
        assert!(refused(|spec| spec.args = vec!["run".into()]).starts_with("`args`"));
        for place in ["job", "/", "/in", "/out/x", "/a/../b", "/a//b", ""] {
            assert!(refused(|spec| spec.scripts = place.into()).starts_with("`scripts`"));
        }
        assert!(refused(|spec| spec.suffix = Some(".py".into())).starts_with("`suffix`"));
        assert!(refused(|spec| spec.entry.export.clear()).starts_with("`entry.export`"));
        let ours = |spec: &mut KitSpec| {
            spec.env.insert("STINT_X".into(), String::new());
        };
        assert!(refused(ours).starts_with("`env`"));
    }

    #[test]
    fn files_of_a_kit_stay_below_their_directory() {
        let manifest = |at: &str, path: &str| Manifest {
            dirs: vec![ManifestDir {
                at: at.into(),
                files: vec![ManifestFile {
                    path: path.into(),
                    digest: Digest([0; 32]),
                    bytes: Bytes(3),
                }],
            }],
        };
        assert_eq!(manifest("/lib", "a/b.zip").validate(), Ok(()));
        assert_eq!(manifest("/lib", "a").bytes(), Bytes(3));
        for (at, path) in [("/lib", "../a"), ("/lib", "/a"), ("lib", "a"), ("/lib", "")] {
            assert!(manifest(at, path).validate().is_err(), "{at} {path}");
        }
    }
}
