//! One table of dependencies, one of lints, and a reason for each dependency.

use std::collections::BTreeSet;

use crate::source::{self, Source};

/// Where the reasons stand.
const REASONS: &str = "docs/dependencies.md";

/// Packages of others that a manifest of ours names.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut inside = false;
    for line in manifest.lines() {
        if let Some(table) = line.strip_prefix('[') {
            inside = table.trim_end_matches(']').ends_with("dependencies");
            continue;
        }
        let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
        let ours = name.starts_with("stint-") || name.is_empty() || name.starts_with('#');
        if inside && !ours && line.contains('=') {
            found.insert(name.to_owned());
        }
    }
    found
}

/// Packages that have a row of reasons: `| name | reason |`.
fn reasoned(table: &str) -> BTreeSet<String> {
    table
        .lines()
        .filter_map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
            // A reason of a word or two is none.
            let reason = cells.next_back()?;
            (reason.split(' ').count() > 2).then(|| name.to_owned())
        })
        .collect()
}

/// What a manifest of the workspace decides for itself and should not.
fn own_ways(manifest: &Source) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut inside = false;
    for line in manifest.text.lines() {
        if let Some(table) = line.strip_prefix('[') {
            inside = table.trim_end_matches(']').ends_with("dependencies");
        } else if inside && line.contains('=') && !line.contains("workspace = true") {
            breaches.push(format!(
                "{}: `{line}` is no entry of the workspace",
                manifest.path
            ));
        }
    }
    if !manifest.text.contains("[lints]\nworkspace = true\n") {
        breaches.push(format!(
            "{}: not under the workspace's lints",
            manifest.path
        ));
    }
    breaches
}

fn manifests() -> Vec<Source> {
    let mut all = source::all(&["Cargo.toml"]);
    all.retain(|source| !source.is_in("sdk") && !source.is_in("examples"));
    all
}

#[test]
fn every_dependency_has_a_reason_and_every_reason_a_dependency() {
    let used: BTreeSet<String> = manifests()
        .iter()
        .flat_map(|manifest| dependencies(&manifest.text))
        .collect();
    let table = std::fs::read_to_string(source::root().join(REASONS)).expect("the reasons");
    let reasoned = reasoned(&table);
    let mut breaches: Vec<String> = used
        .difference(&reasoned)
        .map(|name| format!("`{name}` has no reason"))
        .collect();
    let stale = reasoned.difference(&used);
    breaches.extend(stale.map(|name| format!("`{name}` is no dependency")));
    crate::assert_none(REASONS, &breaches);
}

#[test]
fn every_entry_of_the_table_is_used() {
    let all = manifests();
    let (root, members): (Vec<&Source>, Vec<&Source>) =
        all.iter().partition(|source| source.path == "Cargo.toml");
    let used: BTreeSet<String> = members
        .iter()
        .flat_map(|manifest| dependencies(&manifest.text))
        .collect();
    let offered = dependencies(&root[0].text);
    let unused: Vec<String> = offered.difference(&used).cloned().collect();
    crate::assert_none("unused entries of the workspace's table", &unused);
}

#[test]
fn rooms_have_no_ways_of_their_own() {
    let breaches: Vec<String> = manifests()
        .iter()
        .filter(|source| source.path != "Cargo.toml")
        .flat_map(own_ways)
        .collect();
    crate::assert_none("manifests", &breaches);
}

#[test]
fn what_a_manifest_lacks_is_found() {
    let text = "[dependencies]\nserde.workspace = true\nstint-api.workspace = true\n\n[dev-dependencies]\nwat = \"1\"\n\n[features]\na = []\n";
    let names: Vec<String> = dependencies(text).into_iter().collect();
    assert_eq!(names, ["serde", "wat"]);
    assert_eq!(own_ways(&Source::made_up("Cargo.toml", text)).len(), 2);
    let table = "| crate | reason |\n|---|---|\n| `serde` | derives what goes over a wire |\n| `wat` | tests |\n";
    assert_eq!(reasoned(table).into_iter().collect::<Vec<_>>(), ["serde"]);
}
