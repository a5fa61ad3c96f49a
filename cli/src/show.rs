//! How amounts, moments and tables look to people.

use std::io::{self, Write as _};
use std::time::Duration;

use serde::Serialize;
use stint_api::outcome::{Measured, Sandbox, Usage};
use stint_api::quantity::{Bytes, Resources};
use stint_api::said::Said;
use stint_api::time::{Span, Time};
use stint_api::view::{JobState, NodeDuty, NodeState, NodeView, TaskState};

/// Most frames of a backtrace that people are shown; the innermost tell the most.
pub(crate) const BACKTRACE_LINES_MAX: usize = 16;

/// Writes a line to stdout.
pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()
}

/// Writes a value to stdout as one line of JSON.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(line(&serde_json::to_string(value)?)?)
}

/// Tells people something, on stderr. Nobody reading it is no reason to stop.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A table without lines, its head in capitals.
pub(crate) struct Table(comfy_table::Table);

impl Table {
    pub(crate) fn new<const N: usize>(head: [&str; N]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::NOTHING);
        table.set_header(head);
        Self(table)
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.0.add_row(cells);
    }

    /// Writes it to stdout.
    pub(crate) fn print(mut self) -> io::Result<()> {
        for column in self.0.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let text = self.0.to_string();
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        line(&lines.join("\n"))
    }
}

/// Bytes to one decimal, in the largest binary unit that gives at least 1.
pub(crate) fn bytes(amount: Bytes) -> String {
    const UNITS: [&str; 5] = ["", "Ki", "Mi", "Gi", "Ti"];
    let mut tenths = u128::from(amount.0) * 10;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths = (tenths + 512) / 1024;
        unit += 1;
    }
    match unit {
        0 => amount.0.to_string(),
        _ => format!("{}.{}{}", tenths / 10, tenths % 10, UNITS[unit]),
    }
}

/// The amounts of a slot or a node.
pub(crate) fn resources(amount: &Resources) -> String {
    format!(
        "cpu={},memory={},scratch={}",
        amount.cpu,
        bytes(amount.memory),
        bytes(amount.scratch)
    )
}

/// A length of time with three figures that count.
pub(crate) fn span(span: Span) -> String {
    seconds(span.as_secs_f64())
}

/// The same, of seconds.
pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        s if s <= 0.0 => "0s".to_owned(),
        s if s < 0.001 => format!("{:.0}us", s * 1e6),
        s if s < 0.1 => format!("{:.1}ms", s * 1e3),
        s if s < 60.0 => format!("{}s", trim_zeros(&format!("{s:.2}"))),
        s => Span::from(Duration::from_secs_f64(s.trunc().min(SECONDS_MAX))).to_string(),
    }
}

/// More is told as this much: no length of time of ours is a century.
const SECONDS_MAX: f64 = 3e9;

fn trim_zeros(decimal: &str) -> &str {
    decimal.trim_end_matches('0').trim_end_matches('.')
}

/// What a task says of itself, on one line: `25 %, chunk 3 of 12, loss=0.31`.
pub(crate) fn said(said: &Said) -> String {
    let mut parts = Vec::new();
    if let Some(progress) = said.progress {
        parts.push(format!("{:.0} %", progress * 100.0));
    }
    parts.extend(said.message.clone());
    let metrics = said.metrics.iter();
    parts.extend(metrics.map(|(name, value)| format!("{name}={value}")));
    parts.join(", ")
}

/// A moment, to the second.
pub(crate) fn moment(time: Time) -> String {
    let text = time.to_string();
    match text.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => text,
    }
}

/// Usage on one line.
pub(crate) fn usage(usage: &Usage) -> String {
    let mut text = format!(
        "wall {}, cpu {}, peak memory {}",
        span(usage.wall),
        span(usage.cpu),
        bytes(usage.peak_memory)
    );
    if usage.throttled > Span::ZERO {
        text.push_str(&format!(", held back {}", span(usage.throttled)));
    }
    if usage.refused_growth > Bytes(0) {
        text.push_str(&format!(
            ", refused growth to {}",
            bytes(usage.refused_growth)
        ));
    }
    if usage.logs_dropped > Bytes(0) {
        text.push_str(&format!(
            ", {} of output not kept",
            bytes(usage.logs_dropped)
        ));
    }
    if usage.measured == Measured::Process {
        text.push_str(" (measured without cgroup)");
    }
    if usage.sandbox == Sandbox::Weaker {
        text.push_str(" (behind a weaker sandbox)");
    }
    text
}

pub(crate) const fn job_state(state: JobState) -> &'static str {
    match state {
        JobState::Queued => "queued",
        JobState::Running => "running",
        JobState::Succeeded => "succeeded",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
    }
}

pub(crate) const fn task_state(state: TaskState) -> &'static str {
    match state {
        TaskState::Pending => "pending",
        TaskState::Granted => "granted",
        TaskState::Publishing => "publishing",
        TaskState::Succeeded => "succeeded",
        TaskState::Failed => "failed",
    }
}

/// Whether the node is there, and whether it is to take work.
pub(crate) fn node_state(node: &NodeView) -> String {
    let state = match node.state {
        NodeState::Ready => "ready",
        NodeState::Lost => "lost",
    };
    match node.duty {
        NodeDuty::Open => state.to_owned(),
        NodeDuty::Cordoned => format!("{state}, cordoned"),
        NodeDuty::Draining => format!("{state}, draining"),
        NodeDuty::Drained => format!("{state}, drained"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short() {
        for (amount, text) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1.0Ki"),
            (63 << 20, "63.0Mi"),
            ((63 << 20) + (512 << 10), "63.5Mi"),
            (u64::MAX, "16777216.0Ti"),
        ] {
            assert_eq!(bytes(Bytes(amount)), text);
        }
        for (nanos, text) in [
            (0, "0s"),
            (45_000, "45us"),
            (2_340_000, "2.3ms"),
            (1_500_000_000, "1.5s"),
            (10_000_000_000, "10s"),
            (90_400_000_000, "1m30s"),
        ] {
            assert_eq!(span(Span::from_nanos(nanos)), text);
        }
    }
}
