//! Frames between node, keeper, workers and compilers: the contract that
//! whatever the other side sends is read as hostile.
//!
//! ```text
//! ┌─────────┬─────────┬───────────────┬──────────────────┐
//! │ version │ channel │ length        │ JSON             │
//! │ 1 byte  │ 1 byte  │ 4 bytes, LE   │ `length` bytes   │
//! └─────────┴─────────┴───────────────┴──────────────────┘
//! ```
//!
//! A reader names the longest frame it takes and refuses a longer one from its
//! header alone, before a byte of it is kept. Every violation is a
//! [`FrameError`]; after one the stream has lost its place and must be closed.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Version of this format and of the messages in it; the two sides of a socket
/// are processes of one machine, so another version is refused, not translated.
pub const VERSION: u8 = 1;

/// Longest frame between a node and its keeper. Arguments and environment of a
/// job are at most 128 KiB each, stand in a start order twice, and JSON may
/// write a byte as six.
pub const NODE_FRAME_BYTES_MAX: usize = 4 << 20;

/// Longest frame that a keeper sends to a worker or compiler: a plan, which is
/// part of a start order.
pub const PLAN_FRAME_BYTES_MAX: usize = NODE_FRAME_BYTES_MAX;

/// Longest frame that a keeper takes from a worker or compiler: an outcome with
/// a backtrace. It is held for each of them, and they are the least trusted.
pub const WORKER_FRAME_BYTES_MAX: usize = 64 << 10;

/// Version, channel and length.
pub const HEADER_BYTES: usize = 6;

/// Who speaks: a frame that strayed into another socket is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Between a node and its keeper.
    Node,
    /// Between a keeper and a worker.
    Worker,
    /// Between a keeper and a compiler.
    Compiler,
    /// Between a keeper and a zygote.
    Zygote,
}

impl Channel {
    const fn magic(self) -> u8 {
        match self {
            Self::Node => b'N',
            Self::Worker => b'W',
            Self::Compiler => b'C',
            Self::Zygote => b'Z',
        }
    }
}

