//! What a document points at is there.

use std::path::Path;

use crate::source::{self, Source};

/// Endings of names that are files of this checkout when a folder stands before them.
const FILES: [&str; 6] = [".rs", ".md", ".toml", ".sh", ".gz", ".wat"];

/// The files that a document names: what it links to, and paths between backticks.
fn named(text: &str) -> Vec<String> {
    let links = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let quoted = text.split('`').skip(1).step_by(2).filter(|quoted| {
        let path = !quoted.contains([' ', '*', '$', '<', ':']) && !quoted.starts_with('/');
        path && quoted.contains('/') && FILES.iter().any(|ending| quoted.ends_with(ending))
    });
    links
        .filter(|link| !link.contains("://") && !link.starts_with('#'))
        .chain(quoted)
        .map(|path| path.split('#').next().unwrap_or_default().to_owned())
        .collect()
}

/// Files that a document names and that are not there, beside it or from the root.
fn missing(document: &Source, root: &Path) -> Vec<String> {
    let folder = root.join(&document.path);
    let folder = folder.parent().unwrap_or(root);
    named(&document.text)
        .into_iter()
        .filter(|path| !folder.join(path).exists() && !root.join(path).exists())
        .map(|path| format!("{}: `{path}` is not there", document.path))
        .collect()
}

#[test]
fn what_documents_point_at_is_there() {
    let root = source::root();
    let breaches: Vec<String> = source::all(&[".md"])
        .iter()
        .flat_map(|document| missing(document, &root))
        .collect();
    crate::assert_none("documents", &breaches);
}

#[test]
fn the_map_of_the_house_names_every_room() {
    let root = source::root();
    let map = std::fs::read_to_string(root.join("ARCHITECTURE.md")).expect("the map");
    assert!(map.lines().count() <= 150, "the map is for one sitting");
    let unnamed: Vec<String> = source::all(&["Cargo.toml"])
        .iter()
        .filter_map(|manifest| manifest.path.strip_suffix("/Cargo.toml"))
        .filter(|room| {
            let top = room.split('/').next().unwrap_or_default();
            !map.contains(&format!("`{room}")) && !map.contains(&format!("`{top}/`"))
        })
        .map(str::to_owned)
        .collect();
    crate::assert_none("rooms that the map does not name", &unnamed);
}

#[test]
fn a_pointer_to_nowhere_is_found() {
    let text = "[a](b.md) [c](https://d.e/f.md) `g/h.rs` `i.rs` `/out/result.json` `cargo x/y.rs`";
    assert_eq!(named(text), ["b.md", "g/h.rs"]);
    let document = Source::made_up("docs/a.md", text);
    assert_eq!(missing(&document, &source::root()).len(), 2);
    let here = Source::made_up("docs/a.md", "[a](dependencies.md) `xtask/src/main.rs`");
    assert!(missing(&here, &source::root()).is_empty());
}
