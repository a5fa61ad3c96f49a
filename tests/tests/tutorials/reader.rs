//! Somebody who follows a page: in a copy of what the page needs, command by command.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use stint_tests::kit::{stint, with_python};
use stint_tests::leftovers::{self, TAG};
use stint_tests::site::{binary, run};
use stint_tests::wait::wait_for;

use crate::page::{Part, Step, parts, text};
use crate::same::gist;

/// Where the pages say that a scheduler listens; here it is any port that is free.
const PORT: &str = "7070";
/// Longest until what was started answers: the machine may be busy.
const READY_BOUND: Duration = Duration::from_secs(30);

/// Follows pages.
pub(crate) struct Reader {
    dir: tempfile::TempDir,
    port: String,
    /// What was exported so far.
    exported: Vec<(String, String)>,
    /// Nodes that should be there.
    nodes: usize,
}

/// The checkout.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

impl Reader {
    /// One who has `folders` of the checkout.
    pub(crate) fn new(folders: &[&str]) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("stint-page-")
            .tempdir()
            .unwrap();
        for folder in folders {
            let to = dir.path().join(folder);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            let from = root().join(folder);
            let copied = Command::new("cp").arg("-rL").arg(from).arg(to).status();
            assert!(copied.unwrap().success(), "{folder} cannot be copied");
        }
        // The kits of this user are there; what else is kept goes with the reader.
        let kept = dir.path().join("data/stint");
        std::fs::create_dir_all(&kept).unwrap();
        let kits = root()
            .canonicalize()
            .unwrap()
            .join("target/kits/data/stint/kits");
        std::os::unix::fs::symlink(kits, kept.join("kits")).unwrap();
        Self {
            dir,
            port: stint_tests::port::free().to_string(),
            exported: Vec::new(),
            nodes: 0,
        }
    }

    /// Types every command of the page `docs/NAME`, and compares the answers with those
    /// shown there. `STINT_UPDATE_GOLDEN=1` shows the answers instead.
    pub(crate) fn follow(mut self, name: &str) {
        let path = root().join("docs").join(name);
        let page = std::fs::read_to_string(&path).unwrap();
        let mut answered = String::new();
        let mut steps = 0;
        for mut part in parts(&page) {
            if let Part::Step(step) = &mut part {
                self.perform(step);
                steps += 1;
            }
            answered += &text(&part);
        }
        assert!(steps > 0, "{name} has no commands that could be typed");
        if std::env::var_os("STINT_UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &answered).unwrap();
        }
    }

    fn perform(&mut self, step: &mut Step) {
        if let Some(variables) = step.command.strip_prefix("export ") {
            for variable in variables.split(' ') {
                let (name, value) = variable.split_once('=').unwrap();
                self.exported
                    .push((name.to_owned(), value.replace(PORT, &self.port)));
            }
            return;
        }
        let answer = self.answer(&step.command);
        self.wait_for_who_was_started(&step.command);
        if std::env::var_os("STINT_UPDATE_GOLDEN").is_some() {
            step.answer = answer;
            return;
        }
        assert_eq!(
            gist(&answer),
            gist(&step.answer),
            "`{}` answers (left) what the page does not (right)",
            step.command
        );
    }

    /// What a command writes, to either stream. What runs on writes elsewhere.
    fn answer(&self, command: &str) -> String {
        let script = format!("exec 2>&1\n{}", command.replace(PORT, &self.port));
        let mut shell = Command::new("bash");
        self.place(shell.args(["-c", &script]));
        let output = shell.stdin(Stdio::null()).output().unwrap();
        let answer = String::from_utf8(output.stdout).unwrap();
        let own = self.dir.path().display().to_string();
        answer.replace(&self.port, PORT).replace(&own, ".")
    }

    /// Gives a command the directory and the variables of this reader.
    fn place<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let programs = binary().parent().unwrap().display().to_string();
        let path = std::env::var("PATH").unwrap();
        with_python(command)
            .env("PATH", format!("{programs}:{path}"))
            .env("XDG_DATA_HOME", self.dir.path().join("data"))
            .env(TAG, self.tag())
            .env_remove("RUST_BACKTRACE")
            .env_remove("STINT_SERVER")
            .envs(self.exported.iter().map(|(name, value)| (name, value)))
            .current_dir(self.dir.path())
    }

    /// A person would see that it is ready before typing on.
    fn wait_for_who_was_started(&mut self, command: &str) {
        if !command.contains(" & ") {
            return;
        }
        self.nodes += match command {
            dev if dev.contains("stint dev --nodes 2") => 2,
            node if node.contains("stint node") && !node.contains("again") => 1,
            _ => 0,
        };
        wait_for("what was started is ready", READY_BOUND, || {
            let server = format!("http://127.0.0.1:{}", self.port);
            let mut nodes = stint(&["nodes", "--json", "--server", &server]);
            let nodes = run(self.place(&mut nodes));
            let nodes: Value = serde_json::from_str(&nodes.stdout).ok()?;
            let nodes = nodes["nodes"].as_array()?;
            let ready = nodes.iter().filter(|node| node["state"] == "ready");
            (ready.count() >= self.nodes).then_some(())
        });
    }

    fn tag(&self) -> String {
        self.dir.path().display().to_string()
    }
}

impl Drop for Reader {
    /// What the page started goes with its reader, also with one who gives up.
    fn drop(&mut self) {
        leftovers::kill_all(&self.tag(), "");
    }
}
