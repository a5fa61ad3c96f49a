//! Namespaces: quota, and fair share between them.

use stint_api::id::{JobId, Namespace};
use stint_api::link::{Report, Verdict};
use stint_api::namespace::{NamespaceSpec, Quota};
use stint_api::outcome::Outcome;
use stint_api::quantity::{Bytes, Millicores};
use stint_api::tasks::TaskRange;
use stint_cluster::SubmitError;

use crate::{MODULE, Site};

impl Site {
    /// A cluster of one node with so many slots, and two namespaces.
    fn shared(slots: u64) -> Self {
        let mut site = Self::with_nodes(&[("node-a", slots)]);
        for namespace in ["team-a", "team-b"] {
            site.push_to(namespace, MODULE, Bytes(0));
        }
        site
    }

    fn decide(&mut self, namespace: &str, spec: NamespaceSpec) {
        let namespace: Namespace = namespace.parse().unwrap();
        let decided = self.heart.set_namespace(self.now, &namespace, spec);
        self.follow(decided.unwrap().1);
    }

    fn quota(&mut self, namespace: &str, quota: Quota) {
        let weight = 1;
        self.decide(
            namespace,
            NamespaceSpec {
                weight,
                quota,
                borrow: false,
            },
        );
    }

    fn job_of(&mut self, namespace: &str, tasks: u32) -> JobId {
        self.submit(tasks, |spec| spec.namespace = namespace.parse().unwrap())
    }

    fn slots_of(&self, namespace: &str) -> u32 {
        let namespace = namespace.parse().unwrap();
        self.heart.namespace(&namespace).used.slots
    }

    /// The oldest grant that was ordered and not ended succeeds, one task after another.
    fn churn(&mut self, rounds: usize) {
        let mut held = std::collections::VecDeque::new();
        for round in 0..=rounds {
            for order in self.orders() {
                let (_, grant) = order.split_once("run ").unwrap();
                held.push_back(grant.to_owned());
            }
            if round < rounds {
                let grant: String = held.pop_front().unwrap();
                let (grant, tasks) = grant.split_once(": ").unwrap();
                let (job, number) = grant.rsplit_once(".g").unwrap();
                assert!(!tasks.contains(['-', ',']), "{tasks}");
                let id = format!("{job}.t{tasks}.g{number}.1").parse().unwrap();
                let end = self.end_of(id, Outcome::Succeeded);
                self.report("node-a", Report::Ended(end));
            }
        }
    }
}

#[test]
fn a_thousand_queued_jobs_of_one_namespace_hold_no_place_of_another() {
    let mut site = Site::shared(4);
    for _ in 0..1_000 {
        site.job_of("team-a", 1);
    }
    assert_eq!(site.slots_of("team-a"), 4);
    let late = site.job_of("team-b", 2);
    let why = site.view(&late).waiting.unwrap();
    assert!(why.ends_with("; position 1 in queue team-b"), "{why}");
    site.churn(2);
    assert_eq!((site.slots_of("team-a"), site.slots_of("team-b")), (2, 2));
}

#[test]
fn shares_follow_the_weights() {
    let mut site = Site::shared(8);
    let quota = Quota::default();
    site.decide(
        "team-a",
        NamespaceSpec {
            weight: 3,
            quota,
            borrow: false,
        },
    );
    site.job_of("team-b", 12);
    site.job_of("team-a", 12);
    assert_eq!((site.slots_of("team-a"), site.slots_of("team-b")), (0, 8));
    site.churn(8);
    assert_eq!((site.slots_of("team-a"), site.slots_of("team-b")), (6, 2));
}

#[test]
fn the_share_is_that_of_the_resource_that_a_namespace_has_most_of() {
    let mut site = Site::shared(10);
    let mut site_job = |namespace: &str, cpu, memory| {
        site.submit(20, |spec| {
            spec.namespace = namespace.parse().unwrap();
            (spec.cpu, spec.memory, spec.scratch) =
                (Millicores(cpu), Bytes::mebi(memory), Bytes::mebi(1));
        })
    };
    // One takes CPU mostly, the other memory: both get more than half of what they want.
    site_job("team-a", 1_000, 16);
    site_job("team-b", 250, 64);
    site.pass(crate::SILENCE);
    site.node("node-a", 10);
    let view = |namespace: &str| site.heart.namespace(&namespace.parse().unwrap());
    let (cpu, memory) = (view("team-a"), view("team-b"));
    assert!(
        (cpu.share - memory.share).abs() < 0.11,
        "{cpu:?} {memory:?}"
    );
    assert!(cpu.share > 0.7, "{cpu:?}");
}

