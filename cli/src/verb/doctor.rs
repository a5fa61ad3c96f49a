//! `stint doctor`: what works on this machine, tried rather than guessed: it
//! even runs a job.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::process::{PidfdFlags, getpid, pidfd_open};
use serde::Serialize;
use stint_api::quantity::Resources;
use stint_runtime::node::capacity_detected;
use stint_runtime::{jail_probe, limits_probe};

use super::run::trial;
use crate::args::{Format, Global};
use crate::failure::Shown;
use crate::limits::{LimitsArgs, without_cgroups};
use crate::report::Report;
use crate::{connect, places, show};

/// The smallest job: `(module (func (export "_start")))`.
const TRIAL: &[u8] = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\
\x07\x0a\x01\x06_start\0\0\x0a\x04\x01\x02\0\x0b";

#[derive(Debug, Args)]
#[command(after_help = "Exit code 1 when something is missing that jobs cannot do without.")]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    limits: LimitsArgs,
}

/// All that was found.
#[derive(Debug, Serialize)]
struct Findings {
    /// Whether jobs run here.
    ok: bool,
    version: &'static str,
    /// `cgroup v1`, `cgroup v2` or `wasmtime only: <why>`.
    limits: String,
    jail: String,
    capacity: Resources,
    kernel: Kernel,
    places: Places,
    server: Option<Server>,
    trial: Trial,
}

#[derive(Debug, Serialize)]
struct Kernel {
    release: String,
    features: Vec<Feature>,
}

/// What the kernel must be able to do.
#[derive(Debug, Serialize)]
struct Feature {
    name: &'static str,
    /// What it is for.
    purpose: &'static str,
    works: bool,
    /// What the kernel said.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// Where data goes when no flag says otherwise.
#[derive(Debug, Serialize)]
struct Places {
    scheduler: Option<PathBuf>,
    node: Option<PathBuf>,
    dev: Option<PathBuf>,
    /// Compiled modules of `run` and `dev`.
    artifacts: Option<PathBuf>,
    /// What `run` keeps while it runs.
    run: PathBuf,
}

/// The scheduler that verbs would talk to.
#[derive(Debug, Serialize)]
struct Server {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Shown>,
}

/// The job that was run.
#[derive(Debug, Serialize)]
struct Trial {
    works: bool,
    /// With scheduler, node and keeper started and stopped.
    seconds: f64,
    report: Report,
}

pub(crate) async fn perform(global: Global, args: DoctorArgs) -> anyhow::Result<ExitCode> {
    let run = places::temporary();
    let features = features();
    let started = Instant::now();
    let report = trial(args.limits, TRIAL).await?;
    let trial = Trial {
        works: report.error.is_none(),
        seconds: started.elapsed().as_secs_f64(),
        report,
    };
    // A node that could not start has not said how it would do it.
    let limits = trial.report.limits.clone().unwrap_or_else(limits_probe);
    let findings = Findings {
        ok: trial.works && features.iter().all(|feature| feature.works),
        version: env!("CARGO_PKG_VERSION"),
        limits,
        jail: jail_probe(),
        capacity: capacity_detected(&run),
        kernel: Kernel {
            release: rustix::system::uname().release().to_string_lossy().into(),
            features,
        },
        places: Places {
            scheduler: places::data("scheduler", "").ok(),
            node: places::data("node-NAME", "").ok(),
            dev: places::data("dev", "").ok(),
            artifacts: places::artifacts(),
            run,
        },
        server: server(&global).await,
        trial,
    };
    match global.format() {
        Format::Json => show::json(&findings)?,
        Format::Text => show::line(&text(&findings)?)?,
    }
    Ok(ExitCode::from(u8::from(!findings.ok)))
}

fn features() -> Vec<Feature> {
    let feature = |name, purpose, tried: Result<(), rustix::io::Errno>| Feature {
        name,
        purpose,
        works: tried.is_ok(),
        why: tried.err().map(|errno| errno.to_string()),
    };
    vec![
        feature(
            "pidfd",
            "to kill and await exactly the worker that is meant",
            pidfd_open(getpid(), PidfdFlags::empty()).map(drop),
        ),
        feature(
            "openat2",
            "to open inputs without following links that lead out",
            openat2(
                CWD,
                ".",
                OFlags::PATH | OFlags::CLOEXEC,
                Mode::empty(),
                ResolveFlags::BENEATH,
            )
            .map(drop),
        ),
    ]
}

async fn server(global: &Global) -> Option<Server> {
    let asked = match connect::configured(global) {
        Ok(None) => return None,
        Ok(Some(client)) => client.nodes().await.map(drop).map_err(anyhow::Error::from),
        Err(error) => Err(error),
    };
    Some(Server {
        url: global.server.clone().unwrap_or_default(),
        error: asked.err().map(|error| Shown::new(&error)),
    })
}

fn text(findings: &Findings) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let kernel = &findings.kernel;
    writeln!(
        text,
        "stint      {}, Linux {}",
        findings.version, kernel.release
    )?;
    match without_cgroups(&findings.limits) {
        None => writeln!(
            text,
            "limits     {}: the kernel holds CPU, memory and processes",
            findings.limits
        )?,
        Some(why) => writeln!(
            text,
            "limits     the engine alone: memory and time hold, CPU does not\n           why: {why}\n\
             \x20          for cgroups: run as root, or with `systemd-run --user --scope -p Delegate=yes stint …`"
        )?,
    }
    writeln!(text, "jail       {}", findings.jail)?;
    writeln!(text, "capacity   {}", show::resources(&findings.capacity))?;
    for feature in &kernel.features {
        let works = match &feature.why {
            None => "works".to_owned(),
            Some(why) => format!("missing, needed {} ({why})", feature.purpose),
        };
        writeln!(text, "{:<10} {works}", feature.name)?;
    }
    places_text(&findings.places, &mut text)?;
    match &findings.server {
        None => writeln!(text, "scheduler  none is named; `stint run` brings its own")?,
        Some(Server { url, error: None }) => writeln!(text, "scheduler  {url} answers")?,
        Some(Server {
            error: Some(shown), ..
        }) => {
            writeln!(text, "scheduler  {}", shown.message)?;
        }
    }
    let trial = &findings.trial;
    match &trial.report.error {
        None => writeln!(
            text,
            "trial job  ran; scheduler, node and job took {:.2}s together",
            trial.seconds
        )?,
        Some(shown) => writeln!(text, "trial job  {}", shown.message)?,
    }
    write!(
        text,
        "{}",
        if findings.ok {
            "jobs run here"
        } else {
            "jobs do not run here; see above what is missing"
        }
    )?;
    Ok(text)
}

fn places_text(places: &Places, text: &mut String) -> std::fmt::Result {
    for (who, place) in [
        ("serve", places.scheduler.as_ref()),
        ("node", places.node.as_ref()),
        ("dev", places.dev.as_ref()),
        ("run", Some(&places.run)),
        ("compiled", places.artifacts.as_ref()),
    ] {
        let place = match place {
            Some(place) => place.display().to_string(),
            None => "nowhere: HOME is not set".to_owned(),
        };
        writeln!(text, "data       {who:<9} {place}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_asked_not_guessed() {
        for feature in features() {
            assert_eq!(feature.works, feature.why.is_none(), "{}", feature.name);
        }
    }
}
