//! `cargo xtask bench authors`: what a program costs that was compiled to
//! WebAssembly and is held to limits, beside the same program compiled natively.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::cluster::{Cluster, NODE};
use super::{figures, scripts, staging};
use crate::command::{command, run};
use crate::guests::{Toolchain, guests};
use crate::layout::Layout;
use crate::product;
use crate::site::Site;

/// What `examples/kernels` has, as it is named there.
const KERNELS: [&str; 6] = [
    "csv-group-by",
    "json-parse",
    "sha-256",
    "sort",
    "matmul-512",
    "monte-carlo",
];
/// Both sides take turns this often for each kernel.
const ROUNDS: usize = 5;

/// What one kernel took on both sides, in seconds.
#[derive(Default)]
struct Pair {
    native: Vec<f64>,
    ours: Vec<f64>,
}

/// Measures and prints the tables.
///
/// # Errors
/// Something could not be built or started, a job did not succeed, or the two
/// sides did not find the same.
pub(crate) fn authors(layout: &Layout) -> Result<()> {
    product::build(layout)?;
    guests(layout, Toolchain::Any)?;
    let native = layout.target.join("native");
    let args = [
        "build",
        "--quiet",
        "--release",
        "--locked",
        "--package",
        "kernels",
    ];
    let mut build = command(&layout.root.join("examples"), "cargo", &args);
    run(build.env("CARGO_TARGET_DIR", &native))?;
    let native = native.join("release/kernels");
    let dir = layout.target.join("bench");
    let site = Site::new(&layout.stint(), &dir.join("site"))?;
    scripts::prepare(layout, &site.node_dir(NODE))?;
    site.during(|| {
        let cluster = Cluster::start(layout, &site, &dir)?;
        let module = cluster.push(&layout.guest("kernels"))?;
        println!("bench: {ROUNDS} rounds of each kernel, natively and as a job");
        let mut pairs = Vec::new();
        for kernel in KERNELS {
            let mut pair = Pair::default();
            for _ in 0..ROUNDS {
                let mut plain = Command::new(&native);
                let theirs = plain.arg(kernel).stdin(Stdio::null()).output();
                let theirs = theirs.context("cannot start the native kernels")?;
                let theirs: Value = serde_json::from_slice(&theirs.stdout)?;
                let ours = cluster.result(&module, kernel)?;
                ensure!(
                    theirs["found"] == ours["found"],
                    "{kernel}: {theirs} natively, {ours} as a job"
                );
                pair.native.extend(seconds(&theirs)?);
                pair.ours.extend(seconds(&ours)?);
            }
            pairs.push((kernel, pair));
        }
        println!("\n{}", figures::machine("1"));
        println!("limits: {}\n", cluster.limits());
        print(&pairs);
        println!();
        scripts::scripts(layout, &site)?;
        println!();
        staging::staging(layout)
    })
}

/// All runs but the first, which finds its memory untouched.
fn seconds(result: &Value) -> Result<Vec<f64>> {
    let all = result["seconds"].as_array().context("times")?;
    all.iter()
        .skip(1)
        .map(|time| time.as_f64().context("a time"))
        .collect()
}

fn print(pairs: &[(&str, Pair)]) {
    println!(
        "{:<14} {:>12} {:>12} {:>10}",
        "kernel", "native -O3", "job", "× native"
    );
    let mut logs = 0.0;
    for (kernel, pair) in pairs {
        let (native, ours) = (median(&pair.native), median(&pair.ours));
        logs += (ours / native).ln();
        println!(
            "{kernel:<14} {:>9.2} ms {:>9.2} ms {:>10.2}",
            native * 1e3,
            ours * 1e3,
            ours / native
        );
    }
    let mean = (logs / pairs.len() as f64).exp();
    println!("{:<40} {mean:>10.2}", "geometric mean");
}

fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_run_does_not_count() {
        let result = serde_json::json!({"seconds": [9.0, 1.0, 3.0, 2.0]});
        let times = seconds(&result).unwrap();
        assert_eq!(times.len(), 3);
        assert!((median(&times) - 2.0).abs() < 1e-9);
        assert!(seconds(&serde_json::json!({})).is_err());
    }
}
