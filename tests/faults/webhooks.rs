//! An admission webhook that is slow, or fails, in front of the Jobs of a search.

use crate::bed::manifests::{REPORT, search};
use crate::bed::oracle::{created, no_orphans, nothing_ran_twice};
use crate::bed::webhook::{Manner, Webhook};
use crate::bed::{Bed, on_bed, phase, reason, trial_phase};
use k8s_openapi::api::batch::v1::Job;
use kube::api::ListParams;
use podium_api::{Trial, TuningJob};
use std::time::Duration;

const WAITING: Option<&str> = Some("WaitingForAPIServer");

/// Waits until the first trial of a search says that it waits for the API server, in words with this part, and the search too.
async fn until_waiting(bed: &Bed, search: &str, part: &str) {
    let name = format!("{search}-1");
    let says = |trial: &Trial| {
        let status = trial.status.clone().unwrap_or_default();
        let message = status.message.unwrap_or_default();
        trial_phase(trial) == "Queued"
            && status.reason.as_deref() == WAITING
            && message.contains(part)
    };
    let what = format!("{name} says {part:?}");
    bed.wait(60, &what, async || {
        bed.find::<Trial>(&name)
            .await
            .is_some_and(|trial| says(&trial))
    })
    .await;
    let waits = |job: &TuningJob| (phase(job), reason(job)) == (Some("Running"), WAITING);
    bed.until(search, 30, "waits for the API server", waits)
        .await;
}

/// Waits until a search has succeeded without a trial that counts as failed or was run again.
async fn until_succeeded(bed: &Bed, search: &str, seconds: u64) {
    let job = bed.until_finished(search, seconds).await;
    assert_eq!(phase(&job), Some("Succeeded"));
    let counts = job.status.unwrap().trials.unwrap();
    assert_eq!((counts.failed, counts.retried), (0, 0));
}

fn is_waited_for(name: &str, pause: Duration) {
    on_bed(name, async |bed| {
        let operator = bed.operator("a").await;
        operator.until_ready(30).await;
        let process = operator.id();
        let webhook = Webhook::of(&bed, "slow").await;
        webhook.answers(Manner::AllowAfter(pause));
        bed.apply(&search("slow", 2, 2, REPORT));
        until_waiting(&bed, "slow", "has not answered yet").await;
        until_succeeded(&bed, "slow", 150).await;
        // It was asked before the first trial, and for each of the two.
        assert_eq!(webhook.times(), 4, "one of them by the test");
        nothing_ran_twice("slow", 2, [&operator]);
        no_orphans(&bed).await;
        assert_eq!(operator.id(), process, "it still leads");
    });
}

#[test]
fn a_webhook_that_takes_six_seconds_is_waited_for() {
    is_waited_for("webhook-six", Duration::from_secs(6));
}

/// Longer than a write may last without a renewal of the lease.
#[test]
fn a_webhook_that_takes_almost_as_long_as_it_may_is_waited_for() {
    is_waited_for("webhook-29", Duration::from_secs(29));
}

#[test]
fn a_webhook_that_fails_is_quoted_and_asked_again() {
    on_bed("webhook-500", async |bed| {
        let operator = bed.operator("a").await;
        let webhook = Webhook::of(&bed, "slow").await;
        webhook.answers(Manner::Fail);
        bed.apply(&search("slow", 2, 2, REPORT));
        until_waiting(&bed, "slow", "failed calling webhook \"slow.example.com\"").await;
        webhook.answers(Manner::Allow);
        until_succeeded(&bed, "slow", 120).await;
        nothing_ran_twice("slow", 2, [&operator]);
    });
}

#[test]
fn a_webhook_that_never_answers_holds_up_no_other_search_and_is_named() {
    on_bed("webhook-silent", async |bed| {
        let operator = bed.operator("a").await;
        let webhook = Webhook::of(&bed, "slow").await;
        webhook.answers(Manner::Silence);
        // More trials than are looked at at once.
        bed.apply(&search("slow", 9, 9, REPORT));
        until_waiting(&bed, "slow", "has not answered yet").await;
        bed.apply(&search("good", 2, 2, REPORT));
        // Less than the API server waits for the webhook.
        until_succeeded(&bed, "good", 28).await;
        let of_slow = ListParams::default().labels("podium.dev/tuning-job=slow");
        let jobs = bed.api::<Job>().list(&of_slow).await.unwrap();
        assert_eq!(jobs.items.len(), 0);
        until_waiting(&bed, "slow", "failed calling webhook \"slow.example.com\"").await;
        // Nothing was asked for twice at once.
        assert!(created([&operator]).values().all(|times| *times == 1));
        let asked = webhook.times();
        assert!(asked <= 2 * 9 + 2, "asked {asked} times");
    });
}
