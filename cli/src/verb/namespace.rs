//! `stint namespace`: what namespaces may have, and what they have.

use clap::{Args, Subcommand};
use stint_api::id::Namespace;
use stint_api::namespace::{NamespaceSpec, NamespaceView, Quota};
use stint_api::quantity::{Bytes, Millicores};

use crate::args::{Format, Global};
use crate::connect;
use crate::show::{self, Table};

#[derive(Debug, Subcommand)]
pub(crate) enum NamespaceVerb {
    /// Decide what a namespace may have; what is not named stays as it is
    Set(SetArgs),
    /// List namespaces: weight, share, and what they have of their quota
    Ls(LsArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "What runs goes on, also beyond a smaller quota.")]
pub(crate) struct SetArgs {
    /// The namespace
    namespace: Namespace,

    /// How large its fair share is beside those of others, 1 to 1000
    #[arg(long, value_name = "N")]
    weight: Option<u32>,

    /// CPU that its slots may take together, or none for no limit
    #[arg(long, value_name = "CPU|none", value_parser = limit::<Millicores>)]
    cpu: Option<Limit<Millicores>>,

    /// Memory that its slots may take together, or none
    #[arg(long, value_name = "BYTES|none", value_parser = limit::<Bytes>)]
    memory: Option<Limit<Bytes>>,

    /// Slots that it may have, or none
    #[arg(long, value_name = "N|none", value_parser = limit::<u32>)]
    slots: Option<Limit<u32>>,

    /// Jobs that may wait and run, or none
    #[arg(long, value_name = "N|none", value_parser = limit::<u32>)]
    jobs: Option<Limit<u32>>,

    /// Whether it may have more slots than that while nobody else wants the room
    #[arg(long, value_name = "true|false")]
    borrow: Option<bool>,
}

#[derive(Debug, Args)]
pub(crate) struct LsArgs {}

/// A limit, or that there is none.
#[derive(Clone, Copy, Debug)]
struct Limit<T>(Option<T>);

fn limit<T>(text: &str) -> Result<Limit<T>, String>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    match text {
        "none" => Ok(Limit(None)),
        text => match text.parse() {
            Ok(most) => Ok(Limit(Some(most))),
            Err(error) => Err(error.to_string()),
        },
    }
}

pub(crate) async fn perform(global: Global, verb: NamespaceVerb) -> anyhow::Result<()> {
    let client = connect::required(&global)?;
    match verb {
        NamespaceVerb::Ls(LsArgs {}) => {
            let list = client.namespaces().await?;
            match global.format() {
                Format::Json => show::json(&list),
                Format::Text => print(&list.namespaces),
            }
        }
        NamespaceVerb::Set(args) => {
            let before = client.namespace(&args.namespace).await?.spec;
            let spec = args.over(&before);
            let view = client.set_namespace(&args.namespace, &spec).await?;
            match global.format() {
                Format::Json => show::json(&view),
                Format::Text => print(&[view]),
            }
        }
    }
}

impl SetArgs {
    /// What is named here, and the rest as it was.
    fn over(&self, before: &NamespaceSpec) -> NamespaceSpec {
        fn or<T: Copy>(named: Option<Limit<T>>, before: Option<T>) -> Option<T> {
            named.map_or(before, |Limit(most)| most)
        }
        let quota = before.quota;
        NamespaceSpec {
            weight: self.weight.unwrap_or(before.weight),
            borrow: self.borrow.unwrap_or(before.borrow),
            quota: Quota {
                cpu: or(self.cpu, quota.cpu),
                memory: or(self.memory, quota.memory),
                slots: or(self.slots, quota.slots),
                jobs: or(self.jobs, quota.jobs),
            },
        }
    }
}

fn print(namespaces: &[NamespaceView]) -> anyhow::Result<()> {
    let mut table = Table::new([
        "NAMESPACE",
        "WEIGHT",
        "SHARE",
        "CPU",
        "MEMORY",
        "SLOTS",
        "JOBS",
    ]);
    for one in namespaces {
        let (used, quota) = (&one.used, &one.spec.quota);
        let count =
            |used: u32, most: Option<u32>| of(used.to_string(), most.map(|most| most.to_string()));
        table.row([
            one.namespace.to_string(),
            one.spec.weight.to_string(),
            format!("{:.3}", one.share),
            of(used.cpu.to_string(), quota.cpu.map(|most| most.to_string())),
            of(show::bytes(used.memory), quota.memory.map(show::bytes)),
            count(used.slots, quota.slots),
            count(used.jobs, quota.jobs),
        ]);
    }
    Ok(table.print()?)
}

/// `3/10`, or `3` where there is no limit.
fn of(used: String, most: Option<String>) -> String {
    match most {
        Some(most) => format!("{used}/{most}"),
        None => used,
    }
}
