//! `cargo xtask demo`: what a person would type, on a scheduler and two nodes.

mod flights;
mod limits;
mod losses;

mod data;
mod shell;
mod year;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::guests::{self, Toolchain};
use crate::layout::Layout;
use crate::product;
use crate::site::{Site, wait_for};
use shell::Shell;

/// Long enough for a busy machine, short enough to watch a node being missed.
const LEASE: &str = "3s";
/// What each node offers, so that the demo places the same on every machine.
const CAPACITY: &str = "cpu=2,memory=1Gi,scratch=1Gi";
/// Both nodes.
const NODES: [&str; 2] = ["node-a", "node-b"];
/// Longest that scheduler and nodes may take to be ready.
const READY_BOUND: Duration = Duration::from_secs(60);

/// What one scene has shown.
struct Shown {
    what: &'static str,
    job: String,
    came: String,
}

/// A cluster with something to type into.
struct Stage {
    shell: Shell,
    site: Site,
    /// Where inputs may be, on the nodes.
    inputs: std::path::PathBuf,
}

/// Runs every scene; each checks what it shows.
///
/// # Errors
/// Something could not be built or started, or did not come as promised.
pub(crate) fn demo(layout: &Layout, toolchain: Toolchain) -> Result<()> {
    guests::guests(layout, toolchain)?;
    product::build(layout)?;
    let table = data::flights(layout)?;
    println!("data: {}", layout.short(&table).display());

    let start = Instant::now();
    let site = Site::new(&layout.stint(), &layout.target.join("demo/site"))?;
    let played = site.during(|| play(layout, &site, &table));
    let shown = played.with_context(|| {
        let logs = layout.target.join("demo/site");
        format!(
            "the demo failed; its logs are in {}",
            layout.short(&logs).display()
        )
    })?;
    summary(&shown, start.elapsed());
    Ok(())
}

fn play(layout: &Layout, site: &Site, table: &Path) -> Result<Vec<Shown>> {
    let inputs = table.parent().context("the table is in a directory")?;
    let stage = Stage {
        shell: Shell::new(layout, &site.url()),
        site: site.clone(),
        inputs: inputs.to_owned(),
    };
    stage.open()?;
    Ok(vec![
        flights::scene(&stage, layout, table)?,
        limits::memory(&stage, layout)?,
        limits::time(&stage, layout)?,
        limits::retries(&stage, layout)?,
        losses::node_process(&stage, layout)?,
        losses::whole_node(&stage, layout)?,
    ])
}

impl Stage {
    /// Starts a scheduler and two nodes and waits until they are ready.
    fn open(&self) -> Result<()> {
        title("a scheduler and two nodes");
        let scheduler = self.site.scheduler(LEASE);
        self.shell.say_background(&scheduler);
        self.site.start("scheduler", scheduler)?;
        println!("$ export STINT_SERVER={}", self.site.url());
        for name in NODES {
            self.start_node(name)?;
        }
        for name in NODES {
            self.wait_for_node(name, "ready")?;
        }
        self.shell.show(&["nodes"]).map(drop)
    }

    fn start_node(&self, name: &str) -> Result<()> {
        let node = self.site.node(name, CAPACITY, &self.inputs);
        self.shell.say_background(&node);
        self.site.start(name, node)
    }

    fn wait_for_node(&self, name: &str, state: &str) -> Result<()> {
        wait_for(&format!("{name} is {state}"), READY_BOUND, || {
            // Before the scheduler listens there is nobody to ask.
            let nodes = self.shell.ask(&["nodes"]).unwrap_or_default();
            let nodes = nodes["nodes"].as_array().cloned().unwrap_or_default();
            let is = |node: &serde_json::Value| node["id"] == name && node["state"] == state;
            Ok(nodes.iter().any(is).then_some(()))
        })
    }
}

fn title(text: &str) {
    println!("\n━━ {text}\n");
}

fn summary(shown: &[Shown], took: Duration) {
    title("what was shown");
    for scene in shown {
        println!("  {:<44} {:<12} {}", scene.what, scene.job, scene.came);
    }
    println!(
        "\nAll {} as promised, in {:.0} s.",
        shown.len(),
        took.as_secs_f64()
    );
}