/// Bytes that are not frames of this version and channel.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other side speaks another version of the format.
    #[error("frame of version {theirs}, this is version {VERSION}")]
    Version {
        /// What it speaks.
        theirs: u8,
    },
    /// The frame belongs to another kind of socket, or is no frame at all.
    #[error("not a frame of the {expected:?} channel: its mark is {mark:#04x}")]
    Channel {
        /// The channel of this socket.
        expected: Channel,
        /// The byte in place of its mark.
        mark: u8,
    },
    /// The frame is longer than this side takes, or may send.
    #[error("frame of {bytes} bytes; at most {limit}")]
    TooLong {
        /// How long it claims to be.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// The frame's payload is not the message that belongs here.
    #[error("frame with a payload that is not a message")]
    Payload(#[source] serde_json::Error),
    /// The stream ended inside a frame.
    #[error("the stream ended {bytes} bytes into a frame")]
    Truncated {
        /// How many bytes of the frame came.
        bytes: usize,
    },
}

/// The frame that carries `message`, whose payload must not pass `limit` bytes.
///
/// # Errors
/// [`FrameError::TooLong`], or [`FrameError::Payload`] for what JSON cannot hold.
pub fn encode<T: Serialize>(
    channel: Channel,
    limit: usize,
    message: &T,
) -> Result<Vec<u8>, FrameError> {
    let mut frame = vec![VERSION, channel.magic(), 0, 0, 0, 0];
    serde_json::to_writer(&mut frame, message).map_err(FrameError::Payload)?;
    let bytes = frame.len() - HEADER_BYTES;
    let length = u32::try_from(bytes)
        .ok()
        .filter(|_| bytes <= limit)
        .ok_or(FrameError::TooLong { bytes, limit })?;
    frame[2..HEADER_BYTES].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

/// Turns bytes, as they come, into messages. It holds at most one frame and
/// what was pushed at once.
#[derive(Debug)]
pub struct Decoder {
    channel: Channel,
    limit: usize,
    buffer: Vec<u8>,
    /// Bytes at the start of `buffer` that were handed out as messages.
    taken: usize,
}

impl Decoder {
    /// A decoder for frames of `channel` with payloads of at most `limit` bytes.
    pub const fn new(channel: Channel, limit: usize) -> Self {
        Self {
            channel,
            limit,
            buffer: Vec::new(),
            taken: 0,
        }
    }

    /// Takes bytes that came; call [`Decoder::take`] until it gives nothing before pushing more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, if it has come.
    ///
    /// # Errors
    /// The stream is not frames of this channel, version and length, or the
    /// payload is not a `T` and nothing but a `T`.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let rest = &self.buffer[self.taken..];
        let Some((header, rest)) = rest.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let bytes = self.payload_bytes(*header)?;
        let Some(payload) = rest.get(..bytes) else {
            return Ok(None);
        };
        let message = serde_json::from_slice(payload).map_err(FrameError::Payload)?;
        self.taken += HEADER_BYTES + bytes;
        Ok(Some(message))
    }

    /// Checks that the stream ended between two frames.
    ///
    /// # Errors
    /// [`FrameError::Truncated`] when it ended inside one.
    pub const fn finish(&self) -> Result<(), FrameError> {
        match self.buffer.len() - self.taken {
            0 => Ok(()),
            bytes => Err(FrameError::Truncated { bytes }),
        }
    }

    fn payload_bytes(&self, header: [u8; HEADER_BYTES]) -> Result<usize, FrameError> {
        let [version, mark, length @ ..] = header;
        if version != VERSION {
            return Err(FrameError::Version { theirs: version });
        }
        if mark != self.channel.magic() {
            return Err(FrameError::Channel {
                expected: self.channel,
                mark,
            });
        }
        let bytes = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if bytes > self.limit {
            return Err(FrameError::TooLong {
                bytes,
                limit: self.limit,
            });
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANNEL: Channel = Channel::Worker;
    const LIMIT: usize = 4 << 10;

    fn decoder() -> Decoder {
        Decoder::new(CHANNEL, LIMIT)
    }

    fn decode(bytes: &[u8]) -> Result<Option<Vec<u32>>, FrameError> {
        let mut decoder = decoder();
        decoder.push(bytes);
        decoder.take()
    }

    #[test]
    fn messages_survive_any_chunking() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..300 {
            let messages: Vec<Vec<u32>> = (0..random.usize(1..6))
                .map(|_| (0..random.usize(0..200)).map(|_| random.u32(..)).collect())
                .collect();
            let stream: Vec<u8> = messages
                .iter()
                .flat_map(|message| encode(CHANNEL, LIMIT, message).unwrap())
                .collect();
            let mut decoder = decoder();
            let mut read = Vec::new();
            let mut rest = stream.as_slice();
            while !rest.is_empty() {
                let (chunk, tail) = rest.split_at(random.usize(1..=rest.len().min(700)));
                decoder.push(chunk);
                while let Some(message) = decoder.take::<Vec<u32>>().unwrap() {
                    read.push(message);
                }
                rest = tail;
            }
            decoder.finish().unwrap();
            assert_eq!(read, messages);
        }
    }

    #[test]
    fn random_bytes_are_refused_and_never_panic() {
        let mut random = fastrand::Rng::with_seed(11);
        for _ in 0..20_000 {
            let mut bytes: Vec<u8> = (0..random.usize(0..64)).map(|_| random.u8(..)).collect();
            // Half of them get past the first checks.
            if random.bool() && bytes.len() > 5 {
                bytes[..2].copy_from_slice(&[VERSION, CHANNEL.magic()]);
                bytes[3..6].fill(0);
            }
            let mut decoder = decoder();
            for chunk in bytes.chunks(random.usize(1..9)) {
                decoder.push(chunk);
                while let Ok(Some(_)) = decoder.take::<serde_json::Value>() {}
                assert!(decoder.buffer.len() <= bytes.len());
            }
        }
    }

    #[test]
    fn a_flipped_byte_is_an_error_or_another_message_and_never_a_panic() {
        let mut random = fastrand::Rng::with_seed(13);
        let frame = encode(CHANNEL, LIMIT, &vec![1_u32, 22, 333]).unwrap();
        for _ in 0..20_000 {
            let mut frame = frame.clone();
            let at = random.usize(..frame.len());
            frame[at] = random.u8(..);
            let _ = decode(&frame);
        }
    }

    #[test]
    fn each_violation_has_its_error() {
        let good = encode(CHANNEL, LIMIT, &[1_u32]).unwrap();
        assert_eq!(decode(&good).unwrap(), Some(vec![1]));

        let mut version = good.clone();
        version[0] = 9;
        assert!(matches!(
            decode(&version),
            Err(FrameError::Version { theirs: 9 })
        ));
        let mut channel = good.clone();
        channel[1] = b'N';
        assert!(matches!(decode(&channel), Err(FrameError::Channel { .. })));
        let header = [&good[..2], &u32::MAX.to_le_bytes()].concat();
        assert!(matches!(decode(&header), Err(FrameError::TooLong { .. })));

        let mut trailing = good.clone();
        trailing[2] += 1;
        trailing.push(b'x');
        assert!(matches!(decode(&trailing), Err(FrameError::Payload(_))));

        let mut cut = decoder();
        cut.push(&good[..good.len() - 1]);
        assert!(cut.take::<Vec<u32>>().unwrap().is_none());
        assert!(matches!(cut.finish(), Err(FrameError::Truncated { .. })));
    }

    #[test]
    fn what_is_too_long_is_not_sent() {
        let message = vec![u32::MAX; LIMIT];
        assert!(matches!(
            encode(CHANNEL, LIMIT, &message),
            Err(FrameError::TooLong { .. })
        ));
    }
}
