//! Kits: which module a script runs on, and that a job keeps the kit that it was
//! submitted with.

use stint_api::id::Digest;
use stint_api::job::JobSpec;
use stint_api::kit::{Entry, Kit, KitSpec, Returns, Script};
use stint_api::link::Order;
use stint_api::quantity::Bytes;
use stint_api::time::Time;
use stint_api::view::ModuleView;
use stint_cluster::KitError;

use crate::{SLOT, Site};

const OLD: Digest = Digest([1; 32]);
const NEW: Digest = Digest([2; 32]);

fn kit(module: Digest) -> KitSpec {
    KitSpec {
        about: String::new(),
        module,
        entry: Entry {
            export: "run".into(),
            returns: Returns::Code,
            stubs: Vec::new(),
        },
        files: Some(Digest([3; 32])),
        suffix: Some("s".into()),
        scripts: "/job".into(),
        args: ["x", "{script}", "{args}"].map(Into::into).into(),
        env: [("A", "kit"), ("B", "kit")]
            .map(|(k, v)| (k.into(), v.into()))
            .into(),
        available: std::collections::BTreeMap::new(),
        memory: None,
        compile: None,
    }
}

impl Site {
    fn add(&mut self, name: &str, spec: KitSpec) -> Result<Kit, KitError> {
        let module = ModuleView {
            namespace: "default".parse().unwrap(),
            digest: spec.module,
            size: Bytes(9),
            kind: "core".into(),
            entry: spec.entry.export.clone(),
            memory_min: Bytes(0),
            imports: Vec::new(),
            profile: "plain".into(),
            pushed_at: Time::default(),
            kit: None,
        };
        let kit = Kit {
            name: name.into(),
            spec,
            files_bytes: Bytes(5),
            added_at: Time::default(),
        };
        let (kit, effects) = self.heart.kit_added(self.now, module, kit)?;
        self.follow(effects);
        Ok(kit)
    }
}

fn script() -> JobSpec {
    let script = Script::new("a.s".into(), Digest([4; 32]));
    let mut spec = JobSpec::of_script("k".into(), script);
    spec.memory = SLOT.memory;
    spec.args = vec!["1".into(), "2".into()];
    spec.env.insert("B".into(), "job".into());
    spec
}

#[test]
fn a_node_is_told_how_to_run_a_script() {
    let mut site = Site::with_nodes(&[("a", 1)]);
    site.add("k", kit(OLD)).unwrap();
    let (_, effects) = site.heart.submit(site.now, script(), None).unwrap();
    let orders = &effects.orders[0].1.orders;
    let [Order::Run(grant)] = orders.as_slice() else {
        panic!("{orders:?}");
    };
    let plan = &grant.plan;
    assert_eq!(plan.module, OLD);
    assert_eq!(plan.args, ["x", "/job/a.s", "1", "2"]);
    assert_eq!(
        (plan.env["A"].as_str(), plan.env["B"].as_str()),
        ("kit", "job")
    );
    let told = plan.kit.as_ref().unwrap();
    assert_eq!(told.entry.export, "run");
    assert_eq!(told.files, Some(Digest([3; 32])));
    assert_eq!(told.script.name, "a.s");
}

#[test]
fn a_job_keeps_the_kit_that_it_came_with_whatever_is_added_later() {
    let mut site = Site::new();
    site.add("k", kit(OLD)).unwrap();
    let submit = |site: &mut Site| {
        let (submission, effects) = site.heart.submit(site.now, script(), None).unwrap();
        site.follow(effects);
        let module = site.heart.job(submission.id()).unwrap().spec.module;
        (submission.id().clone(), module)
    };
    let (before, module) = submit(&mut site);
    assert_eq!(module, OLD);
    site.add("k", kit(NEW)).unwrap();
    for _ in 0..2 {
        assert_eq!(submit(&mut site).1, NEW);
        assert_eq!(site.heart.job(&before).unwrap().spec.module, OLD);
        assert_eq!(site.heart.kits(&"default".parse().unwrap()).kits.len(), 1);
        site.restart();
    }
}

#[test]
fn the_same_kit_again_writes_nothing_and_its_module_is_no_other_kits() {
    let mut site = Site::new();
    let added = site.add("k", kit(OLD)).unwrap();
    let written = site.changes.len();
    assert_eq!(site.add("k", kit(OLD)), Ok(added));
    assert_eq!(site.changes.len(), written);
    let taken = site.add("other", kit(OLD)).unwrap_err();
    assert!(taken.to_string().contains("kit `k`"), "{taken}");
    let mut wrong = kit(NEW);
    wrong.scripts = "job".into();
    assert!(matches!(site.add("k", wrong), Err(KitError::Invalid(_))));
}

#[test]
fn a_kit_that_is_not_there_is_named_with_what_to_do() {
    let mut site = Site::new();
    let error = site.heart.submit(site.now, script(), None).unwrap_err();
    assert!(error.to_string().contains("stint kit add k"), "{error}");
    site.add("k", kit(OLD)).unwrap();
    let mut bare = JobSpec::new(OLD);
    bare.memory = SLOT.memory;
    let error = site.heart.submit(site.now, bare, None).unwrap_err();
    assert!(error.to_string().contains("`kit` = `k`"), "{error}");
}
