//! One end of a socket as a poll loop wants it: frames go out as far as they go
//! now, frames come in as far as they have come, and nothing ever blocks.

use std::io::{self, IoSlice, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use rustix::event::epoll::EventFlags;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::frame::{Channel, Decoder, FrameError, encode};

/// Bytes read in one turn: one talkative socket must not hold up the others.
const READ_BYTES: usize = 64 << 10;
/// Most bytes that wait to go out. A node that reads so little for so long is
/// cut off and told everything anew when it comes back.
const OUTGOING_BYTES_MAX: usize = 64 << 20;

/// Most files that go with one message: the kernel takes no more than 253, and an
/// attempt has its artifact, two logs, and as many directories as a job has
/// inputs, with three of its own.
pub(crate) const FDS_AT_ONCE: usize = 128;

/// What is said on this socket, and how much of it at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speech {
    /// The channel, both ways.
    pub(crate) channel: Channel,
    /// Longest frame that goes out.
    pub(crate) out_bytes_max: usize,
    /// Longest frame that is taken.
    pub(crate) in_bytes_max: usize,
}

/// Nothing more can be said on the socket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// The message fits no frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The kernel refused.
    #[error("the socket failed")]
    Socket(#[from] io::Error),
    /// The other side does not read.
    #[error("the other side left {OUTGOING_BYTES_MAX} bytes unread")]
    Unread,
    /// More files than go with a message.
    #[error("{0} files for one message; at most {FDS_AT_ONCE}")]
    TooManyFiles(usize),
}

/// Whether more may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Bytes came; there may be more.
    Came,
    /// None for now.
    Idle,
    /// The other side is gone.
    Ended,
}

/// A non-blocking socket with its frames.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: UnixStream,
    speech: Speech,
    decoder: Decoder,
    outgoing: Vec<u8>,
    /// Bytes of `outgoing` that are gone already.
    sent: usize,
    /// Whether anything may still come.
    open: bool,
}

impl Wire {
    /// Takes over `socket`.
    pub(crate) fn new(socket: UnixStream, speech: Speech) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            speech,
            decoder: Decoder::new(speech.channel, speech.in_bytes_max),
            outgoing: Vec::new(),
            sent: 0,
            open: true,
        })
    }

    /// What to wait for; nothing once the other side is gone, which poll would
    /// report for ever.
    pub(crate) fn interest(&self) -> EventFlags {
        let mut interest = EventFlags::empty();
        interest.set(EventFlags::IN, self.open);
        interest.set(EventFlags::OUT, !self.is_clear());
        interest
    }

    /// Whether anything may still come.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Whether nothing waits to go out.
    pub(crate) fn is_clear(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// Neither hears nor says any more.
    pub(crate) fn close(&mut self) {
        self.open = false;
        self.forget();
    }

    fn forget(&mut self) {
        self.outgoing = Vec::new();
        self.sent = 0;
    }

    /// Says `message`, now or as soon as there is room.
    pub(crate) fn send<T: Serialize>(&mut self, message: &T) -> Result<(), WireError> {
        let frame = encode(self.speech.channel, self.speech.out_bytes_max, message)?;
        if self.outgoing.len() - self.sent + frame.len() > OUTGOING_BYTES_MAX {
            return Err(WireError::Unread);
        }
        self.outgoing.extend_from_slice(&frame);
        self.flush()
    }

    /// Says `message` and gives `fds` with it, now: to one that waits for it and
    /// has nothing else to read.
    pub(crate) fn give<T: Serialize>(
        &mut self,
        message: &T,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(), WireError> {
        if fds.len() > FDS_AT_ONCE {
            return Err(WireError::TooManyFiles(fds.len()));
        }
        if !self.is_clear() {
            return Err(WireError::Unread);
        }
        let frame = encode(self.speech.channel, self.speech.out_bytes_max, message)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_AT_ONCE))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        // There is room, and an empty list needs none.
        control.push(SendAncillaryMessage::ScmRights(fds));
        let sent = sendmsg(
            &self.socket,
            &[IoSlice::new(&frame)],
            &mut control,
            SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
        );
        // The files are gone with the first byte; what did not fit follows.
        self.sent = sent.map_err(io::Error::from)?;
        self.outgoing = frame;
        self.flush()
    }

    /// Sends as much as goes. What cannot be sent any more is forgotten.
    pub(crate) fn flush(&mut self) -> Result<(), WireError> {
        while self.sent < self.outgoing.len() {
            match self.socket.write(&self.outgoing[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.forget();
                    return Err(error.into());
                }
            }
        }
        self.forget();
        Ok(())
    }

    /// Reads once; then [`Wire::take`] until it gives nothing.
    pub(crate) fn fill(&mut self) -> Flow {
        if !self.open {
            return Flow::Ended;
        }
        let mut buffer = [0; READ_BYTES];
        match self.socket.read(&mut buffer) {
            Ok(0) => {
                self.open = false;
                // Who is killed while it speaks leaves half a frame.
                if let Err(error) = self.decoder.finish() {
                    tracing::debug!(%error, "a last word was cut off");
                }
                Flow::Ended
            }
            Ok(count) => {
                self.decoder.push(&buffer[..count]);
                Flow::Came
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                Flow::Idle
            }
            Err(error) => {
                self.open = false;
                tracing::debug!(%error, "a socket failed");
                Flow::Ended
            }
        }
    }

    /// The next whole message that has come.
    ///
    /// # Errors
    /// What came is no frame, or not the message that belongs here.
    pub(crate) fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        self.decoder.take()
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
