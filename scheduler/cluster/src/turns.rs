//! Whose tasks get the next slot: of the namespaces that wait the one with the
//! least share, and of its jobs the one of highest priority, the oldest first.
//! A job that fits nowhere, or is beyond its namespace's quota, holds up those
//! behind it that want the same shape, and no other. What is left then goes to
//! namespaces that may borrow.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, btree_set};

use stint_api::id::Namespace;
use stint_api::quantity::Resources;

use crate::cluster::Cluster;
use crate::draft::Draft;
use crate::place::{Placed, To};
use crate::queue::{Line, Place, Shape};

/// The lines of one namespace, as far as they may still get something.
struct Waiting<'a> {
    namespace: &'a Namespace,
    lines: Vec<(&'a Shape, btree_set::Iter<'a, Place>)>,
    heads: BinaryHeap<Reverse<(&'a Place, usize)>>,
    /// Heads of lines that would get something but for the quota.
    beyond: Vec<Reverse<(&'a Place, usize)>>,
    to: To<'static>,
}

impl<'a> Waiting<'a> {
    fn new(namespace: &'a Namespace, lines: impl Iterator<Item = (&'a Shape, &'a Line)>) -> Self {
        let mut lines: Vec<_> = lines.map(|(shape, line)| (shape, line.iter())).collect();
        let mut heads = BinaryHeap::new();
        for (index, (_, line)) in lines.iter_mut().enumerate() {
            heads.extend(line.next().map(|place| Reverse((place, index))));
        }
        Self {
            namespace,
            lines,
            heads,
            beyond: Vec::new(),
            to: To::Any,
        }
    }

    fn head(&self) -> Option<&'a Place> {
        self.heads.peek().map(|Reverse((place, _))| *place)
    }
}

impl Cluster {
    /// Grants what fits into free room.
    pub(crate) fn fill(&mut self, draft: &mut Draft) {
        let queue = std::mem::take(&mut self.queue);
        let namespaces = queue.namespaces();
        let mut waiting: Vec<Waiting<'_>> = namespaces
            .map(|(namespace, lines)| Waiting::new(namespace, lines.iter()))
            .collect();
        // One namespace alone has its turn whatever its share is.
        let whole = (waiting.len() > 1).then(|| self.shelves.whole(&self.nodes));
        self.take_turns(draft, &mut waiting, whole.as_ref());
        // What nobody within a quota can use may be borrowed.
        for one in &mut waiting {
            if self.decided(one.namespace).borrow {
                one.heads = std::mem::take(&mut one.beyond).into();
                one.to = To::Borrowed;
            } else {
                one.heads.clear();
            }
        }
        self.take_turns(draft, &mut waiting, whole.as_ref());
        self.queue = queue;
    }

    fn take_turns(
        &mut self,
        draft: &mut Draft,
        waiting: &mut [Waiting<'_>],
        whole: Option<&Resources>,
    ) {
        let mut turns = BinaryHeap::new();
        for (index, one) in waiting.iter().enumerate() {
            let share = self.turn_of(one.namespace, whole);
            turns.extend(one.head().map(|head| Reverse((share, head, index))));
        }
        while let Some(Reverse((_, _, index))) = turns.pop() {
            let one = &mut waiting[index];
            if !self.serve(draft, one, turns.is_empty()) {
                break;
            }
            let share = self.turn_of(one.namespace, whole);
            turns.extend(one.head().map(|head| Reverse((share, head, index))));
        }
    }

    fn turn_of(&self, namespace: &Namespace, whole: Option<&Resources>) -> u128 {
        whole.map_or(0, |whole| self.share(namespace, whole))
    }

    /// Gives a namespace a slot, or all that it can have when it is `alone`; false
    /// when there is no room for anybody any more.
    fn serve(&mut self, draft: &mut Draft, one: &mut Waiting<'_>, alone: bool) -> bool {
        while let Some(Reverse((place, line))) = one.heads.pop() {
            let (shape, places) = &mut one.lines[line];
            match self.grant_next(draft, &place.job, shape, one.to) {
                Placed::Granted => {
                    one.heads.push(Reverse((place, line)));
                    if !alone {
                        return true;
                    }
                }
                Placed::Nothing => {
                    let next = places.next();
                    one.heads.extend(next.map(|place| Reverse((place, line))));
                }
                Placed::OverQuota => one.beyond.push(Reverse((place, line))),
                Placed::NoRoom if !self.shelves.has_room() => return false,
                Placed::NoRoom => {}
            }
        }
        true
    }
}
