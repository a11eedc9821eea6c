//! The API server and etcd go away and come back; a watch breaks.

use crate::bed::gates::{gated, open};
use crate::bed::operator::Operator;
use crate::bed::oracle::{no_orphans, nothing_ran_twice};
use crate::bed::{Away, Bed, kubectl, on_bed, phase};
use podium_api::TuningJob;

/// A search whose first two trials run.
async fn running(bed: &Bed, trials: u32) -> Operator {
    let operator = bed.operator("a").await;
    bed.apply(&gated(bed, "forest", trials, 2));
    bed.until_trial("forest", 2, "Running").await;
    operator
}

async fn ends_well(bed: &Bed, operator: &Operator, trials: u32) -> TuningJob {
    let job = operator.kept_alive(bed.until_finished("forest", 120)).await;
    assert_eq!(phase(&job), Some("Succeeded"));
    let counts = job.status.as_ref().unwrap().trials.unwrap();
    let total = i32::try_from(trials).unwrap();
    assert_eq!((counts.succeeded, counts.retried), (total, 0));
    nothing_ran_twice("forest", trials, [operator]);
    no_orphans(bed).await;
    job
}

#[test]
fn a_search_gets_over_an_api_server_that_is_killed() {
    on_bed("api-killed", async |bed| {
        let operator = running(&bed, 4).await;
        let away = Away::killed("kube-apiserver");
        open(&bed, "all");
        drop(away);
        ends_well(&bed, &operator, 4).await;
        // It was back before the lease was over.
        assert!(operator.id().is_some());
    });
}

#[test]
fn a_search_gets_over_an_api_server_that_is_away_longer_than_the_lease_lasts() {
    on_bed("api-away", async |bed| {
        let operator = running(&bed, 4).await;
        let away = Away::stopped("kube-apiserver");
        open(&bed, "all");
        // Nobody may act without a lease, so it ends, and waits again when it was started again.
        assert!(!operator.ended(30).await.success());
        operator.start_again();
        drop(away);
        ends_well(&bed, &operator, 4).await;
    });
}

#[test]
fn a_search_gets_over_a_store_that_is_killed() {
    on_bed("etcd-killed", async |bed| {
        let operator = running(&bed, 4).await;
        let away = Away::killed("etcd");
        open(&bed, "all");
        drop(away);
        ends_well(&bed, &operator, 4).await;
    });
}

#[test]
fn a_watch_whose_past_was_forgotten_lists_anew() {
    on_bed("gone", async |bed| {
        let operator = running(&bed, 4).await;
        for gate in ["1", "2", "all"] {
            operator.way.forget_watches();
            open(&bed, gate);
        }
        ends_well(&bed, &operator, 4).await;
        let metrics = operator.get("metrics").await.unwrap();
        for kind in ["TuningJob", "Trial", "Job", "Pod", "Event"] {
            let line = format!("podium_watch_desyncs_total{{kind=\"{kind}\"}} ");
            let count = metrics.lines().find_map(|l| l.strip_prefix(&line));
            let count = count.map_or(0, |count| count.parse().unwrap());
            assert!(count >= 1, "{kind}: {count}");
        }
    });
}

#[test]
fn a_kind_that_is_removed_is_said_and_is_back_when_it_is_installed_again() {
    on_bed("kind", async |bed| {
        let operator = running(&bed, 4).await;
        let kind = "evaluations.podium.dev";
        kubectl(&["delete", "crd", kind], None).unwrap();
        bed.wait(90, "it says which kind it does not see", async || {
            operator
                .readiness()
                .await
                .contains("the watch of evaluations")
        })
        .await;
        let crd = format!("crds/podium.dev_{}.yaml", "evaluations");
        kubectl(&["apply", "-f", &crd], None).unwrap();
        operator.until_ready(90).await;
        open(&bed, "all");
        ends_well(&bed, &operator, 4).await;
    });
}
