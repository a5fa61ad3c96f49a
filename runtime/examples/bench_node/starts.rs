//! Starts: from the order to the guest's first instruction, and to the known outcome.

use std::fs;
use std::time::Duration;

use stint_api::job::Isolation;

use crate::Fault;
use crate::figures::Table;
use crate::guests::{self, Program, last_stamp};
use crate::keeper::{Site, now};

/// Starts after which a module is known to be in demand.
const UNTIL_KNOWN: usize = 3;
/// Warm starts of each kind in a turn.
const WARM: usize = 20;
/// First starts of a module in a turn.
const FIRST: usize = 10;
/// Starts without a worker that waits, in a turn.
const COLD: usize = 10;
/// Attempts that are ordered at once, in a turn.
const BURST: usize = 100;
/// Attempts that share a worker, in a turn.
const PACKED: usize = 500;
/// Tasks of a run, in a turn; it ends earlier when its time is over.
const RUN: u32 = 2_000;

/// A worker waits: with the module loaded, when the node knows it; else with none.
pub(crate) async fn warm(site: &mut Site, table: &mut Table) -> Result<(), Fault> {
    const STARTED: &str = "warm start, module known to the node: order → first instruction";
    const KNOWN: &str = "warm start, module known to the node: order → outcome known";
    for _ in 0..UNTIL_KNOWN {
        let order = site.order(Program::Stamp)?;
        site.run(&order, "succeeded").await?;
    }
    let cpu = site.cpu();
    for _ in 0..WARM {
        let order = site.order(Program::Stamp)?;
        site.is_primed(&order.plan.artifact).await?;
        let ran = site.run(&order, "succeeded").await?;
        table.took(
            STARTED,
            last_stamp(&ran.stdout)?.saturating_sub(ran.ordered),
        );
        table.took(KNOWN, ran.known - ran.ordered);
    }
    table.cpu(KNOWN, site.cpu().saturating_sub(cpu));
    for _ in 0..FIRST {
        let unseen = guests::unseen(&site.path("."), site.number())?;
        let order = site.order_of(&unseen)?;
        site.is_warm().await?;
        let ran = site.run(&order, "succeeded").await?;
        fs::remove_file(&order.plan.artifact)?;
        let started = last_stamp(&ran.stdout)?.saturating_sub(ran.ordered);
        table.took(
            "warm start, module's first: order → first instruction",
            started,
        );
    }
    Ok(())
}

/// Nobody waits: a process, a leaf and a jail are made for the attempt.
pub(crate) async fn cold(site: &mut Site, table: &mut Table) -> Result<(), Fault> {
    const COLD_ROW: &str = "cold start, new process, cgroup and jail: order → outcome known";
    let cpu = site.cpu();
    for _ in 0..COLD {
        let order = site.order(Program::NoOp)?;
        site.is_fertile().await?;
        let ran = site.run(&order, "succeeded").await?;
        table.took(COLD_ROW, ran.known - ran.ordered);
    }
    table.cpu(COLD_ROW, site.cpu().saturating_sub(cpu));
    Ok(())
}

/// A hundred at once, and nobody waits.
pub(crate) async fn burst(site: &mut Site, table: &mut Table) -> Result<(), Fault> {
    const EACH: &str = "burst of no-op attempts, a process of its own: each";
    let mut orders = Vec::new();
    for _ in 0..BURST {
        orders.push(site.order(Program::NoOp)?);
    }
    site.is_fertile().await?;
    let cpu = site.cpu();
    let start = now();
    for order in &orders {
        site.start(order).await?;
    }
    for _ in &orders {
        let ended = site.ended().await?;
        if ended.outcome.reason() != "succeeded" {
            return Err(format!("{} of a burst: {}", ended.attempt, ended.outcome).into());
        }
        site.discard(&ended).await?;
    }
    let all = u32::try_from(BURST)?;
    table.took(EACH, (now() - start) / all);
    table.cpu(EACH, site.cpu().saturating_sub(cpu) / all);
    Ok(())
}

/// No-op tasks that share their job's worker, one after another.
pub(crate) async fn packed(site: &mut Site, table: &mut Table) -> Result<(), Fault> {
    const EACH: &str = "packed no-op task, one after another: each";
    // As an array's next task.
    for _ in 0..=WARM {
        let mut order = site.order(Program::Stamp)?;
        order.grant.plan.isolation = Isolation::Job;
        let ran = site.run(&order, "succeeded").await?;
        let started = last_stamp(&ran.stdout)?.saturating_sub(ran.ordered);
        table.took(
            "next task in its job's worker: order → first instruction",
            started,
        );
        table.took(
            "next task in its job's worker: order → outcome known",
            ran.known - ran.ordered,
        );
    }
    let mut orders = Vec::new();
    for _ in 0..PACKED {
        let mut order = site.order(Program::NoOp)?;
        order.grant.plan.isolation = Isolation::Job;
        orders.push(order);
    }
    let cpu = site.cpu();
    let start = now();
    for order in &orders {
        site.start(order).await?;
        let ended = site.ended().await?;
        site.discard(&ended).await?;
    }
    let took: Duration = now() - start;
    let each = took / u32::try_from(PACKED)?;
    table.took(EACH, each);
    table.cpu(
        EACH,
        site.cpu().saturating_sub(cpu) / u32::try_from(PACKED)?,
    );
    let rate = 1.0 / each.as_secs_f64();
    table.value(
        "packed no-op tasks, one job, one after another",
        rate,
        "a second",
    );
    Ok(())
}

/// No-op tasks that a worker goes through by itself, with the directories and variables
/// that a node gives: what most tasks of an array are.
pub(crate) async fn run(site: &mut Site, table: &mut Table) -> Result<(), Fault> {
    const EACH: &str = "packed no-op task of a run: each";
    // The worker is there, and has what it needs.
    site.run_through(RUN / 4).await?;
    let (cpu, start) = (site.cpu(), now());
    let tasks = site.run_through(RUN).await?;
    let each = (now() - start) / tasks;
    let cpu = site.cpu().saturating_sub(cpu) / tasks;
    table.took(EACH, each);
    table.cpu(EACH, cpu);
    let rate = 1.0 / each.as_secs_f64();
    table.value("packed no-op tasks of a run", rate, "a second");
    Ok(())
}
