//! From what a person types for an input or an output to a URL: a path is one of this machine.

use std::path::{Path, PathBuf};

use url::Url;

use crate::failure::hinted_because;

/// A URL as it is; a path as the `file://` URL of what it names here.
pub(crate) fn input_url(name: &str, text: &str, beside: &Path) -> anyhow::Result<String> {
    if text.contains("://") {
        return Ok(text.to_owned());
    }
    let path = beside.join(text);
    if let Some(url) = pattern_url(name, &path)? {
        return Ok(url);
    }
    // A star in a name that is there is that character.
    Ok(file_url(&found(name, &path)?)?.replace('*', "%2A"))
}

fn found(name: &str, path: &Path) -> anyhow::Result<PathBuf> {
    path.canonicalize().map_err(|error| {
        hinted_because(
            format!("input `{name}`: cannot find `{}`", path.display()),
            "give a path that is here, or file:///an/absolute/path for one on the nodes",
            error,
        )
    })
}

/// The URL of a path that is none here, but has stars that stand for many.
fn pattern_url(name: &str, path: &Path) -> anyhow::Result<Option<String>> {
    if path.exists() || !path.to_string_lossy().contains('*') {
        return Ok(None);
    }
    let starts =
        |part: &std::path::Component<'_>| !part.as_os_str().to_string_lossy().contains('*');
    let base: PathBuf = path.components().take_while(starts).collect();
    let rest = path.strip_prefix(&base)?;
    let base = match base.as_os_str().is_empty() {
        true => Path::new("."),
        false => &base,
    };
    Ok(Some(file_url(&found(name, base)?.join(rest))?))
}

/// The same for an output, which need not be there yet.
pub(crate) fn output_url(text: &str, beside: &Path) -> anyhow::Result<String> {
    if text.contains("://") {
        return Ok(text.to_owned());
    }
    file_url(&std::path::absolute(beside.join(text))?)
}

fn file_url(path: &Path) -> anyhow::Result<String> {
    Url::from_file_path(path)
        .map(String::from)
        .map_err(|()| anyhow::anyhow!("`{}` cannot be written as a URL", path.display()))
}
