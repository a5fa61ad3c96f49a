//! The keeper's loop: waits until something is ready or due, does it, says what
//! is to be said; and when there is nothing of that, tidies up. One thread, one place to wait, and nothing that blocks but the
//! kernel's own work on a cgroup.
//!
//! ```text
//!          node gone, lease over, nothing runs (outlives)
//!          node gone (with the node)
//!          exit order, signal
//! keeping ───────────────────────────────────▶ ending ── all reaped, or too long ──▶ gone
//! ```

use std::io;
use std::os::unix::net::UnixListener;

use stint_api::outcome::Outcome;
use stint_api::time::Span;

use super::bell::Bell;
use super::clock::BootTime;
use super::held::Held;
use super::home::Home;
use super::link::Peers;
use super::options::Lifetime;
use super::protocol::ToKeeper;
use super::slot::Ready;
use super::watch::{Serial, Topic, Watch};

/// Longest wait for the first node. Whoever starts a keeper connects at once.
const FIRST_NODE_WITHIN: Span = Span::from_secs(5);
/// Longest that killed children may take to die and a node to hear of it. A
/// child that the kernel does not let go by then dies whenever it does.
const ENDING_WITHIN: Span = Span::from_secs(10);
/// Connections accepted in one turn.
const ACCEPTED_AT_ONCE: usize = 8;
/// How long no connection is accepted after that failed: for want of
/// descriptors or memory, which it would fail for again at once.
const DEAF_FOR: Span = Span::from_millis(100);

/// How many turns tidying is put off while attempts come and go. A turn is an order
/// or a word of a worker, and an attempt takes four of them.
const PUT_OFF_MAX: u32 = 4;
/// Most that is left to be cleared away: leaves that are empty, and descriptors. An attempt leaves four of them.
const LEFT_MAX: usize = 32;
/// How long it is put off while one is about to start or to end: somebody waits for that.
const PUT_OFF_FOR: Span = Span::from_millis(1);

/// A keeper at work.
#[derive(Debug)]
pub(crate) struct Keeper {
    home: Home,
    lifetime: Lifetime,
    bell: Bell,
    listener: UnixListener,
    watch: Watch,
    peers: Peers,
    held: Held,
    born: BootTime,
    /// Until when no connection is accepted.
    deaf_until: Option<BootTime>,
    /// When it goes whatever is left; absent while it keeps.
    ending: Option<BootTime>,
    /// Turns since something untidy was left as it is.
    put_off: u32,
}

impl Keeper {
    /// A keeper that can be found by the node from now on.
    pub(crate) fn new(
        home: Home,
        listener: UnixListener,
        bell: Bell,
        held: Held,
        lifetime: Lifetime,
    ) -> io::Result<Self> {
        let watch = Watch::new()?;
        watch.add(&bell, Topic::Bell)?;
        watch.add(&listener, Topic::Listener)?;
        Ok(Self {
            home,
            lifetime,
            bell,
            listener,
            watch,
            peers: Peers::default(),
            held,
            born: BootTime::now(),
            deaf_until: None,
            ending: None,
            put_off: 0,
        })
    }

