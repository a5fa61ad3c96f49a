//! What the keeper waits for: descriptors, each with a topic, and one timer on
//! the boot clock. A wait that poll would be told instead counts no time asleep,
//! and a laptop that wakes must not run a slot past its lease.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

use super::clock::BootTime;
use super::process::Process;
use super::wire::Wire;

/// Events taken at once; more wait in the kernel, and come in turn.
const EVENTS_AT_ONCE: usize = 256;
/// Low bits of a token, which say what of a serial number it is about.
const TOPIC_BITS: u32 = 3;

/// Names a connection or a child for as long as the keeper lives; never used twice.
pub(crate) type Serial = u64;

/// What is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    /// The time that was asked for has come.
    Timer,
    /// The keeper is asked to end.
    Bell,
    /// Somebody connects.
    Listener,
    /// A connection can be read or written.
    Peer(Serial),
    /// A child's socket can be read or written.
    Wire(Serial),
    /// A child has ended.
    Ended(Serial),
    /// The kernel may have killed for memory in a child's leaf.
    Memory(Serial),
}

impl Topic {
    fn token(self) -> EventData {
        let (serial, topic) = match self {
            Self::Timer => (0, 0),
            Self::Bell => (0, 1),
            Self::Listener => (0, 2),
            Self::Peer(serial) => (serial, 3),
            Self::Wire(serial) => (serial, 4),
            Self::Ended(serial) => (serial, 5),
            Self::Memory(serial) => (serial, 6),
        };
        EventData::new_u64(serial << TOPIC_BITS | topic)
    }

    fn of(token: EventData) -> Option<Self> {
        let token = token.u64();
        let serial = token >> TOPIC_BITS;
        Some(match token & ((1 << TOPIC_BITS) - 1) {
            0 => Self::Timer,
            1 => Self::Bell,
            2 => Self::Listener,
            3 => Self::Peer(serial),
            4 => Self::Wire(serial),
            5 => Self::Ended(serial),
            6 => Self::Memory(serial),
            _ => return None,
        })
    }
}

/// How a child is watched.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// Its name here.
    pub(crate) serial: Serial,
    interest: Interest,
}

/// What a socket is watched for; starts as nothing.
#[derive(Debug)]
pub(crate) struct Interest(EventFlags);

impl Default for Interest {
    fn default() -> Self {
        Self(EventFlags::empty())
    }
}

/// The keeper's one place to wait.
#[derive(Debug)]
pub(crate) struct Watch {
    epoll: OwnedFd,
    timer: OwnedFd,
    /// What the timer is set to.
    set: Option<BootTime>,
    last_serial: Serial,
}

