//! The guest's two output streams: the first bytes go to a file at once, so that
//! they are seen while it runs and stay when it is killed; the rest is counted.

use std::fs::File;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// What a guest may hand over in one write; preview 1 cuts its writes smaller.
const PERMIT_BYTES: usize = 64 << 10;

/// One of the two streams; clones write to the same file.
#[derive(Clone, Debug)]
pub(crate) struct Log(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    file: File,
    room: u64,
    dropped: u64,
}

impl Log {
    /// Into `file`, which was opened to append; at most `max` bytes more.
    pub(crate) fn new(file: File, max: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            file,
            room: max,
            dropped: 0,
        })))
    }

    /// Bytes that the guest wrote and nobody will read.
    pub(crate) fn dropped(&self) -> u64 {
        self.state().dropped
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Never fails: a program is not to die of its log. What the disk does not take counts as dropped.
    fn append(&self, bytes: &[u8]) {
        let mut state = self.state();
        let room = usize::try_from(state.room).unwrap_or(usize::MAX);
        let (kept, over) = bytes.split_at(bytes.len().min(room));
        let lost = match state.file.write_all(kept) {
            Ok(()) => 0,
            Err(_) => kept.len(),
        };
        state.room -= kept.len() as u64;
        state.dropped = (state.dropped)
            .saturating_add(over.len() as u64)
            .saturating_add(lost as u64);
    }
}

impl IsTerminal for Log {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Log {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Log {
    async fn ready(&mut self) {}
}

impl OutputStream for Log {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.append(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT_BYTES)
    }
}

impl AsyncWrite for Log {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.append(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
