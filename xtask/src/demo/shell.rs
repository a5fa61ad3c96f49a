//! Types `stint` commands: shows each before its output, as a terminal would.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::command::line;
use crate::layout::Layout;

/// Where commands are typed.
pub(super) struct Shell {
    stint: PathBuf,
    root: PathBuf,
    url: String,
}

/// What a command came to.
pub(super) struct Answer {
    /// Its exit code.
    pub(super) code: Option<i32>,
    /// What it wrote to stdout.
    pub(super) stdout: String,
}

impl Shell {
    /// A shell in the root of the checkout that talks to the scheduler at `url`.
    pub(super) fn new(layout: &Layout, url: &str) -> Self {
        Self {
            stint: layout.stint(),
            root: layout.root.clone(),
            url: url.to_owned(),
        }
    }

    /// `path` as it is typed here.
    pub(super) fn path(&self, path: &Path) -> String {
        let short = path.strip_prefix(&self.root).unwrap_or(path);
        short.display().to_string()
    }

    /// Shows a command that is left running.
    pub(super) fn say_background(&self, command: &Command) {
        println!("$ {} &", self.typed(command));
    }

    /// Types `stint ARGS`, its output shown as it comes.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn show(&self, args: &[&str]) -> Result<Answer> {
        let mut command = self.command(args);
        println!("$ {}", self.typed(&command));
        let status = command.status().context("cannot start stint")?;
        Ok(Answer {
            code: status.code(),
            stdout: String::new(),
        })
    }

    /// Types `stint ARGS`, its progress shown as it comes and its stdout kept.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn keep(&self, args: &[&str]) -> Result<Answer> {
        let mut command = self.command(args);
        println!("$ {}", self.typed(&command));
        let output = command
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start stint")?;
        Ok(Answer {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        })
    }

    /// Types `stint run ARGS`, then `stint status` of that job: its exit code, and what is known of it.
    ///
    /// # Errors
    /// There is no such job afterwards.
    pub(super) fn run_job(&self, args: &[&str]) -> Result<(Option<i32>, Value)> {
        let mut words = vec!["run"];
        words.extend(args);
        let code = self.show(&words)?.code;
        println!("exit code {}\n", code.unwrap_or(-1));
        // The newest comes first, and nobody else submits here.
        let jobs = self.ask(&["jobs"])?;
        let id = jobs["jobs"][0]["id"].as_str().context("a job")?.to_owned();
        self.show(&["status", &id])?;
        Ok((code, self.ask(&["status", &id])?))
    }

    /// Asks `stint ARGS --json` without showing it: for waiting.
    ///
    /// # Errors
    /// It fails, or does not answer in JSON.
    pub(super) fn ask(&self, args: &[&str]) -> Result<Value> {
        let output = self
            .command(args)
            .arg("--json")
            .output()
            .context("cannot start stint")?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.stint);
        command
            .args(args)
            .env("STINT_SERVER", &self.url)
            .stdin(Stdio::null())
            .current_dir(&self.root);
        command
    }

    /// Without what only this machine knows: the checkout's place and the binary's.
    fn typed(&self, command: &Command) -> String {
        let stint = self.stint.display().to_string();
        let root = format!("{}/", self.root.display());
        line(command).replace(&stint, "stint").replace(&root, "")
    }
}