impl Watch {
    /// Watches nothing but the time.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let watch = Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            timer: timerfd_create(TimerfdClockId::Boottime, flags)?,
            set: None,
            last_serial: 0,
        };
        watch.add(&watch.timer, Topic::Timer)?;
        Ok(watch)
    }

    /// A name for a connection or child.
    pub(crate) fn serial(&mut self) -> Serial {
        self.last_serial += 1;
        self.last_serial
    }

    /// Watches until `fd` is readable.
    pub(crate) fn add(&self, fd: impl AsFd, topic: Topic) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, topic.token(), EventFlags::IN)?)
    }

    /// Watches no longer; closing a descriptor does the same.
    pub(crate) fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, fd)?)
    }

    /// Watches `fd` for `wanted` instead of what it is watched for now.
    pub(crate) fn follow(
        &self,
        fd: impl AsFd,
        topic: Topic,
        interest: &mut Interest,
        wanted: EventFlags,
    ) -> io::Result<()> {
        if interest.0 == wanted {
            return Ok(());
        }
        if interest.0.is_empty() {
            epoll::add(&self.epoll, fd, topic.token(), wanted)?;
        } else if wanted.is_empty() {
            epoll::delete(&self.epoll, fd)?;
        } else {
            epoll::modify(&self.epoll, fd, topic.token(), wanted)?;
        }
        interest.0 = wanted;
        Ok(())
    }

    /// Watches a child that is new here: its death, its leaf, its socket.
    pub(crate) fn adopt(&mut self, process: &mut Process) -> io::Result<()> {
        self.hear(&process.wire, &mut process.watched)?;
        self.keep(process)
    }

    /// Watches the socket to a child of which nothing else is known yet.
    pub(crate) fn hear(&mut self, wire: &Wire, watched: &mut Watched) -> io::Result<()> {
        watched.serial = self.serial();
        self.listen(wire, watched)
    }

    /// Watches the death and the leaf of a child that is heard already.
    pub(crate) fn keep(&self, process: &Process) -> io::Result<()> {
        let serial = process.watched.serial;
        if let Some(pidfd) = process.pidfd() {
            self.add(pidfd, Topic::Ended(serial))?;
        }
        match &process.leaf {
            Some(leaf) => self.add(leaf.oom_events(), Topic::Memory(serial)),
            None => Ok(()),
        }
    }

    /// Watches a child's socket for what it wants now.
    pub(crate) fn listen_to(&self, process: &mut Process) -> io::Result<()> {
        self.listen(&process.wire, &mut process.watched)
    }

    fn listen(&self, wire: &Wire, watched: &mut Watched) -> io::Result<()> {
        let topic = Topic::Wire(watched.serial);
        self.follow(wire, topic, &mut watched.interest, wire.interest())
    }

    /// Waits until something is ready or the boot clock shows `until`; not at all
    /// when `now`. What is ready is in `topics` then.
    pub(crate) fn wait(
        &mut self,
        until: Option<BootTime>,
        now: bool,
        topics: &mut Vec<Topic>,
    ) -> io::Result<()> {
        topics.clear();
        // One that is set too early rings for nothing, once; to set it anew at every
        // turn, for deadlines that hardly any attempt lives to see, would cost more.
        if until.is_some_and(|until| self.set.is_none_or(|set| until < set)) {
            self.set_timer(until)?;
        }
        let timeout = now.then(Timespec::default);
        let mut events = Vec::with_capacity(EVENTS_AT_ONCE);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
            Ok(_) => {}
            // The bell's handler; the descriptor tells of it next time.
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        }
        for event in events {
            let topic = Topic::of(event.data);
            if topic == Some(Topic::Timer) {
                // It stays readable until it is set again.
                self.set_timer(None)?;
            }
            topics.extend(topic);
        }
        Ok(())
    }

    fn set_timer(&mut self, until: Option<BootTime>) -> io::Result<()> {
        let it_value = until.map_or_else(Timespec::default, BootTime::to_timer);
        let value = Itimerspec {
            it_interval: Timespec::default(),
            it_value,
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &value)?;
        self.set = until;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use stint_api::time::Span;

    use super::*;

    fn wait(watch: &mut Watch, until: Option<BootTime>, now: bool) -> Vec<Topic> {
        let mut topics = Vec::new();
        watch.wait(until, now, &mut topics).unwrap();
        topics
    }

    #[test]
    fn topics_survive_their_tokens() {
        for topic in [
            Topic::Timer,
            Topic::Bell,
            Topic::Listener,
            Topic::Peer(1),
            Topic::Wire(70_000),
            Topic::Ended(1 << 60),
            Topic::Memory(2),
        ] {
            assert_eq!(Topic::of(topic.token()), Some(topic));
        }
        assert_eq!(Topic::of(EventData::new_u64(7)), None);
    }

    #[test]
    fn the_timer_rings_at_its_time_and_once() {
        let mut watch = Watch::new().unwrap();
        let soon = BootTime::now().after(Span::from_millis(5));
        assert_eq!(wait(&mut watch, Some(soon), false), [Topic::Timer]);
        assert!(BootTime::now() >= soon);
        assert_eq!(wait(&mut watch, None, true), []);
        // A time in the past, the boot itself too, is now.
        let past = BootTime::from_nanos(0);
        assert_eq!(wait(&mut watch, Some(past), false), [Topic::Timer]);
    }

    #[test]
    fn a_socket_is_watched_for_what_it_wants() {
        let mut watch = Watch::new().unwrap();
        let (socket, _other) = UnixStream::pair().unwrap();
        let mut interest = Interest::default();
        for (wanted, seen) in [
            (EventFlags::IN, vec![]),
            (EventFlags::IN | EventFlags::OUT, vec![Topic::Peer(4)]),
            (EventFlags::empty(), vec![]),
            (EventFlags::OUT, vec![Topic::Peer(4)]),
        ] {
            let topic = Topic::Peer(4);
            watch.follow(&socket, topic, &mut interest, wanted).unwrap();
            assert_eq!(wait(&mut watch, None, true), seen);
        }
    }
}
