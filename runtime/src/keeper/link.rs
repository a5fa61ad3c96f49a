//! Connections to the keeper, and which of them speaks for the node: the newest
//! that said hello.
//!
//! ```text
//! accepted ── hello ──▶ node ── a newer one says hello, breaks the protocol, or closes ──▶ gone
//!     └── silent for too long, or anything but hello ──▶ gone
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::unix::net::UnixStream;

use stint_api::time::Span;

use super::clock::BootTime;
use super::held::{Held, Item};
use super::limits::chain;
use super::protocol::{FromKeeper, PROTOCOL, ToKeeper};
use super::watch::{Interest, Serial, Topic, Watch};
use super::wire::{Flow, Speech, Wire, WireError};
use crate::frame::{Channel, NODE_FRAME_BYTES_MAX};

/// How a keeper speaks to a node.
const SPEECH: Speech = Speech {
    channel: Channel::Node,
    out_bytes_max: NODE_FRAME_BYTES_MAX,
    in_bytes_max: NODE_FRAME_BYTES_MAX,
};
/// Connections at once; only one of them is of use. The oldest goes for a new one.
const PEERS_MAX: usize = 8;
/// Longest until a connection says hello; it is the first thing a node does.
const HELLO_WITHIN: Span = Span::from_secs(5);
/// Orders taken from a connection in one turn. Each may cost a millisecond, and
/// the deadlines of slots that run must not wait for a hundred of them.
const ORDERS_AT_ONCE: usize = 4;

/// A connection.
#[derive(Debug)]
struct Peer {
    wire: Wire,
    interest: Interest,
    /// When it must have said hello; absent once it has.
    hello_until: Option<BootTime>,
    /// What it is still to be told of what is held, as far as there is room.
    items: VecDeque<Item>,
    /// Whether more orders have come than were taken.
    more: bool,
    /// Whether it closed its half.
    ended: bool,
}

/// All connections.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    peers: BTreeMap<Serial, Peer>,
    /// Which one speaks for the node.
    node: Option<Serial>,
    /// Whether there ever was one.
    met: bool,
}

impl Peers {
    /// Takes a new connection.
    pub(crate) fn accept(
        &mut self,
        stream: UnixStream,
        watch: &mut Watch,
        now: BootTime,
    ) -> io::Result<()> {
        if self.peers.len() >= PEERS_MAX {
            let oldest = self.peers.keys().find(|serial| Some(**serial) != self.node);
            if let Some(oldest) = oldest.copied() {
                self.peers.remove(&oldest);
            }
        }
        let mut peer = Peer {
            wire: Wire::new(stream, SPEECH)?,
            interest: Interest::default(),
            hello_until: Some(now.after(HELLO_WITHIN)),
            items: VecDeque::new(),
            more: false,
            ended: false,
        };
        let serial = watch.serial();
        peer.watch(serial, watch)?;
        self.peers.insert(serial, peer);
        Ok(())
    }

    /// Whether a node is connected.
    pub(crate) fn has_node(&self) -> bool {
        self.node.is_some()
    }

    /// Whether a node ever was.
    pub(crate) fn has_met(&self) -> bool {
        self.met
    }

    /// Whether nobody is connected.
    pub(crate) fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// Whether the node has been told everything, as far as it listens.
    pub(crate) fn is_clear(&self) -> bool {
        let node = self.node.and_then(|serial| self.peers.get(&serial));
        node.is_none_or(|node| node.wire.is_clear() && node.items.is_empty())
    }

    /// Connections of which more orders are to be taken without waiting.
    pub(crate) fn busy(&self) -> Vec<Serial> {
        let busy = self.peers.iter().filter(|(_, peer)| peer.more);
        busy.map(|(serial, _)| *serial).collect()
    }

    /// Reads from a connection: the orders in it, hello apart.
    pub(crate) fn hear(&mut self, serial: Serial, held: &Held) -> Vec<ToKeeper> {
        let Some(peer) = self.peers.get_mut(&serial) else {
            return Vec::new();
        };
        match peer.hear() {
            Ok(messages) => self.greet(serial, messages, held),
            Err(error) => {
                tracing::warn!(error = chain(&error), "a connection broke the protocol");
                self.drop(serial);
                Vec::new()
            }
        }
    }

