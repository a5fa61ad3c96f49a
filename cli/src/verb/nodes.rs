//! `stint nodes`: who runs the jobs, and how much room is left.

use clap::Args;
use stint_api::view::NodeView;

use crate::args::{Format, Global};
use crate::connect;
use crate::show::{self, Table};

#[derive(Debug, Args)]
#[command(after_help = "Of CPU, memory and scratch it shows what is free and what there is.")]
pub(crate) struct NodesArgs {}

pub(crate) async fn perform(global: Global, _: NodesArgs) -> anyhow::Result<()> {
    let list = connect::required(&global)?.nodes().await?;
    if global.format() == Format::Json {
        return show::json(&list);
    }
    let mut table = Table::new([
        "NODE", "STATE", "CPU", "MEMORY", "SCRATCH", "GRANTS", "LIMITS", "LABELS", "VERSION",
        "HEARD",
    ]);
    for node in &list.nodes {
        table.row(row(node));
    }
    Ok(table.print()?)
}

fn row(node: &NodeView) -> [String; 10] {
    let labels: Vec<String> = node
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let (free, all) = (&node.free, &node.capacity);
    // Why there are no cgroups is long; --json has it.
    let limits = node.limits.split(':').next().unwrap_or_default();
    [
        node.id.to_string(),
        show::node_state(node),
        format!("{}/{}", free.cpu, all.cpu),
        format!("{}/{}", show::bytes(free.memory), show::bytes(all.memory)),
        format!("{}/{}", show::bytes(free.scratch), show::bytes(all.scratch)),
        node.grants.to_string(),
        limits.to_owned(),
        labels.join(","),
        node.version.clone(),
        show::moment(node.heard_at),
    ]
}