    /// Keeps until there is nothing left to keep, or it is told to end.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut topics = Vec::new();
        loop {
            let now = BootTime::now();
            self.tick(now)?;
            let words = self.held.take_words();
            self.peers.say(&words, &self.held);
            self.peers.tidy(&self.watch, now, self.ending.is_some());
            self.consider(now)?;
            if self.is_over(now) {
                break;
            }
            let busy = self.peers.busy();
            let untidy = self.held.is_untidy();
            let calm = self.held.is_calm(now);
            let soon = (untidy && !calm).then(|| now.after(PUT_OFF_FOR));
            let wake = self.wake().into_iter().chain(soon).min();
            let at_once = (untidy && calm) || !busy.is_empty();
            self.watch.wait(wake, at_once, &mut topics)?;
            let idle = calm && topics.is_empty() && busy.is_empty();
            self.tidy(untidy, idle);
            for topic in &topics {
                self.turn(*topic)?;
            }
            for serial in busy {
                self.obey(serial)?;
            }
        }
        // The node takes the end of its connection for the end of everything.
        self.held.close();
        drop(self.peers);
        Ok(())
    }

    /// Does one of the things that nobody waits for, when there is nothing else to
    /// do. What would pile up is cleared away now and then although there is; but a worker that is to wait
    /// is born only then: while attempts come one after another, to warm up takes
    /// CPU time from them, and whoever finds nobody has one born for itself.
    fn tidy(&mut self, untidy: bool, idle: bool) {
        while self.held.left() > LEFT_MAX {
            self.held.clear();
        }
        self.put_off = if untidy { self.put_off + 1 } else { 0 };
        if untidy && (idle || self.put_off > PUT_OFF_MAX) {
            self.put_off = 0;
            if !self.held.clear() && idle {
                self.held.refill(&mut self.watch, BootTime::now());
            }
        }
    }

    /// When something is due next.
    fn wake(&self) -> Option<BootTime> {
        let first_node = (!self.peers.has_met()).then(|| self.born.after(FIRST_NODE_WITHIN));
        let due = [
            self.held.wake(),
            self.peers.wake(),
            self.deaf_until,
            self.ending.or(first_node),
        ];
        due.into_iter().flatten().min()
    }

    /// Does what is due.
    fn tick(&mut self, now: BootTime) -> io::Result<()> {
        self.held.tick(&mut self.watch, now);
        if self.deaf_until.is_some_and(|until| now >= until) {
            self.deaf_until = None;
            if self.ending.is_none() {
                self.watch.add(&self.listener, Topic::Listener)?;
            }
        }
        Ok(())
    }

    /// Does what is ready.
    fn turn(&mut self, topic: Topic) -> io::Result<()> {
        let ready = Ready::default();
        match topic {
            Topic::Timer => {}
            Topic::Bell => {
                tracing::info!("a signal ends this keeper");
                self.watch.remove(&self.bell)?;
                self.end(&Outcome::Drained)?;
            }
            Topic::Listener => self.accept()?,
            Topic::Peer(serial) => self.obey(serial)?,
            Topic::Wire(serial) => self.child(
                serial,
                Ready {
                    wire: true,
                    ..ready
                },
            ),
            Topic::Ended(serial) => self.child(
                serial,
                Ready {
                    ended: true,
                    ..ready
                },
            ),
            Topic::Memory(serial) => self.child(
                serial,
                Ready {
                    memory: true,
                    ..ready
                },
            ),
        }
        Ok(())
    }

    fn child(&mut self, serial: Serial, ready: Ready) {
        self.held
            .turn(serial, ready, &mut self.watch, BootTime::now());
    }

    fn accept(&mut self) -> io::Result<()> {
        for _ in 0..ACCEPTED_AT_ONCE {
            let now = BootTime::now();
            let accepted = self
                .listener
                .accept()
                .and_then(|(stream, _)| self.peers.accept(stream, &mut self.watch, now));
            match accepted {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    self.watch.remove(&self.listener)?;
                    self.deaf_until = Some(now.after(DEAF_FOR));
                    break;
                }
            }
        }
        Ok(())
    }

    /// Takes what a connection says.
    fn obey(&mut self, serial: Serial) -> io::Result<()> {
        for order in self.peers.hear(serial, &self.held) {
            let (held, watch, now) = (&mut self.held, &mut self.watch, BootTime::now());
            match order {
                // Taken where connections are.
                ToKeeper::Hello { .. } => {}
                ToKeeper::Lease { until } => held.lease(until, now),
                ToKeeper::Start(order) => held.start(*order, watch, now),
                ToKeeper::Kill { attempt, why } => held.kill(&attempt, why),
                ToKeeper::Discard { attempt } => held.discard(&attempt),
                ToKeeper::Compile(order) => held.compile(order, watch, now),
                ToKeeper::StopAll { why } => held.kill_all(&why),
                ToKeeper::Exit => self.end(&Outcome::Drained)?,
            }
        }
        Ok(())
    }

    /// Whether anybody still needs this keeper.
    fn consider(&mut self, now: BootTime) -> io::Result<()> {
        let waiting = !self.peers.has_met() && now < self.born.after(FIRST_NODE_WITHIN);
        if self.peers.has_node() || waiting {
            return Ok(());
        }
        let alone = self.peers.is_empty();
        match self.lifetime {
            Lifetime::WithNode if self.peers.has_met() || alone => self.end(&Outcome::NodeLost),
            Lifetime::Outlives if alone && self.held.is_idle() && !self.held.has_lease(now) => {
                self.end(&Outcome::NodeLost)
            }
            Lifetime::WithNode | Lifetime::Outlives => Ok(()),
        }
    }

    /// Kills everything, with `why`, and takes no new connection.
    fn end(&mut self, why: &Outcome) -> io::Result<()> {
        if self.ending.is_some() {
            return Ok(());
        }
        let now = BootTime::now();
        self.ending = Some(now.after(ENDING_WITHIN));
        self.held.stop(why, &self.watch, now);
        if self.deaf_until.is_none() {
            self.watch.remove(&self.listener)?;
        }
        self.home.silence()
    }

    fn is_over(&self, now: BootTime) -> bool {
        self.ending.is_some_and(|until| {
            let done = self.held.is_empty() && self.peers.is_clear();
            done || now >= until
        })
    }
}
