//! How a child of a keeper hears it: frames on its standard input, and the open
//! files that come with them. A worker opens no path of its own, so this is how
//! it gets at anything at all.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::stdio::stdin;
use serde::de::DeserializeOwned;

use crate::child::ChildError;
use crate::frame::Decoder;
use crate::keeper::wire::{FDS_AT_ONCE, Speech};

/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;

/// A message, with the files that were sent with it.
#[derive(Debug)]
pub(crate) struct Heard<T> {
    /// What was said.
    pub(crate) message: T,
    /// What was given, in the order in which it was.
    pub(crate) fds: Vec<OwnedFd>,
}

/// Hears one message after another.
#[derive(Debug)]
pub(crate) struct Ear {
    decoder: Decoder,
    buffer: Vec<u8>,
    fds: Vec<OwnedFd>,
}

impl Ear {
    /// Hears what the keeper says in `speech`.
    pub(crate) fn new(speech: Speech) -> Self {
        Self {
            // What goes out there comes in here.
            decoder: Decoder::new(speech.channel, speech.out_bytes_max),
            buffer: vec![0; READ_BYTES],
            fds: Vec::new(),
        }
    }

    /// Waits for the next message; none when the keeper has no more to say.
    pub(crate) fn hear<T: DeserializeOwned>(&mut self) -> Result<Option<Heard<T>>, ChildError> {
        loop {
            if let Some(message) = self.decoder.take()? {
                let fds = std::mem::take(&mut self.fds);
                return Ok(Some(Heard { message, fds }));
            }
            match self.receive() {
                Ok(0) => {
                    self.decoder.finish()?;
                    return Ok(None);
                }
                Ok(count) => self.decoder.push(&self.buffer[..count]),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn receive(&mut self) -> Result<usize, Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_AT_ONCE))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(
            stdin(),
            &mut [std::io::IoSliceMut::new(&mut self.buffer)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                self.fds.extend(fds);
            }
        }
        Ok(received.bytes)
    }
}
