//! A node says goodbye: everything that it ran is dead, and it will not act again
//! before its next hello. So there is nothing to wait for: what it still held runs
//! elsewhere at once, and it is not listed any more.
//!
//! Its record stays, for its generation is the fence: what was said before and comes
//! late must not be taken for the words of a node that joins anew under its name.
//! What somebody decided about it stays too.

use stint_api::id::{Generation, NodeId};
use stint_api::time::Time;
use stint_api::view::NodeState;

use crate::cluster::Cluster;
use crate::draft::Draft;
use crate::effects::Effects;
use crate::report::StaleGeneration;

/// Most nodes that have left and are remembered. Where machines come and go under
/// new names all day, whatever the oldest of so many said has arrived or never will.
const LEFT_MAX: usize = 1_000;

impl Cluster {
    /// A node has left for good, or until it says hello again.
    ///
    /// # Errors
    /// The node said hello since; nothing changed.
    pub fn goodbye(
        &mut self,
        now: Time,
        id: &NodeId,
        generation: Generation,
    ) -> Result<Effects, StaleGeneration> {
        let node = id.clone();
        let known = self.nodes.get(id);
        let Some(newest) = known.map(|known| known.record.generation) else {
            return Err(StaleGeneration::Unknown { node });
        };
        if newest != generation {
            let theirs = generation;
            return Err(StaleGeneration::Older {
                node,
                theirs,
                newest,
            });
        }
        let mut draft = self.begin(now);
        self.lose_all(&mut draft, id);
        if let Some(node) = self.nodes.get_mut(id) {
            node.record.state = NodeState::Lost;
            node.record.left = true;
            node.record.heard_at = now;
            self.shelves.altered(id, node);
        }
        let ready = self.nodes.values().filter(|node| node.is_ready());
        self.heard_since = ready.map(|node| node.heard_at).min();
        draft.nodes.insert(id.clone());
        draft.place = true;
        self.forget_left(&mut draft);
        Ok(self.seal(draft))
    }

    /// Forgets the node that left first, when there are too many.
    fn forget_left(&mut self, draft: &mut Draft) {
        let left = self.nodes.iter().filter(|(_, node)| node.record.left);
        let (count, first) = left.fold((0, None), |(count, first), (id, node)| {
            let this = (node.record.heard_at, id);
            (count + 1, Some(first.map_or(this, |first| this.min(first))))
        });
        if count <= LEFT_MAX {
            return;
        }
        if let Some(id) = first.map(|(_, id)| id.clone()) {
            if let Some(node) = self.nodes.remove(&id) {
                self.shelves.forget(&id, &node);
            }
            draft.nodes.insert(id);
        }
    }
}
