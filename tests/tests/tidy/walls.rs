//! The floors of the house: a room depends on rooms below it, and what is heavy
//! or dangerous is a dependency of one room only.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::source;

/// Every room and its floor; it may depend on rooms of lower floors.
const FLOORS: [(&str, u8); 15] = [
    ("stint-api", 1),
    ("stint-objects", 1),
    ("stint-scan", 1),
    ("stint-cluster", 2),
    ("stint-store", 2),
    ("stint-supervisor", 2),
    ("stint-sandbox", 2),
    ("stint-cgroup", 2),
    ("stint-jail", 2),
    ("stint-scheduler", 3),
    ("stint-runtime", 3),
    ("stint-cli", 4),
    ("stint-tests", 5),
    ("stint-sim", 5),
    ("xtask", 5),
];
/// Who alone may depend on what. `cargo deny` holds some of these too, and sees
/// further down; this needs no tool.
const FENCED: [(&str, &[&str]); 14] = [
    ("hyper-rustls", &["stint-objects"]),
    ("object_store", &["stint-objects"]),
    ("rustls", &["stint-objects"]),
    ("wasmtime", &["stint-sandbox"]),
    ("wasmtime-wasi", &["stint-sandbox"]),
    ("wiggle", &["stint-sandbox"]),
    ("axum", &["stint-scheduler"]),
    ("rusqlite", &["stint-store"]),
    ("cgroups-rs", &["stint-cgroup"]),
    ("landlock", &["stint-jail"]),
    ("seccompiler", &["stint-jail"]),
    ("clap", &["stint-cli"]),
    ("stint-scheduler", &["stint-cli"]),
    ("stint-runtime", &["stint-cli"]),
];
/// The one error type for everything is for those who only show it.
const ANYHOW: [&str; 3] = ["stint-cli", "stint-tests", "xtask"];
/// Packages beside the workspace, and what of ours each may depend on.
const BESIDE: [(&str, &[&str]); 2] = [
    ("sdk/rust/Cargo.toml", &[]),
    (
        "examples/Cargo.toml",
        &["flate2", "serde_json", "sha2", "stint-sdk"],
    ),
];

/// One package and what it depends on, for whatever purpose.
#[derive(Debug)]
struct Package {
    name: String,
    dependencies: Vec<String>,
}

/// Dependencies that go up, sideways, or through a wall.
fn breaches(packages: &[Package]) -> Vec<String> {
    let floor = |name: &str| {
        let known = FLOORS.iter().find(|(room, _)| *room == name);
        known.map(|(_, floor)| *floor)
    };
    let mut breaches = Vec::new();
    for Package { name, dependencies } in packages {
        let Some(own) = floor(name) else {
            breaches.push(format!("{name}: a room without a floor"));
            continue;
        };
        for dependency in dependencies {
            if floor(dependency).is_some_and(|other| other >= own) {
                breaches.push(format!(
                    "{name} depends on {dependency}, which is no floor below"
                ));
            }
            let fence = FENCED.iter().find(|(fenced, _)| fenced == dependency);
            let allowed = fence.is_none_or(|(_, rooms)| rooms.contains(&&**name));
            let anyhow = dependency == "anyhow" && !ANYHOW.contains(&&**name);
            if !allowed || anyhow {
                breaches.push(format!(
                    "{name} depends on {dependency}, which is fenced off"
                ));
            }
        }
    }
    breaches
}

/// The packages of a workspace.
fn packages(manifest: &Path) -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .arg("--manifest-path")
        .arg(manifest)
        .output()
        .expect("cargo");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata: {said}");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    list(&metadata["packages"])
        .iter()
        .map(|package| Package {
            name: text(&package["name"]),
            dependencies: list(&package["dependencies"])
                .iter()
                .map(|dependency| text(&dependency["name"]))
                .collect(),
        })
        .collect()
}

#[test]
fn rooms_depend_on_rooms_below_them() {
    let packages = packages(&source::root().join("Cargo.toml"));
    let gone = FLOORS
        .iter()
        .filter(|(room, _)| !packages.iter().any(|package| package.name == *room))
        .map(|(room, _)| format!("{room} is gone"));
    let all: Vec<String> = breaches(&packages).into_iter().chain(gone).collect();
    crate::assert_none("walls", &all);
}

#[test]
fn guests_know_nothing_of_the_product() {
    for (manifest, allowed) in BESIDE {
        let packages = packages(&source::root().join(manifest));
        assert!(!packages.is_empty(), "{manifest} has no package");
        let strange: Vec<String> = packages
            .iter()
            .flat_map(|package| &package.dependencies)
            .filter(|name| !allowed.contains(&&***name))
            .cloned()
            .collect();
        crate::assert_none(manifest, &strange);
    }
}

#[test]
fn a_dependency_through_a_wall_is_found() {
    let found = |name: &str, dependency: &str| {
        let package = Package {
            name: name.to_owned(),
            dependencies: vec![dependency.to_owned()],
        };
        breaches(&[package]).len()
    };
    assert_eq!(found("stint-cli", "stint-scheduler"), 0);
    assert_eq!(found("stint-sandbox", "wasmtime"), 0);
    // Sideways, and through a fence.
    assert_eq!(found("stint-scheduler", "stint-runtime"), 2);
    assert_eq!(found("stint-runtime", "stint-scheduler"), 2);
    assert_eq!(found("stint-api", "stint-cluster"), 1);
    assert_eq!(found("stint-runtime", "wasmtime"), 1);
    assert_eq!(found("stint-scheduler", "rusqlite"), 1);
    assert_eq!(found("stint-store", "anyhow"), 1);
    assert_eq!(found("stint-drawer", "serde"), 1);
}
