//! What a successful attempt left in `/out`: its result, and a list of its files.
//! The guest made them, so nothing about them is believed before it was looked at.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, lchown};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::process::{getegid, geteuid};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stint_api::link::{OutputFile, Plan, RESULT_BYTES_MAX};
use stint_api::outcome::Outcome;

use super::explain::explain;
use super::scratch::Room;
use super::slot::Slot;

/// What a task returns.
const RESULT: &str = "result.json";
/// Most files that one attempt may publish: a manifest is one report.
const FILES_MAX: usize = 10_000;
/// Most bytes of their paths together: what a quarter of a message takes.
const PATHS_BYTES_MAX: usize = 1 << 20;

/// What an attempt left.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Left {
    /// Its result, on one line.
    pub(crate) result: Option<Box<RawValue>>,
    /// Its other files, by path; empty when the job has no output.
    pub(crate) files: Vec<OutputFile>,
    /// Where they are to go.
    pub(crate) output: Option<String>,
}

/// What the attempt in `slot` left, which succeeded under `plan`. Blocks on the disk.
///
/// What is to be published is remembered beside it: when the files are already
/// on their way out, the list says what was there.
///
/// # Errors
/// The outcome of an attempt that left what it may not.
pub(crate) fn harvest(slot: &Slot, plan: &Plan) -> Result<Left, Outcome> {
    let out = slot.out();
    if !out.is_dir() {
        return remembered(slot);
    }
    Room::new(slot, plan.limits.scratch).check()?;
    let left = Left {
        result: result(&out.join(RESULT))?,
        files: match plan.output {
            Some(_) => files(&out)?,
            None => Vec::new(),
        },
        output: plan.output.clone(),
    };
    if !left.files.is_empty() {
        remember(slot, &left).map_err(|error| Outcome::StartFailed {
            step: format!("remember what is to be published: {error}"),
        })?;
    }
    Ok(left)
}

fn remember(slot: &Slot, left: &Left) -> io::Result<()> {
    // It has to outlive processes, as the spool does, not the machine.
    let (place, beside) = (slot.left(), slot.left().with_extension("new"));
    fs::write(&beside, serde_json::to_vec(left)?)?;
    fs::rename(&beside, &place)
}

fn remembered(slot: &Slot) -> Result<Left, Outcome> {
    read(slot).map_err(|error| Outcome::OutputRefused {
        which: format!("/out is gone: {error}"),
    })
}

fn read(slot: &Slot) -> io::Result<Left> {
    Ok(serde_json::from_slice(&fs::read(slot.left())?)?)
}

/// Where files of the attempt in `slot` were on their way to, if they left it.
pub(crate) fn on_its_way_to(slot: &Slot) -> Option<String> {
    if slot.out().is_dir() {
        return None;
    }
    read(slot).ok()?.output
}

/// What is in `result.json`, if it is there.
fn result(path: &Path) -> Result<Option<Box<RawValue>>, Outcome> {
    let refused = |why: String| Outcome::OutputRefused {
        which: format!("{RESULT}: {why}"),
    };
    let mut options = File::options();
    // Neither a link to somewhere else is followed, nor a pipe waited for.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.read(true).custom_flags(flags.bits().cast_signed());
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(error.to_string())),
    };
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err(refused("not a file".to_owned()));
    }
    let mut text = Vec::new();
    let read = file.take(RESULT_BYTES_MAX + 1).read_to_end(&mut text);
    read.map_err(|error| refused(error.to_string()))?;
    if text.len() as u64 > RESULT_BYTES_MAX {
        return Err(Outcome::OutputLimit {
            what: format!("{RESULT}: at most {RESULT_BYTES_MAX} bytes"),
        });
    }
    parse(&text)
        .map(Some)
        .map_err(|error| refused(error.to_string()))
}

