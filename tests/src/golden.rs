//! Golden files: what a user sees, kept beside the tests. `STINT_UPDATE_GOLDEN=1`
//! writes them anew; the diff is then for a person to read.

use std::path::Path;

/// Compares `seen` with `tests/golden/NAME.txt`.
///
/// # Panics
/// When they differ, showing both.
pub fn check(name: &str, seen: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(format!("{name}.txt"));
    if std::env::var_os("STINT_UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().expect("the golden folder"))
            .and_then(|()| std::fs::write(&path, seen))
            .unwrap_or_else(|error| panic!("{} cannot be written: {error}", path.display()));
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; run once with STINT_UPDATE_GOLDEN=1 and read it",
            path.display()
        )
    });
    assert_eq!(
        seen,
        kept,
        "what is seen (left) is not what {} keeps (right)",
        path.display()
    );
}
