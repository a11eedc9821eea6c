//! Somebody else writes statuses.

use crate::bed::gates::{gated, open};
use crate::bed::operator::Operator;
use crate::bed::oracle::nothing_ran_twice;
use crate::bed::{Bed, condition, on_bed, phase, trial_phase};
use podium_api::{Trial, TuningJob};
use serde_json::{Value, json};

fn write_status(bed: &Bed, object: &str, status: &Value) {
    let patch = json!({"status": status}).to_string();
    let arguments = [
        "patch",
        object,
        "--subresource=status",
        "--type=merge",
        "-p",
    ];
    bed.kubectl(&[&arguments[..], &[&patch]].concat()).unwrap();
}

fn said(kind: &str, status: &str, reason: &str) -> Value {
    json!({
        "type": kind, "status": status, "reason": reason, "message": "said by somebody else",
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
    })
}

async fn running(bed: &Bed) -> Operator {
    let operator = bed.operator("a").await;
    bed.apply(&gated(bed, "forest", 3, 2));
    bed.until_trial("forest", 1, "Running").await;
    bed.until_trial("forest", 2, "Running").await;
    operator
}

/// A search that ends as it should, after so many writes of somebody else. Each of them is answered by a few writes and no more.
async fn ends_well(bed: &Bed, operator: &Operator, foreign_writes: usize) {
    open(bed, "all");
    let job = bed.until_finished("forest", 90).await;
    assert_eq!(phase(&job), Some("Succeeded"));
    let status = job.status.unwrap();
    assert_eq!(status.trials.unwrap().succeeded, 3);
    // The highest of the three rates that are drawn with this seed.
    assert_eq!(status.best.unwrap().trial, "forest-1");
    nothing_ran_twice("forest", 3, [operator]);
    let writes = operator.writes();
    let of_search = writes.iter().filter(|r| r.is("PATCH", "tuningjobs/status"));
    let of_trials = writes.iter().filter(|r| r.is("PATCH", "trials/status"));
    let (of_search, of_trials) = (of_search.count(), of_trials.count());
    assert!(of_search <= 10 + 2 * foreign_writes, "{of_search}");
    assert!(of_trials <= 10 + 2 * foreign_writes, "{of_trials}");
}

#[test]
fn a_search_that_somebody_calls_ended_goes_on() {
    on_bed("forged-end", async |bed| {
        let operator = running(&bed).await;
        let forged = json!({
            "phase": "Succeeded",
            "conditions": [
                said("Ready", "True", "MaxTrialsReached"),
                said("Succeeded", "True", "MaxTrialsReached"),
                said("Finished", "True", "MaxTrialsReached"),
                said("Suspended", "False", "MaxTrialsReached"),
            ],
        });
        write_status(&bed, "tj/forest", &forged);
        let healed = |job: &TuningJob| {
            phase(job) == Some("Running") && condition(job, "Finished") == Some("False")
        };
        bed.until("forest", 30, "runs again", healed).await;
        ends_well(&bed, &operator, 1).await;
    });
}

#[test]
fn what_somebody_says_of_a_search_does_not_stay() {
    on_bed("forged-state", async |bed| {
        let operator = running(&bed).await;
        let forged = json!({
            "phase": "Failed",
            "trials": null,
            "startTime": null,
            "conditions": [
                said("Ready", "False", "InvalidSpec"),
                said("Stalled", "True", "InvalidSpec"),
            ],
        });
        let healed = |job: &TuningJob| {
            phase(job) == Some("Running")
                && condition(job, "Ready") == Some("True")
                && condition(job, "Finished") == Some("False")
                && condition(job, "Stalled").is_none()
                && job.status.as_ref().unwrap().trials.is_some()
        };
        for _ in 0..5 {
            write_status(&bed, "tj/forest", &forged);
            bed.until("forest", 30, "is as it is", healed).await;
        }
        ends_well(&bed, &operator, 5).await;
    });
}

#[test]
fn what_somebody_says_of_a_trial_does_not_stay() {
    on_bed("forged-trial", async |bed| {
        let operator = running(&bed).await;
        for forged in [
            json!({"phase": "Pending", "conditions": [said("Ready", "False", "Pending")]}),
            json!({"phase": "Failed", "conditions": [said("Stalled", "True", "NonZeroExit")]}),
            json!({"phase": "Succeeded", "objective": 1.0, "conditions": [said("Finished", "True", "Completed")]}),
            json!({"conditions": [said("Ready", "False", "Completed")]}),
        ] {
            write_status(&bed, "trial/forest-1", &forged);
            let healed = async || {
                let trial: Option<Trial> = bed.find("forest-1").await;
                trial.is_some_and(|trial| {
                    let conditions = &trial.status.as_ref().unwrap().conditions;
                    let says = |kind, status| {
                        let mut all = conditions.iter();
                        all.any(|c| c.type_ == kind && c.status == status)
                    };
                    trial_phase(&trial) == "Running"
                        && says("Ready", "True")
                        && says("Finished", "False")
                        && !says("Stalled", "True")
                })
            };
            bed.wait(30, &format!("{forged} is healed"), healed).await;
        }
        ends_well(&bed, &operator, 4).await;
    });
}
