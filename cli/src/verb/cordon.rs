//! `stint cordon` and `stint uncordon`: whether a node takes new work.

use clap::Args;
use stint_api::id::NodeId;
use stint_api::view::NodeView;

use crate::args::{Format, Global};
use crate::{connect, show};

#[derive(Debug, Args)]
#[command(after_help = "What the node has goes on; `stint drain` moves it elsewhere.")]
pub(crate) struct CordonArgs {
    /// The node, for example node-1
    node: NodeId,
}

#[derive(Debug, Args)]
pub(crate) struct UncordonArgs {
    /// The node, for example node-1
    node: NodeId,
}

pub(crate) async fn cordon(global: Global, args: CordonArgs) -> anyhow::Result<()> {
    let node = connect::required(&global)?.cordon(&args.node).await?;
    tell(&node, global.format())
}

pub(crate) async fn uncordon(global: Global, args: UncordonArgs) -> anyhow::Result<()> {
    let node = connect::required(&global)?.uncordon(&args.node).await?;
    tell(&node, global.format())
}

/// Says what the node does now.
pub(crate) fn tell(node: &NodeView, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => show::json(node),
        Format::Text => {
            show::note(&format!("{} is {}", node.id, show::node_state(node)));
            Ok(())
        }
    }
}