/// One JSON value, on one line, nested no deeper than every reader takes.
fn parse(text: &[u8]) -> serde_json::Result<Box<RawValue>> {
    // A raw value may be nested without bound; this one is not.
    serde_json::from_slice::<serde_json::Value>(text)?;
    let raw: &RawValue = serde_json::from_slice(text)?;
    RawValue::from_string(on_one_line(raw.get()))
}

/// Leaves out the white space between the parts of `json`: numbers and strings stay as they are.
fn on_one_line(json: &str) -> String {
    let mut within_string = false;
    let mut escaped = false;
    let keep = |c: &char| {
        if within_string {
            within_string = escaped || *c != '"';
            escaped = !escaped && *c == '\\';
            return true;
        }
        within_string = *c == '"';
        !matches!(c, ' ' | '\t' | '\n' | '\r')
    };
    json.chars().filter(keep).collect()
}

/// Every file below `out` but the result, by path. What was made by a user that a
/// job had to itself becomes the node's.
fn files(out: &Path) -> Result<Vec<OutputFile>, Outcome> {
    let limit = |what: String| Outcome::OutputLimit { what };
    let mut files = Vec::new();
    let mut paths_bytes = 0;
    own(out).map_err(|error| refused(Path::new(""), &error))?;
    let mut rest = vec![PathBuf::new()];
    while let Some(dir) = rest.pop() {
        let list = fs::read_dir(out.join(&dir)).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        for entry in list.map_err(|error| refused(&dir, &error))? {
            let path = dir.join(entry.file_name());
            let metadata = own(&entry.path()).map_err(|error| refused(&path, &error))?;
            if metadata.is_dir() {
                rest.push(path);
                continue;
            }
            let file = output_file(&path, &metadata)?;
            if file.path == RESULT {
                continue;
            }
            paths_bytes += file.path.len();
            files.push(file);
            if files.len() > FILES_MAX {
                return Err(limit(format!("/out: at most {FILES_MAX} files")));
            }
            if paths_bytes > PATHS_BYTES_MAX {
                return Err(limit(format!(
                    "/out: at most {PATHS_BYTES_MAX} bytes of paths"
                )));
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Looks at what is at `path`, and makes it this user's: who made it is nobody any
/// more, or soon somebody else.
fn own(path: &Path) -> io::Result<fs::Metadata> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let metadata = fs::symlink_metadata(path)?;
    if metadata.uid() != uid {
        lchown(path, Some(uid), Some(gid))?;
    }
    Ok(metadata)
}

fn output_file(path: &Path, metadata: &fs::Metadata) -> Result<OutputFile, Outcome> {
    // A link may point anywhere on the machine of whoever reads it.
    if !metadata.is_file() {
        let kind = io::Error::other("neither a file nor a directory");
        return Err(refused(path, &kind));
    }
    let Some(text) = path.to_str() else {
        return Err(refused(path, &io::Error::other("its name is not UTF-8")));
    };
    Ok(OutputFile {
        path: text.to_owned(),
        bytes: metadata.len(),
    })
}

fn refused(path: &Path, error: &io::Error) -> Outcome {
    Outcome::OutputRefused {
        which: format!("/out/{}: {}", path.display(), explain(error)),
    }
}

#[cfg(test)]
mod tests {
    use stint_api::quantity::Bytes;

    use super::super::tests::grant;
    use super::*;

    struct Site {
        _dir: tempfile::TempDir,
        slot: Slot,
        plan: Plan,
    }

    fn site() -> Site {
        let dir = tempfile::tempdir().unwrap();
        let slot = Slot::at(dir.path().join("slot"));
        slot.make(&[], None).unwrap();
        let mut plan = grant(&"a.1.t0.g1.1".parse().unwrap()).plan;
        plan.output = Some("file:///somewhere".into());
        Site {
            _dir: dir,
            slot,
            plan,
        }
    }

    impl Site {
        fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
            let path = self.slot.out().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }

        fn harvest(&self) -> Result<Left, Outcome> {
            harvest(&self.slot, &self.plan)
        }

        fn reason(&self) -> String {
            self.harvest().unwrap_err().reason().to_owned()
        }
    }

    #[test]
    fn a_result_comes_back_on_one_line_as_it_was_written() {
        let site = site();
        assert!(site.harvest().unwrap().result.is_none());
        site.write(
            RESULT,
            "{\n  \"a b\": [1.50, \"x\\\"\\\\ y\"],\n\t\"n\": 18446744073709551616\n}\n",
        );
        let result = site.harvest().unwrap().result.unwrap();
        assert_eq!(
            result.get(),
            r#"{"a b":[1.50,"x\"\\ y"],"n":18446744073709551616}"#
        );
    }

    #[test]
    fn a_result_that_is_not_json_or_too_deep_is_refused_and_one_too_long_passes_its_limit() {
        for text in ["", "{\"answer\":", "1 2", "\u{feff}1", &"[".repeat(9_000)] {
            let site = site();
            site.write(RESULT, text);
            assert_eq!(site.reason(), "output-refused", "{text:.20}");
        }
        let site = site();
        site.write(
            RESULT,
            format!("{}{}", "[".repeat(9_000), "]".repeat(9_000)),
        );
        assert_eq!(site.reason(), "output-refused");
        site.write(RESULT, format!("\"{}\"", "x".repeat(64 << 10)));
        assert_eq!(site.reason(), "output-limit");
    }

    #[test]
    fn a_result_that_is_not_a_file_is_not_followed() {
        let site = site();
        std::os::unix::fs::symlink("/etc/hostname", site.slot.out().join(RESULT)).unwrap();
        assert_eq!(site.reason(), "output-refused");
        fs::remove_file(site.slot.out().join(RESULT)).unwrap();
        fs::create_dir(site.slot.out().join(RESULT)).unwrap();
        assert_eq!(site.reason(), "output-refused");
    }

    #[test]
    fn files_are_listed_by_path_without_the_result() {
        let mut site = site();
        site.write(RESULT, "1");
        site.write("b", "22");
        site.write("a/deep/c", "");
        let left = site.harvest().unwrap();
        let listed: Vec<(&str, u64)> = left
            .files
            .iter()
            .map(|file| (file.path.as_str(), file.bytes))
            .collect();
        assert_eq!(listed, [("a/deep/c", 0), ("b", 2)]);
        site.plan.output = None;
        assert_eq!(site.harvest().unwrap().files, []);
    }

    #[test]
    fn what_a_jobs_own_user_made_is_published_as_the_nodes() {
        let site = site();
        site.write("sub/file", "x");
        let made = [site.slot.out(), site.slot.out().join("sub/file")];
        if geteuid().is_root() {
            for path in &made {
                lchown(path, Some(4_711), Some(4_711)).unwrap();
            }
        }
        assert_eq!(site.harvest().unwrap().files.len(), 1);
        for path in &made {
            let metadata = fs::metadata(path).unwrap();
            assert_eq!(metadata.uid(), geteuid().as_raw());
        }
    }

    #[test]
    fn a_link_is_not_published() {
        let site = site();
        std::os::unix::fs::symlink("../../../etc", site.slot.out().join("link")).unwrap();
        let refused = site.harvest().unwrap_err().to_string();
        assert!(refused.contains("/out/link"), "{refused}");
    }

    #[test]
    fn what_is_on_its_way_out_is_remembered() {
        let site = site();
        site.write("a", "1");
        site.write(RESULT, "{}");
        let before = site.harvest().unwrap();
        fs::remove_dir_all(site.slot.out()).unwrap();
        let after = site.harvest().unwrap();
        assert_eq!(after.files, before.files);
        assert_eq!(after.result.unwrap().get(), "{}");
    }

    #[test]
    fn more_than_the_limit_is_too_much_even_at_the_end() {
        let mut site = site();
        site.plan.limits.scratch = Bytes(4096);
        site.write("a", vec![0; 9000]);
        assert_eq!(site.reason(), "scratch-full");
    }
}