#[test]
fn what_a_quota_holds_back_is_said_with_figures_and_goes_on_when_it_is_raised() {
    let mut site = Site::shared(8);
    let cpu = Some(Millicores(2_500));
    site.quota(
        "team-a",
        Quota {
            cpu,
            ..Quota::default()
        },
    );
    let job = site.job_of("team-a", 4);
    let other = site.job_of("team-b", 4);
    assert_eq!((site.slots_of("team-a"), site.slots_of("team-b")), (2, 4));
    assert_eq!(site.view(&other).waiting, None);
    assert_eq!(
        site.view(&job).waiting.unwrap(),
        "2 of 4 tasks wait: the quota of namespace team-a allows CPU 2500m: 2 are taken, \
         a slot needs 1; position 1 in queue team-a"
    );
    site.restart();
    let again = [
        crate::held("team-a.1.g1", TaskRange::one(0)),
        crate::held("team-a.1.g2", TaskRange::one(1)),
    ];
    let others =
        (0..4).map(|task| crate::held(&format!("team-b.1.g{}", task + 1), TaskRange::one(task)));
    let mut hello = crate::hello("node-a", 8);
    hello.held = again.into_iter().chain(others).collect();
    site.hello(hello);
    assert_eq!(site.slots_of("team-a"), 2, "a quota is durable");
    site.quota("team-a", Quota::default());
    assert_eq!(site.slots_of("team-a"), 4);
    // A smaller one stops nothing that runs.
    let slots = Some(1);
    site.quota(
        "team-a",
        Quota {
            slots,
            ..Quota::default()
        },
    );
    assert_eq!(site.slots_of("team-a"), 4);
}

#[test]
fn a_job_beyond_the_quota_of_jobs_or_too_large_for_a_quota_is_refused() {
    let mut site = Site::shared(8);
    let (jobs, memory) = (Some(1), Some(Bytes::mebi(100)));
    site.quota(
        "team-a",
        Quota {
            jobs,
            memory,
            ..Quota::default()
        },
    );
    site.job_of("team-a", 1);
    let try_submit = |site: &mut Site, memory| {
        site.try_submit(1, |spec| {
            spec.namespace = "team-a".parse().unwrap();
            spec.memory = Bytes::mebi(memory);
        })
    };
    let error = try_submit(&mut site, 64).unwrap_err();
    assert!(
        matches!(
            error,
            SubmitError::QuotaJobs {
                used: 1,
                most: 1,
                ..
            }
        ),
        "{error}"
    );
    let error = try_submit(&mut site, 200).unwrap_err();
    let told = error.to_string();
    assert!(
        told.ends_with("the quota of namespace `team-a` allows memory 100Mi"),
        "{told}"
    );
    site.churn(1);
    try_submit(&mut site, 64).unwrap();
}

#[test]
fn a_high_number_takes_nothing_from_a_namespace_that_has_no_more_than_its_share() {
    let mut site = Site::shared(4);
    site.job_of("team-a", 2);
    site.job_of("team-b", 2);
    site.orders();
    let urgent = |site: &mut Site| {
        site.submit(2, |spec| {
            spec.namespace = "team-b".parse().unwrap();
            spec.priority = 9;
        })
    };
    let by = urgent(&mut site);
    let orders = site.orders();
    assert_eq!(orders.len(), 2, "{orders:?}");
    assert!(
        orders
            .iter()
            .all(|order| order.contains("give back team-b.1")),
        "{orders:?}"
    );
    for (task, grant) in [(0, 1), (1, 2)] {
        let id = format!("team-b.1.t{task}.g{grant}.1").parse().unwrap();
        let mut end = site.end_of(id, Outcome::Preempted { by: by.clone() });
        end.verdict = Verdict::Returned;
        site.report("node-a", Report::Ended(end));
    }
    assert_eq!(site.slots_of("team-b"), 2);
}

