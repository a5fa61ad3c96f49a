//! `stint nodes`: who runs the jobs, and how much room is left.

use clap::Args;

use crate::args::{Format, Global};
use crate::connect;
use crate::show::{self, Table};

#[derive(Debug, Args)]
pub(crate) struct NodesArgs {}

pub(crate) async fn perform(global: Global, _: NodesArgs) -> anyhow::Result<()> {
    let list = connect::required(&global)?.nodes().await?;
    if global.format() == Format::Json {
        return show::json(&list);
    }
    let mut table = Table::new([
        "NODE", "STATE", "FREE", "CAPACITY", "GRANTS", "LIMITS", "LABELS", "VERSION", "HEARD",
    ]);
    for node in &list.nodes {
        let labels: Vec<String> = node
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        table.row([
            node.id.to_string(),
            show::node_state(node.state).to_owned(),
            show::resources(&node.free),
            show::resources(&node.capacity),
            node.grants.to_string(),
            node.limits.clone(),
            labels.join(","),
            node.version.clone(),
            show::moment(node.heard_at),
        ]);
    }
    Ok(table.print()?)
}
