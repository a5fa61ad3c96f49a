//! `stint drain`: moves a node's work elsewhere.

use clap::Args;
use stint_api::id::NodeId;
use stint_api::time::Span;

use super::cordon::tell;
use crate::args::Global;
use crate::connect;

#[derive(Debug, Args)]
#[command(
    after_help = "What is not begun goes elsewhere at once. What still runs when the time is over is \
stopped, ends as `drained`, and runs again elsewhere. `stint nodes` shows when the node is drained; \
`stint uncordon` lets it take work again."
)]
pub(crate) struct DrainArgs {
    /// The node, for example node-1
    node: NodeId,

    /// How long what runs there has to end by itself; 0s stops it at once
    #[arg(long, value_name = "TIME", default_value = "30s")]
    within: Span,
}

pub(crate) async fn perform(global: Global, args: DrainArgs) -> anyhow::Result<()> {
    let client = connect::required(&global)?;
    let node = client.drain(&args.node, args.within).await?;
    tell(&node, global.format())
}
