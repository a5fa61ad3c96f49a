//! Compiling is a step of its own: one module, one process, one answer.

use std::fs;

use rustix::process::Signal;
use sha2::{Digest as _, Sha256};
use stint_api::id::Digest;
use stint_api::outcome::Outcome;
use stint_api::quantity::Bytes;
use stint_api::time::Span;
use stint_runtime::keeper::client::{Event, Lifetime};
use stint_runtime::keeper::protocol::CompileOrder;

use crate::node::Node;
use crate::site::{Site, compilers, guest, kill, until};

fn order(site: &Site, wasm: &[u8]) -> CompileOrder {
    let path = site.dir().join("module.wasm");
    fs::write(&path, wasm).unwrap();
    CompileOrder {
        module: Digest(Sha256::digest(wasm).into()),
        wasm: path,
        artifact: site.dir().join("module.cwasm"),
        module_bytes: Bytes(wasm.len() as u64),
        entry: stint_api::kit::Entry::default(),
        budget: None,
    }
}

async fn compile(node: &mut Node, order: &CompileOrder) -> Result<Digest, Outcome> {
    node.keeper.compile(order.clone()).await.unwrap();
    compiled(node, order).await
}

async fn compiled(node: &mut Node, order: &CompileOrder) -> Result<Digest, Outcome> {
    match node.next().await {
        Some(Event::Compiled { module, result }) if module == order.module => result,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn a_good_module_is_compiled_and_runs() {
    let site = Site::new(Lifetime::Outlives);
    let mut node = site.connect_leased().await;
    let order = order(&site, &guest("exit-42"));
    let sha256 = compile(&mut node, &order).await.unwrap();
    let artifact = fs::read(&order.artifact).unwrap();
    assert_eq!(sha256, Digest(Sha256::digest(&artifact).into()));

    let mut attempt = site.order("a.1.t0.g1.1", "noop", Span::from_secs(60));
    attempt.plan.artifact = order.artifact.clone();
    attempt.plan.artifact_sha256 = sha256.0;
    let code = Outcome::Exited { code: 42 };
    assert_eq!(node.run(&attempt).await.outcome, code);
    // Asked for again it is done again, also to the same place.
    assert_eq!(compile(&mut node, &order).await, Ok(sha256));
}

pub(crate) async fn a_bad_module_is_refused_with_its_reason() {
    let site = Site::new(Lifetime::Outlives);
    let mut node = site.connect().await;
    let body = include_str!("../../../tests/jobs/bad-body.wat");
    for (wasm, reason) in [
        (b"not a module".to_vec(), "module-rejected"),
        (wat::parse_str("(module)").unwrap(), "module-rejected"),
        (wat::parse_str(body).unwrap(), "compile-failed"),
    ] {
        let order = order(&site, &wasm);
        let outcome = compile(&mut node, &order).await.unwrap_err();
        assert_eq!(outcome.reason(), reason, "{outcome}");
        assert!(!order.artifact.exists());
    }
    let mut missing = order(&site, b"");
    missing.wasm = site.dir().join("nothing");
    let outcome = compile(&mut node, &missing).await.unwrap_err();
    assert_eq!(outcome.reason(), "start-failed", "{outcome}");
}

pub(crate) async fn a_compiler_that_is_killed_is_told_of() {
    let site = Site::new(Lifetime::Outlives);
    let mut node = site.connect().await;
    // It takes long enough to be found, whatever the machine.
    let body = "(drop (f64.add (f64.const 1) (f64.const 2)))".repeat(2_000);
    let functions = format!("(func {body})").repeat(40);
    let wasm = wat::parse_str(format!("(module (func (export \"_start\")) {functions})")).unwrap();
    let order = order(&site, &wasm);
    node.keeper.compile(order.clone()).await.unwrap();
    let keeper = node.pid();
    until("a compiler runs", || !compilers(keeper).is_empty()).await;
    kill(compilers(keeper)[0], Signal::KILL);
    let outcome = compiled(&mut node, &order).await.unwrap_err();
    assert_eq!(outcome.reason(), "engine-fault", "{outcome}");
    // The next one is not in its way.
    let good = self::order(&site, &guest("noop"));
    compile(&mut node, &good).await.unwrap();
}
