//! The guest's output on our own: bytes as they are for one task, whole lines
//! with the task before them for several, so that they can be told apart.

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use stint_api::client::LogBytes;
use stint_api::id::TaskIndex;
use stint_api::link::Stream;

/// Longest line that is held back until it is whole.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Where the guest's two streams go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Each to ours of the same name.
    Same,
    /// Both to stderr: stdout is for something else.
    Stderr,
    /// Both to stdout: only one was asked for.
    Stdout,
}

/// Whose lines they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marks {
    /// One task's: nothing to tell apart.
    Nothing,
    /// `[task]` before each line.
    Task,
}

/// Writes the output of a job.
#[derive(Debug)]
pub(crate) struct Writer {
    target: Target,
    marks: Marks,
    /// Lines that wait for their end; at most [`LINE_BYTES_MAX`] each.
    partial: BTreeMap<(TaskIndex, Stream), Vec<u8>>,
}

impl Writer {
    pub(crate) fn new(target: Target, tasks: u32) -> Self {
        Self {
            target,
            marks: if tasks > 1 {
                Marks::Task
            } else {
                Marks::Nothing
            },
            partial: BTreeMap::new(),
        }
    }

    /// Writes what came.
    pub(crate) fn write(&mut self, log: &LogBytes) -> io::Result<()> {
        let text = self.marked(log);
        emit(self.target, log.stream, &text)
    }

    /// Writes the lines that never ended.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        for ((task, stream), line) in std::mem::take(&mut self.partial) {
            let mut text = mark(task);
            text.extend(line);
            text.push(b'\n');
            emit(self.target, stream, &text)?;
        }
        Ok(())
    }

    fn marked(&mut self, log: &LogBytes) -> Vec<u8> {
        if self.marks == Marks::Nothing {
            return log.bytes.clone();
        }
        let task = log.attempt.task;
        let mut rest = self.partial.remove(&(task, log.stream)).unwrap_or_default();
        rest.extend_from_slice(&log.bytes);
        let mut text = Vec::new();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            text.extend(mark(task));
            text.extend(rest.drain(..=end));
        }
        if rest.len() > LINE_BYTES_MAX {
            text.extend(mark(task));
            text.append(&mut rest);
            text.push(b'\n');
        }
        if !rest.is_empty() {
            self.partial.insert((task, log.stream), rest);
        }
        text
    }
}

fn mark(task: TaskIndex) -> Vec<u8> {
    format!("[{task}] ").into_bytes()
}

fn emit(target: Target, stream: Stream, text: &[u8]) -> io::Result<()> {
    match (target, stream) {
        (Target::Same, Stream::Stdout) | (Target::Stdout, _) => {
            let mut stdout = io::stdout().lock();
            stdout.write_all(text)?;
            stdout.flush()
        }
        (Target::Same, Stream::Stderr) | (Target::Stderr, _) => io::stderr().lock().write_all(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(task: TaskIndex, text: &str) -> LogBytes {
        LogBytes {
            attempt: format!("default.1.t{task}.g1.1").parse().unwrap(),
            stream: Stream::Stdout,
            bytes: text.into(),
        }
    }

    #[test]
    fn lines_of_several_tasks_are_whole_and_marked() {
        let mut writer = Writer::new(Target::Same, 2);
        assert_eq!(writer.marked(&log(0, "on")), b"");
        assert_eq!(writer.marked(&log(1, "two\nth")), b"[1] two\n");
        assert_eq!(writer.marked(&log(0, "e\n")), b"[0] one\n");
        assert_eq!(writer.partial.len(), 1);
        let long = "x".repeat(LINE_BYTES_MAX);
        assert!(writer.marked(&log(1, &long)).ends_with(b"x\n"));
        assert!(writer.partial.is_empty());
    }

    #[test]
    fn the_output_of_one_task_is_left_as_it_is() {
        let mut writer = Writer::new(Target::Same, 1);
        assert_eq!(writer.marked(&log(0, "half a li")), b"half a li");
    }
}
