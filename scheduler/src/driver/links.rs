//! The orders streams that nodes hold open, and which generation opened each.

use std::collections::HashMap;

use stint_api::id::{Generation, NodeId};
use stint_api::link::Orders;
use tokio::sync::mpsc;

/// Lines that wait for a node that reads slowly; beyond, its stream is cut and
/// the next one starts with everything in full.
const LINES_MAX: usize = 256;

/// Where orders leave the driver.
#[derive(Debug, Default)]
pub(crate) struct Links {
    open: HashMap<NodeId, Link>,
}

#[derive(Debug)]
struct Link {
    generation: Generation,
    lines: mpsc::Sender<Orders>,
}

/// A stream that was opened: its first line, and those that follow.
#[derive(Debug)]
pub(crate) struct OpenLink {
    pub(crate) full: Orders,
    pub(crate) lines: mpsc::Receiver<Orders>,
}

impl Links {
    /// Opens the stream of a node, in place of the one that it had.
    pub(crate) fn open(&mut self, node: NodeId, full: Orders) -> OpenLink {
        let (sender, lines) = mpsc::channel(LINES_MAX);
        let link = Link {
            generation: full.generation,
            lines: sender,
        };
        self.open.insert(node, link);
        OpenLink { full, lines }
    }

    /// Ends the stream of a node that says hello again.
    pub(crate) fn close(&mut self, node: &NodeId) {
        self.open.remove(node);
    }

    /// Sends committed orders; without a stream of their generation they are
    /// dropped, for the next stream begins with all of them.
    pub(crate) fn send(&mut self, node: &NodeId, orders: Orders) {
        let Some(link) = self.open.get(node) else {
            return;
        };
        if link.generation == orders.generation && link.lines.try_send(orders).is_err() {
            tracing::warn!(%node, "the orders stream is cut: the node does not read it");
            self.open.remove(node);
        }
    }
}
