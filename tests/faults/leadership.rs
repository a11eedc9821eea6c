//! Of several operators one acts, and none acts that may be taken for dead.

use crate::bed::gates::{gated, open};
use crate::bed::manifests::{REPORT, search};
use crate::bed::operator::Operator;
use crate::bed::oracle::{no_orphans, nothing_ran_twice};
use crate::bed::way::{Cut, Witnessed};
use crate::bed::{Bed, on_bed, phase};
use k8s_openapi::api::coordination::v1::Lease;
use std::time::{Duration, Instant};

/// Writes are allowed this long after the last renewal, with something for the test's own clock.
const ALLOWED: Duration = Duration::from_millis(20_200);

/// Two operators of which the first one leads, and a search of three trials of which two run until their gates open.
async fn two(bed: &Bed) -> (Operator, Operator) {
    let first = bed.operator("a").await;
    first.until_ready(30).await;
    let second = bed.operator("b").await;
    let waits = async || {
        let answer = second.get("readyz").await;
        answer.is_some_and(|text| text.starts_with("stands by"))
    };
    bed.wait(30, "the second operator stands by", waits).await;
    bed.apply(&gated(bed, "forest", 3, 2));
    bed.until_trial("forest", 2, "Running").await;
    (first, second)
}

fn is_renewal(request: &Witnessed) -> bool {
    request.resource == "leases"
        && request.method != "GET"
        && request.code.is_some_and(|code| code < 300)
}

/// When an operator took the lease.
async fn took_over(bed: &Bed, operator: &Operator, seconds: u64) -> Instant {
    let leads = async || operator.way.witnessed().iter().any(is_renewal);
    bed.wait(seconds, "the second operator leads", leads).await;
    let all = operator.way.witnessed();
    all.iter().find(|request| is_renewal(request)).unwrap().at
}

#[test]
fn an_operator_that_does_not_know_who_leads_is_not_ready() {
    on_bed("not-ready", async |bed| {
        let operator = bed.dead_operator("a").await;
        operator.way.cut(Cut::Answer {
            method: "GET",
            resource: "leases",
            code: 403,
            times: usize::MAX,
        });
        operator.start_again();
        let has_looked = async || operator.log().contains("the lease cannot be read");
        bed.wait(30, "it has looked", has_looked).await;
        assert_eq!(operator.get("healthz").await.as_deref(), Some("ok"));
        assert_eq!(operator.get("readyz").await, None);
        operator.way.heal();
        operator.until_ready(30).await;
    });
}

#[test]
fn an_operator_that_stood_still_does_not_write_after_another_took_over() {
    on_bed("stood-still", async |bed| {
        let (first, second) = two(&bed).await;
        first.signal("STOP");
        let since = took_over(&bed, &second, 60).await;
        // Nobody tells it that it lost the lease: its own clock must.
        first.way.cut(Cut::Answer {
            method: "GET",
            resource: "leases",
            code: 503,
            times: usize::MAX,
        });
        // Both see the end of the trials; only one may say so.
        open(&bed, "all");
        first.signal("CONT");
        assert!(!first.ended(30).await.success());
        let job = bed.until_finished("forest", 90).await;
        assert_eq!(phase(&job), Some("Succeeded"));
        let late = |request: &Witnessed| request.at >= since && request.method != "GET";
        let late: Vec<_> = first.way.witnessed().into_iter().filter(late).collect();
        assert!(late.is_empty(), "{late:#?}");
        nothing_ran_twice("forest", 3, [&first, &second]);
        no_orphans(&bed).await;
    });
}

#[test]
fn an_operator_that_is_asked_to_end_gives_the_lease_back() {
    on_bed("gives-back", async |bed| {
        let (first, second) = two(&bed).await;
        let asked = Instant::now();
        assert!(first.terminate().await.success());
        let lease: Lease = bed.find("podium-operator").await.unwrap();
        let holder = lease.spec.unwrap().holder_identity.unwrap_or_default();
        assert!(["", "b"].contains(&holder.as_str()), "{holder}");
        // A lease that was not given back would last longer than this.
        let waited = took_over(&bed, &second, 60).await - asked;
        assert!(waited < Duration::from_secs(8), "{waited:?}");
        open(&bed, "all");
        bed.until_finished("forest", 90).await;
        nothing_ran_twice("forest", 3, [&first, &second]);
        assert!(second.terminate().await.success());
        let lease: Lease = bed.find("podium-operator").await.unwrap();
        assert_eq!(lease.spec.unwrap().holder_identity.as_deref(), Some(""));
    });
}

