//! Ends that somebody waits for: deadlines, memory, failures, a node that died.

use std::time::Duration;

use stint_api::time::Span;

use crate::Fault;
use crate::figures::Table;
use crate::guests::{Program, last_stamp};
use crate::keeper::{Ran, Site};

/// Of each kind in a turn.
const EACH: usize = 5;
/// A deadline that comes soon; a guest that fills memory is at it by then.
const TIMEOUT: Span = Span::from_millis(30);
/// As much memory as the guest is told that it may have, where the kernel is to be asked.
const ENOUGH_BYTES: u64 = 1 << 30;

/// Between the deadline, counted from when the guest started, and the known outcome.
fn overshoot(ran: &Ran) -> Result<Duration, Fault> {
    let started = ran.ended.started_at.ok_or("it never started")?;
    let deadline = Duration::from_nanos((started + TIMEOUT).as_nanos());
    Ok(ran.known.saturating_sub(deadline))
}

/// Past the deadline.
pub(crate) async fn deadlines(site: &mut Site, table: &mut Table) -> Result<(), Fault> {
    for (program, what) in [
        (
            Program::Spin,
            "deadline → outcome known, guest touches no memory",
        ),
        (
            Program::Compute,
            "deadline → outcome known, guest computes in its memory and traps",
        ),
        (
            Program::Bulk,
            "deadline → outcome known, guest fills 256 MiB",
        ),
        (
            Program::Sleep,
            "deadline → outcome known, guest is in a host call",
        ),
    ] {
        for _ in 0..EACH {
            let mut order = site.order(program)?;
            order.timeout = TIMEOUT;
            order.limits.memory.0 = ENOUGH_BYTES;
            order.plan.memory_limit_bytes = ENOUGH_BYTES;
            site.is_warm().await?;
            let ran = site.run(&order, "deadline").await?;
            table.took(what, overshoot(&ran)?);
        }
    }
    Ok(())
}

/// Out of memory: of the guest's, and of the leaf's.
pub(crate) async fn out_of_memory(site: &mut Site, table: &mut Table) -> Result<(), Fault> {
    let by_kernel = site.limits().starts_with("cgroup");
    for _ in 0..EACH {
        let order = site.order(Program::Grow)?;
        site.is_warm().await?;
        let ran = site.run(&order, "guest-memory-limit").await?;
        let asked = last_stamp(&ran.stdout)?;
        table.took("guest's memory refused → outcome known", ran.known - asked);
        if by_kernel {
            let mut order = site.order(Program::Touch)?;
            order.plan.memory_limit_bytes = ENOUGH_BYTES;
            site.is_warm().await?;
            let ran = site.run(&order, "cgroup-oom").await?;
            let touched = last_stamp(&ran.stdout)?;
            table.took(
                "leaf's last 256 KiB touched → cgroup-oom known",
                ran.known - touched,
            );
        }
    }
    Ok(())
}

/// A failure, and the next attempt, which is ordered as soon as the failure is known.
pub(crate) async fn again(site: &mut Site, table: &mut Table) -> Result<(), Fault> {
    for _ in 0..EACH {
        let (fails, next) = (site.order(Program::Fail)?, site.order(Program::Stamp)?);
        site.is_warm().await?;
        let ran = site.run(&fails, "trapped").await?;
        let failed = last_stamp(&ran.stdout)?;
        let ran = site.run(&next, "succeeded").await?;
        let runs = last_stamp(&ran.stdout)?;
        table.took(
            "guest fails → next attempt's first instruction",
            runs.saturating_sub(failed),
        );
    }
    Ok(())
}

/// The node goes and comes again while an attempt runs.
pub(crate) async fn readopted(site: &mut Site, table: &mut Table) -> Result<(), Fault> {
    let mut order = site.order(Program::Sleep)?;
    order.timeout = Span::from_millis(200);
    site.start(&order).await?;
    for _ in 0..EACH {
        let (took, found) = site.find_again().await?;
        if found != 1 {
            return Err(format!("{found} attempts were found again").into());
        }
        table.took("node gone → its attempt found again", took);
    }
    let ended = site.ended().await?;
    site.discard(&ended).await
}