impl Site {
    /// The node stops a grant's one attempt for `by`.
    fn gives_way(&mut self, order: &str) {
        let (grant, by) = order
            .strip_prefix("node-a give back ")
            .and_then(|order| order.split_once(" now: preempted by "))
            .unwrap_or_else(|| panic!("{order}"));
        let (job, number) = grant.rsplit_once(".g").unwrap();
        let job: JobId = job.parse().unwrap();
        let tasks = self.tasks(&job);
        let held = tasks.iter().find(|run| run.ends_with("granted node-a"));
        // Each slot of these jobs holds one task, in the order of their grants.
        let first: u32 = held
            .unwrap()
            .split([' ', '-'])
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let task = first.max(number.parse::<u32>().unwrap() - 1);
        let attempt = format!("{job}.t{task}.g{number}.1").parse().unwrap();
        let by = by.parse().unwrap();
        let mut end = self.end_of(attempt, Outcome::Preempted { by });
        end.verdict = Verdict::Returned;
        self.report("node-a", Report::Ended(end));
    }
}

#[test]
fn a_namespace_at_its_quota_makes_room_among_its_own() {
    let mut site = Site::shared(4);
    let slots = Some(2);
    site.quota(
        "team-a",
        Quota {
            slots,
            ..Quota::default()
        },
    );
    site.job_of("team-a", 2);
    site.job_of("team-b", 1);
    site.orders();
    let urgent = |site: &mut Site, tasks| {
        site.submit(tasks, |spec| {
            (spec.namespace, spec.priority) = ("team-a".parse().unwrap(), 10);
        })
    };
    let high = urgent(&mut site, 1);
    let orders = site.orders();
    // The node has room for it; the quota has not.
    assert_eq!(
        orders,
        ["node-a give back team-a.1.g1 now: preempted by team-a.2"]
    );
    // What the victim leaves is promised: neither a lower job nor the victim takes it.
    site.job_of("team-a", 1);
    assert_eq!(site.orders(), Vec::<String>::new());
    site.gives_way(&orders[0]);
    assert_eq!(site.orders(), ["node-a run team-a.2.g1: 0"]);
    assert_eq!((site.slots_of("team-a"), site.slots_of("team-b")), (2, 1));
    assert_eq!(site.tasks(&high), ["0 granted node-a"]);
    // Nobody gives way to an equal, and another namespace's lower job does not help.
    urgent(&mut site, 2);
    let orders = site.orders();
    assert_eq!(
        orders,
        ["node-a give back team-a.1.g2 now: preempted by team-a.4"]
    );
}

#[test]
fn what_nobody_wants_is_borrowed_and_taken_back_when_somebody_within_a_quota_does() {
    let mut site = Site::shared(4);
    let slots = Some(1);
    let quota = Quota {
        slots,
        ..Quota::default()
    };
    let spec = NamespaceSpec {
        weight: 1,
        quota,
        borrow: true,
    };
    site.decide("team-a", spec);
    let borrower = site.job_of("team-a", 6);
    assert_eq!(site.slots_of("team-a"), 4);
    let why = site.view(&borrower).waiting.unwrap();
    let beyond = "beyond the quota of namespace team-a, so that others go first";
    assert!(why.contains(beyond), "{why}");
    site.orders();
    // Of the same priority, and of a namespace with no part yet.
    site.job_of("team-b", 2);
    let orders = site.orders();
    assert_eq!(orders.len(), 2, "{orders:?}");
    for order in &orders {
        assert!(order.ends_with("preempted by team-b.1"), "{orders:?}");
        site.gives_way(order);
    }
    assert_eq!((site.slots_of("team-a"), site.slots_of("team-b")), (2, 2));
    // No more than was borrowed is taken back.
    site.orders();
    site.job_of("team-b", 4);
    let orders = site.orders();
    assert_eq!(orders.len(), 1, "{orders:?}");
    site.gives_way(&orders[0]);
    assert_eq!((site.slots_of("team-a"), site.slots_of("team-b")), (1, 3));
    // What it may have is its own.
    assert_eq!(site.orders(), ["node-a run team-b.2.g1: 0"]);
    site.decide(
        "team-a",
        NamespaceSpec {
            borrow: false,
            ..spec
        },
    );
    assert_eq!(site.slots_of("team-a"), 1);
}