#[test]
fn what_is_in_progress_is_finished_before_the_lease_is_given_back() {
    on_bed("drains", async |bed| {
        let operator = bed.dead_operator("a").await;
        operator.way.cut(Cut::Hold {
            what: |request| request.is("POST", "jobs"),
            // Longer than whoever asked for the Job waits for it.
            pause: Duration::from_secs(6),
            times: 1,
        });
        operator.start_again();
        bed.apply(&search("forest", 1, 1, REPORT));
        let of_job = |request: &&Witnessed| request.is("POST", "jobs");
        let is_on_its_way = async || operator.way.witnessed().iter().any(|r| of_job(&r));
        bed.wait(30, "the Job is on its way", is_on_its_way).await;
        assert!(operator.terminate().await.success());
        let witnessed = operator.way.witnessed();
        let made = witnessed.iter().find(of_job).unwrap();
        assert_eq!(made.code, Some(201), "{witnessed:#?}");
        let lease: Lease = bed.find("podium-operator").await.unwrap();
        assert_eq!(lease.spec.unwrap().holder_identity.as_deref(), Some(""));
    });
}

#[test]
fn a_lease_that_is_deleted_lasts_for_others_as_long_as_its_holder_may_write() {
    on_bed("deleted-lease", async |bed| {
        let (first, second) = two(&bed).await;
        bed.kubectl(&["delete", "lease", "podium-operator"])
            .unwrap();
        assert!(!first.ended(30).await.success());
        let ended_at = Instant::now();
        let since = took_over(&bed, &second, 60).await;
        assert!(ended_at < since, "it ended {:?} late", ended_at - since);
        let made = |r: &&Witnessed| r.is("POST", "leases");
        assert_eq!(first.way.witnessed().iter().filter(made).count(), 1);
        open(&bed, "all");
        bed.until_finished("forest", 90).await;
        nothing_ran_twice("forest", 3, [&first, &second]);
        // It goes with the account whose operator holds it.
        let lease: Lease = bed.find("podium-operator").await.unwrap();
        let owner = &lease.metadata.owner_references.unwrap()[0];
        assert_eq!(
            (owner.kind.as_str(), owner.name.as_str()),
            ("ServiceAccount", "podium")
        );
    });
}

#[test]
fn an_operator_that_reaches_nobody_stops_writing_and_ends_before_another_begins() {
    on_bed("cut-off", async |bed| {
        let (first, second) = two(&bed).await;
        first.way.cut(Cut::Everything);
        open(&bed, "all");
        let ended = first.ended(30).await;
        let ended_at = Instant::now();
        assert!(!ended.success());
        let since = took_over(&bed, &second, 60).await;
        assert!(ended_at < since, "it ended {:?} late", ended_at - since);
        let witnessed = first.way.witnessed();
        let renewed = witnessed.iter().rfind(|r| is_renewal(r)).unwrap().at;
        let late = |r: &&Witnessed| r.is_write() && r.at > renewed + ALLOWED;
        let late: Vec<_> = witnessed.iter().filter(late).collect();
        assert!(late.is_empty(), "{late:#?}");
        let job = bed.until_finished("forest", 90).await;
        assert_eq!(phase(&job), Some("Succeeded"));
        nothing_ran_twice("forest", 3, [&first, &second]);
    });
}

#[test]
fn of_operators_that_start_at_once_one_acts() {
    on_bed("at-once", async |bed| {
        let names = ["a", "b", "c"];
        let mut operators = Vec::new();
        for name in names {
            operators.push(bed.dead_operator(name).await);
        }
        bed.apply(&search("forest", 4, 2, REPORT));
        for operator in &operators {
            operator.start_again();
        }
        bed.until_finished("forest", 90).await;
        let acting = operators.iter().filter(|o| !o.writes().is_empty());
        assert_eq!(acting.count(), 1);
        nothing_ran_twice("forest", 4, &operators);
    });
}
