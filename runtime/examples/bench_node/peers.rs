//! What a node is held beside: `true`, started by the cheapest means there is; crun
//! with the same limits; the same module in an engine without a node.
//!
//! All are started by a process of its own, this binary again: it is in a mount
//! namespace where crun finds the hierarchy of cgroups that it can use.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::Fault;
use crate::figures::Table;
use crate::guests::{self, Program};
use crate::keeper::cpu;

/// The verb of the process that starts them.
pub(crate) const STARTER_VERB: &str = "__starter";
/// The row that all times are held beside.
pub(crate) const BASE: &str = "posix_spawn and wait: `true`, dynamic";
/// As every distribution has it.
const TRUE: &str = "/bin/true";
/// Starts of each that is fast, and of each that is not, in a turn.
const FAST: usize = 20;
const SLOW: usize = 5;

/// A peer: its row, how often it is started in a turn, and its command line.
struct Peer {
    what: &'static str,
    times: usize,
    line: Vec<String>,
}

/// All that can be had here.
pub(crate) struct Peers {
    peers: Vec<Peer>,
    starter: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peers {
    /// In `dir`; says what is left out.
    pub(crate) fn new(
        dir: &Path,
        like_wasmtime: PathBuf,
        crun: Option<(PathBuf, PathBuf)>,
    ) -> Result<Self, Fault> {
        fs::create_dir_all(dir)?;
        let dir = dir.canonicalize()?;
        let exe = std::env::current_exe()?;
        let mut starter = Command::new("unshare");
        starter
            .args(["--mount", "--propagation", "private"])
            .arg(exe);
        if let Some((_, libraries)) = &crun {
            starter.env("LD_LIBRARY_PATH", libraries);
        }
        let mut starter = starter
            .arg(STARTER_VERB)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (orders, answers) = starter
            .stdin
            .take()
            .zip(starter.stdout.take())
            .ok_or("pipes")?;
        let mut all = Self {
            peers: vec![Peer {
                what: BASE,
                times: FAST,
                line: vec![TRUE.to_owned()],
            }],
            starter,
            orders,
            answers: BufReader::new(answers),
        };
        all.add(like_wasmtime_run(&dir, &like_wasmtime));
        match crun {
            Some((crun, _)) => all.add(crun_run(&dir, &crun)),
            None => println!("bench node: no crun here; it is left out"),
        }
        Ok(all)
    }

    /// Adds one, if it can be started.
    fn add(&mut self, peer: Result<Peer, Fault>) {
        let tried = peer.and_then(|peer| self.start(&peer.line).map(|_| peer));
        match tried {
            Ok(peer) => self.peers.push(peer),
            Err(error) => println!("bench node: a peer is left out: {error}"),
        }
    }

    /// A turn.
    pub(crate) fn starts(&mut self, table: &mut Table) -> Result<(), Fault> {
        let peers = std::mem::take(&mut self.peers);
        let pid = i32::try_from(self.starter.id())?;
        for peer in &peers {
            let before = cpu(pid);
            for _ in 0..peer.times {
                table.took(peer.what, self.start(&peer.line)?);
            }
            table.cpu(peer.what, cpu(pid).saturating_sub(before));
        }
        self.peers = peers;
        Ok(())
    }

    fn start(&mut self, line: &[String]) -> Result<Duration, Fault> {
        writeln!(self.orders, "{}", line.join("\t"))?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        let nanos = answer.trim().parse().map_err(|_| {
            let line = line.join(" ");
            format!("`{line}`: {}", answer.trim())
        })?;
        Ok(Duration::from_nanos(nanos))
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        // It goes when nobody gives it orders.
        drop(self.starter.kill());
        drop(self.starter.wait());
    }
}

/// The module that does nothing, compiled beforehand.
fn like_wasmtime_run(dir: &Path, exe: &Path) -> Result<Peer, Fault> {
    let (wasm, artifact) = (dir.join("no-op.wasm"), dir.join("no-op.cwasm"));
    fs::write(&wasm, guests::module(Program::NoOp)?)?;
    let compiled = Command::new(exe)
        .arg("compile")
        .args([&wasm, &artifact])
        .status()?;
    if !compiled.success() {
        return Err("the module was not compiled".into());
    }
    let words = [exe, Path::new("run"), &artifact];
    Ok(Peer {
        what: "like `wasmtime run`, the same no-op module, precompiled",
        times: SLOW,
        line: words.map(|word| word.display().to_string()).into(),
    })
}

/// One static `true` in a root of its own, held to what a slot of the node is held to.
fn crun_run(dir: &Path, crun: &Path) -> Result<Peer, Fault> {
    let bundle = dir.join("bundle");
    let bin = bundle.join("rootfs/bin");
    fs::create_dir_all(&bin)?;
    for mounted in ["dev", "proc"] {
        fs::create_dir_all(bundle.join("rootfs").join(mounted))?;
    }
    let source = bundle.join("true.c");
    fs::write(&source, "int main(void) { return 0; }\n")?;
    let compiled = Command::new("cc")
        .args(["-static", "-O1", "-o"])
        .args([&bin.join("true"), &source])
        .status()?;
    if !compiled.success() {
        return Err("no C compiler makes a static `true`".into());
    }
    fs::write(bundle.join("config.json"), include_str!("crun.json"))?;
    let (crun, bundle) = (crun.display(), bundle.display());
    let line = format!("{crun}\t--cgroup-manager=cgroupfs\trun\t--bundle\t{bundle}\tstint-bench");
    Ok(Peer {
        what: "`crun run` of a static `true`, the same limits",
        times: SLOW,
        line: line.split('\t').map(str::to_owned).collect(),
    })
}

/// Starts what it is told, and says how many nanoseconds each took.
pub(crate) fn starter() -> ExitCode {
    let unified = "/sys/fs/cgroup/unified";
    if Path::new(unified).exists() {
        // Of a machine with both, crun would take the wrong one. It is seen here only.
        drop(Command::new("umount").arg(unified).status());
    }
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let mut words = line.split('\t');
        let mut command = Command::new(words.next().unwrap_or_default());
        command
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let start = Instant::now();
        let status = command.status();
        let took = start.elapsed();
        match status {
            Ok(status) if status.success() => println!("{}", took.as_nanos()),
            Ok(status) => println!("{status}"),
            Err(error) => println!("{error}"),
        }
    }
    ExitCode::SUCCESS
}
