//! `--with`: packages of Python alone that come along with a script. Which they are, and
//! whether they can, is found out by a program that the Python client uses too; it
//! stands on pip, which knows the registry that this machine uses.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use stint_api::kit::KitSpec;

use crate::failure::{hinted, hinted_because};

/// The program: an order on its standard input, an answer on its standard output.
const VENDOR: &str = include_str!("../../../sdk/python/src/stint/vendor.py");

#[derive(Debug, Serialize)]
struct Order<'a> {
    wanted: &'a [String],
    available: &'a std::collections::BTreeMap<String, String>,
    into: &'a Path,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Answer {
    Files { files: Vec<(String, PathBuf)> },
    Refused { error: String, hint: String },
}

/// Downloads `wanted`, and what that needs and `kit` has not, to `into`; each with the name
/// that it shall have beside the script.
pub(crate) fn collect(
    wanted: &[String],
    kit: &KitSpec,
    into: &Path,
) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let order = Order {
        wanted,
        available: &kit.available,
        into,
    };
    match ask(&order)? {
        Answer::Files { files } => Ok(files),
        Answer::Refused { error, hint } => Err(hinted(error, hint)),
    }
}

fn ask(order: &Order<'_>) -> anyhow::Result<Answer> {
    let order = serde_json::to_vec(order)?;
    let started = Command::new("python3")
        .args(["-c", VENDOR])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut vendor = started.map_err(|error| {
        let hint = "install Python 3 with pip, or bring wheels that need nothing";
        hinted_because("packages are found by pip of `python3`", hint, error)
    })?;
    if let Some(mut stdin) = vendor.stdin.take() {
        stdin.write_all(&order)?;
    }
    let said = vendor.wait_with_output()?;
    serde_json::from_slice(&said.stdout).with_context(|| {
        let stderr = String::from_utf8_lossy(&said.stderr);
        let last = stderr.lines().rfind(|line| !line.trim().is_empty());
        format!(
            "`python3` finds no packages: {}",
            last.unwrap_or("it said nothing")
        )
    })
}
