//! The guest's two output streams: what is written goes to a file at once, so that
//! it is seen while the guest runs and stays when it is killed. The file keeps the
//! beginning and the end; what came between is counted. Only a flood of the end is
//! held back for moments: most of it would be written over before anybody reads it.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::log_file::LogFile;

/// What a guest may hand over in one write; preview 1 cuts its writes smaller.
const PERMIT_BYTES: usize = 64 << 10;
/// What a guest writes comes in pieces of this size and a smaller one. A smaller one is in
/// the file when its write returns: what a program says before it is killed is a line.
const PIECE_BYTES: usize = 4 << 10;
/// How long whole pieces of the end are held back at most, while more of them come.
const HELD_BACK: Duration = Duration::from_millis(5);

/// One of the two streams; clones write to the same file.
#[derive(Clone, Debug)]
pub(crate) struct Log(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    file: File,
    layout: LogFile,
    /// Bytes that came, and those that were in the file before.
    written: u64,
    /// The last of them, which are not yet in the file: no more than it keeps of the end.
    late: VecDeque<u8>,
    /// When nothing was late the last time.
    in_time: Instant,
    /// Bytes that the disk did not take.
    lost: u64,
    /// To be called before the first byte is written.
    speaks: Option<fn()>,
}

impl Log {
    /// Into `file`, from its end on; at most `max` bytes are kept in it. `speaks` is
    /// called before the first of them is there.
    pub(crate) fn new(file: File, max: u64, speaks: Option<fn()>) -> Self {
        let written = file.metadata().map_or(0, |metadata| metadata.len());
        Self(Arc::new(Mutex::new(State {
            file,
            layout: LogFile::new(max),
            written,
            late: VecDeque::new(),
            in_time: Instant::now(),
            lost: 0,
            speaks,
        })))
    }

    /// Whether nothing was ever written to it.
    pub(crate) fn is_empty(&self) -> bool {
        self.state().written == 0
    }

    /// Bytes that the guest, which writes no more, wrote and nobody will read.
    pub(crate) fn finish(&self) -> u64 {
        let mut state = self.state();
        state.catch_up();
        let over = state.written.saturating_sub(state.layout.max());
        over.saturating_add(state.lost)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Never fails: a program is not to die of its log. What the disk does not take counts as dropped.
    fn append(&self, bytes: &[u8]) {
        let mut state = self.state();
        if let Some(speaks) = state.speaks.take_if(|_| !bytes.is_empty()) {
            speaks();
        }
        state.late.extend(bytes);
        state.written = state.written.saturating_add(bytes.len() as u64);
        let is_flood = state.is_past_the_head() && bytes.len() >= PIECE_BYTES;
        if is_flood && state.in_time.elapsed() < HELD_BACK {
            state.let_go();
        } else {
            state.catch_up();
        }
    }
}

impl State {
    /// Whether all that is late belongs to the end.
    fn is_past_the_head(&self) -> bool {
        self.written.saturating_sub(self.late.len() as u64) >= self.layout.head()
    }

    /// Forgets what is late and would be written over by what came after it.
    fn let_go(&mut self) {
        let ring = usize::try_from(self.layout.ring()).unwrap_or(usize::MAX);
        let over = self.late.len().saturating_sub(ring);
        drop(self.late.drain(..over));
    }

    /// Writes what is late.
    fn catch_up(&mut self) {
        if self.is_past_the_head() {
            self.let_go();
        }
        let mut at = self.written.saturating_sub(self.late.len() as u64);
        let (first, second) = self.late.as_slices();
        for bytes in [first, second]
            .into_iter()
            .filter(|bytes| !bytes.is_empty())
        {
            if self.layout.write(&self.file, at, bytes).is_err() {
                self.lost = self.lost.saturating_add(bytes.len() as u64);
            }
            at += bytes.len() as u64;
        }
        self.late.clear();
        self.in_time = Instant::now();
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

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u64 = 1 << 20;

    fn end_of(file: &File) -> Vec<u8> {
        let cut = LogFile::new(MAX).cut(file).unwrap();
        cut.map_or_else(Vec::new, |cut| cut.last)
    }

    #[test]
    fn a_flood_is_whole_when_it_is_over() {
        let file = tempfile::tempfile().unwrap();
        let log = Log::new(file.try_clone().unwrap(), MAX, None);
        let pieces = (0..200).map(|number| [number; 50_000]);
        let all: Vec<u8> = pieces.clone().flatten().collect();
        pieces.for_each(|piece| log.append(&piece));
        assert_eq!(log.finish(), all.len() as u64 - MAX);
        let end = end_of(&file);
        assert_eq!(end.len(), 1 << 16);
        assert!(all.ends_with(&end));
    }

    #[test]
    fn a_line_after_a_flood_is_there_at_once() {
        let file = tempfile::tempfile().unwrap();
        let log = Log::new(file.try_clone().unwrap(), MAX, None);
        for _ in 0..100 {
            log.append(&[b'.'; PERMIT_BYTES]);
        }
        log.append(b"last words\n");
        assert!(end_of(&file).ends_with(b"...last words\n"));
    }
}