    /// Takes hello out of what a connection said.
    fn greet(&mut self, serial: Serial, messages: Vec<ToKeeper>, held: &Held) -> Vec<ToKeeper> {
        let mut orders = Vec::new();
        for message in messages {
            match message {
                ToKeeper::Hello { protocol } if protocol == PROTOCOL => {
                    self.become_node(serial, held);
                }
                ToKeeper::Hello { protocol } => {
                    tracing::warn!(protocol, "a node of another version came");
                    // It reads this much, and no more of what would follow.
                    if let Some(peer) = self.peers.get_mut(&serial)
                        && let Err(error) = peer.wire.send(&held.greeting())
                    {
                        tracing::debug!(error = chain(&error), "it went");
                    }
                    self.drop(serial);
                    break;
                }
                order if self.node == Some(serial) => orders.push(order),
                _ => {
                    tracing::warn!("a connection gave orders before it said hello");
                    self.drop(serial);
                    break;
                }
            }
        }
        orders
    }

    fn become_node(&mut self, serial: Serial, held: &Held) {
        if let Some(older) = self.node.filter(|older| *older != serial) {
            tracing::info!("a newer connection of the node replaces its older one");
            self.peers.remove(&older);
        }
        if let Some(peer) = self.peers.get_mut(&serial) {
            peer.hello_until = None;
            peer.items = held.items().collect();
            self.node = Some(serial);
            self.met = true;
        }
    }

    fn drop(&mut self, serial: Serial) {
        self.peers.remove(&serial);
        if self.node == Some(serial) {
            self.node = None;
        }
    }

    /// Says to the node what is to be said; without a node nobody hears it, and
    /// the next is told what is held.
    pub(crate) fn say(&mut self, words: &[FromKeeper], held: &Held) {
        let Some(serial) = self.node else {
            return;
        };
        let Some(peer) = self.peers.get_mut(&serial) else {
            return;
        };
        if let Err(error) = peer.say(words, held) {
            tracing::warn!(error = chain(&error), "the node cannot be told");
            self.drop(serial);
        }
    }

    /// Lets go of who closed or was silent, unless `last` words are still to be
    /// said, and watches the others for what they want now.
    pub(crate) fn tidy(&mut self, watch: &Watch, now: BootTime, last: bool) {
        let mut gone = Vec::new();
        for (serial, peer) in &mut self.peers {
            let silent = peer.hello_until.is_some_and(|until| now >= until);
            let closed = peer.ended && !peer.more && !last;
            if silent || closed || peer.watch(*serial, watch).is_err() {
                gone.push(*serial);
            }
        }
        for serial in gone {
            self.drop(serial);
        }
    }

    /// When it wants [`Peers::tidy`].
    pub(crate) fn wake(&self) -> Option<BootTime> {
        self.peers
            .values()
            .filter_map(|peer| peer.hello_until)
            .min()
    }
}

impl Peer {
    fn watch(&mut self, serial: Serial, watch: &Watch) -> io::Result<()> {
        let wanted = self.wire.interest();
        watch.follow(&self.wire, Topic::Peer(serial), &mut self.interest, wanted)
    }

    /// Sends and reads what goes, and takes a few messages.
    fn hear(&mut self) -> Result<Vec<ToKeeper>, WireError> {
        self.wire.flush()?;
        if !self.more && self.wire.fill() == Flow::Ended {
            self.ended = true;
        }
        let mut messages = Vec::new();
        while messages.len() < ORDERS_AT_ONCE {
            match self.wire.take()? {
                Some(message) => messages.push(message),
                None => {
                    self.more = false;
                    return Ok(messages);
                }
            }
        }
        self.more = true;
        Ok(messages)
    }

    fn say(&mut self, words: &[FromKeeper], held: &Held) -> Result<(), WireError> {
        for word in words {
            self.wire.send(word)?;
        }
        while self.wire.is_clear()
            && let Some(item) = self.items.pop_front()
        {
            if let Some(word) = held.tell(&item) {
                self.wire.send(&word)?;
            }
        }
        Ok(())
    }
}
