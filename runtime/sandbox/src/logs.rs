//! The guest's two output streams: what is written goes to a file at once, so that
//! it is seen while the guest runs and stays when it is killed. The file keeps the
//! beginning and the end; what came between is counted.

use std::fs::File;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::log_file::LogFile;

/// What a guest may hand over in one write; preview 1 cuts its writes smaller.
const PERMIT_BYTES: usize = 64 << 10;

/// One of the two streams; clones write to the same file.
#[derive(Clone, Debug)]
pub(crate) struct Log(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    file: File,
    layout: LogFile,
    /// Bytes that came, and those that were in the file before.
    written: u64,
    /// Bytes that the disk did not take.
    lost: u64,
}

impl Log {
    /// Into `file`, from its end on; at most `max` bytes are kept in it.
    pub(crate) fn new(file: File, max: u64) -> Self {
        let written = file.metadata().map_or(0, |metadata| metadata.len());
        Self(Arc::new(Mutex::new(State {
            file,
            layout: LogFile::new(max),
            written,
            lost: 0,
        })))
    }

    /// Bytes that the guest wrote and nobody will read.
    pub(crate) fn dropped(&self) -> u64 {
        let state = self.state();
        let over = state.written.saturating_sub(state.layout.max());
        over.saturating_add(state.lost)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Never fails: a program is not to die of its log. What the disk does not take counts as dropped.
    fn append(&self, bytes: &[u8]) {
        let mut state = self.state();
        let length = bytes.len() as u64;
        match state.layout.write(&state.file, state.written, bytes) {
            Ok(()) => state.written = state.written.saturating_add(length),
            Err(_) => state.lost = state.lost.saturating_add(length),
        }
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
