//! What an attempt gets of a core, and what a worker that waits holds of the memory.

use std::fs;

use stint_api::quantity::Millicores;
use stint_api::time::Span;

use crate::Fault;
use crate::figures::Table;
use crate::guests::Program;
use crate::keeper::Site;

/// Seconds of computing for each share.
const SECONDS: u32 = 5;

/// The part of a second's CPU time that it has more or less than its share.
pub(crate) async fn cpu(site: &mut Site, table: &mut Table) -> Result<(), Fault> {
    for millicores in [100_u32, 250, 500] {
        for _ in 0..SECONDS {
            let mut order = site.order(Program::Spin)?;
            order.limits.cpu = Millicores(millicores);
            order.timeout = Span::from_secs(1);
            let ran = site.run(&order, "deadline").await?;
            let usage = ran.ended.usage;
            let had = usage.cpu.as_nanos() as f64 / usage.wall.as_nanos() as f64;
            let meant = f64::from(millicores) / 1e3;
            let error = 100.0 * (had - meant).abs() / meant;
            table.value(
                &format!("CPU share error over 1 s, {millicores}m"),
                error,
                "%",
            );
        }
    }
    Ok(())
}

/// Memory of the workers that wait.
pub(crate) async fn memory(site: &mut Site, table: &mut Table) -> Result<(), Fault> {
    site.is_warm().await?;
    for pid in site.waiting() {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let kib = |field: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(field));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            number.unwrap_or(0.0)
        };
        let own = kib("Private_Clean:") + kib("Private_Dirty:");
        table.value(
            "worker that waits: memory of its own (USS)",
            own / 1024.0,
            "MiB",
        );
        table.value(
            "worker that waits: with its part of what is shared (PSS)",
            kib("Pss:") / 1024.0,
            "MiB",
        );
    }
    Ok(())
}
