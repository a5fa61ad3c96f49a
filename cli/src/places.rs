//! Where data goes when nobody says it: the places that the XDG rules give to a user.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::failure::hinted;

/// Below each of those places, ours.
const OURS: &str = "stint";
/// For what goes with the command, unless TMPDIR says otherwise: on a disk, where
/// `/tmp` may be in memory, and scratch files would eat what jobs were promised.
const DISK_FOR_A_WHILE: &str = "/var/tmp";

/// Where `who` (a scheduler, a node) keeps what must not be lost; `flag` says otherwise.
pub(crate) fn data(who: &str, flag: &str) -> anyhow::Result<PathBuf> {
    let place = below(var("XDG_DATA_HOME"), var("HOME"), ".local/share");
    match place {
        Some(place) => Ok(place.join(who)),
        None => Err(hinted(
            "there is no home directory to keep data in",
            format!("say where with {flag} DIR"),
        )),
    }
}

/// Where this user's kits are kept; nowhere without a home.
pub(crate) fn kits() -> Option<PathBuf> {
    let place = below(var("XDG_DATA_HOME"), var("HOME"), ".local/share")?;
    Some(place.join("kits"))
}

/// Where what was downloaded is kept from one command to the next; nowhere without a home.
pub(crate) fn downloads() -> Option<PathBuf> {
    let place = below(var("XDG_CACHE_HOME"), var("HOME"), ".cache")?;
    Some(place.join("downloads"))
}

/// Where compiled modules are kept from one command to the next; nowhere without a home.
pub(crate) fn artifacts() -> Option<PathBuf> {
    let place = below(var("XDG_CACHE_HOME"), var("HOME"), ".cache")?;
    Some(place.join("artifacts"))
}

/// Where what goes with the command may be until then.
pub(crate) fn temporary() -> PathBuf {
    let disk = Path::new(DISK_FOR_A_WHILE);
    if var("TMPDIR").is_none() && disk.is_dir() {
        return disk.to_owned();
    }
    std::env::temp_dir()
}

/// Makes a directory and its parents where they are missing, for this user alone:
/// what jobs wrote is nobody else's.
pub(crate) fn make(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn var(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The rules say that a relative path does not count.
fn below(named: Option<OsString>, home: Option<OsString>, usual: &str) -> Option<PathBuf> {
    let named = named.map(PathBuf::from).filter(|path| path.is_absolute());
    let place = named.or_else(|| Some(Path::new(&home?).join(usual)))?;
    Some(place.join(OURS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_named_one_or_the_usual_one_at_home() {
        let place = |named: Option<&str>, home: Option<&str>| {
            below(named.map(Into::into), home.map(Into::into), ".cache")
        };
        let at = |path: &str| Some(PathBuf::from(path));
        assert_eq!(place(Some("/c"), Some("/home/a")), at("/c/stint"));
        assert_eq!(place(None, Some("/home/a")), at("/home/a/.cache/stint"));
        assert_eq!(
            place(Some("c"), Some("/home/a")),
            at("/home/a/.cache/stint")
        );
        assert_eq!(place(None, None), None);
    }

    #[test]
    fn a_directory_of_ours_is_this_users_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        make(&path).unwrap();
        make(&path).unwrap();
        for path in [path.as_path(), path.parent().unwrap()] {
            let mode = path.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
        }
    }
}
