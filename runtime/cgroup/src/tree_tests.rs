//! The tree against plain directories: names, undoing, listing, removing.

use std::path::Path;

use super::*;

fn v1_base(dir: &Path) -> Place {
    let dirs = Controller::needed(Version::V1)
        .iter()
        .map(|c| (*c, dir.join(c.name())))
        .collect();
    Place::v1(dirs)
}

fn limits() -> Limits {
    Limits {
        cpu_millicores: 500,
        memory_bytes: 64 << 20,
        pids: 4,
    }
}

#[test]
fn names_that_would_leave_the_tree_are_refused() {
    for wrong in ["", ".", "..", ".hidden", "a/b", "a b", "ä", "a\n"] {
        assert!(!is_name(wrong), "{wrong:?}");
    }
    assert!(is_name("default-a1b2.t0.g3.1"));
    for wrong in ["", "/stint", "stint/", "stint/../x", "stint//x"] {
        assert!(
            matches!(Tree::open(wrong), Err(OpenError::Name { .. })),
            "{wrong:?}"
        );
    }
}

#[test]
fn a_leaf_that_cannot_be_limited_leaves_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let tree = Tree::open_below(v1_base(temp.path()), "stint/a").unwrap();
    let none = Limits {
        pids: 0,
        ..limits()
    };
    let error = tree.leaf("one", &none).unwrap_err();
    assert!(matches!(error, CreateError::Limit { .. }), "{error}");
    assert!(!tree.place.group("one").exists());
}

#[test]
fn a_leaf_is_made_once() {
    let temp = tempfile::tempdir().unwrap();
    let tree = Tree::open_below(v1_base(temp.path()), "stint/a").unwrap();
    tree.place.make("one").unwrap();
    let again = tree.leaf("one", &limits());
    assert!(matches!(again, Err(CreateError::Exists { .. })));
}

#[test]
fn a_sweep_finds_what_is_left_in_only_one_hierarchy_and_what_is_nested() {
    let temp = tempfile::tempdir().unwrap();
    let tree = Tree::open_below(v1_base(temp.path()), "stint/a").unwrap();
    fs::create_dir_all(temp.path().join("cpu/stint/a/half")).unwrap();
    tree.place.make("whole/inner/deep").unwrap();
    // A plain directory has no pids.max to close, nor processes: it is just empty.
    assert_eq!(tree.sweep().unwrap(), 2);
    assert_eq!(tree.sweep().unwrap(), 0);
    assert!(!temp.path().join("cpu/stint/a/half").exists());
    assert!(!temp.path().join("memory/stint/a/whole").exists());
}

#[test]
fn a_tree_is_removed_with_its_empty_levels_but_not_with_its_neighbours() {
    let temp = tempfile::tempdir().unwrap();
    let one = Tree::open_below(v1_base(temp.path()), "stint/one").unwrap();
    let two = Tree::open_below(v1_base(temp.path()), "stint/two").unwrap();
    two.place.make("busy").unwrap();
    one.remove().unwrap();
    assert!(temp.path().join("memory/stint/two").exists());
    let two = match two.remove() {
        Err(RemoveError::NotEmpty { .. }) => {
            Tree::open_below(v1_base(temp.path()), "stint/two").unwrap()
        }
        other => panic!("{other:?}"),
    };
    two.sweep().unwrap();
    two.remove().unwrap();
    assert!(!temp.path().join("memory/stint").exists());
}
