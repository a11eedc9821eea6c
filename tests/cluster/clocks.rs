//! What counts time: a machine whose clock is wrong, suspensions, deadlines of several objects.

use crate::bed::manifests::{HANG, REPORT, search};
use crate::bed::{on_bed, phase, reason, trial_phase};
use crate::looks::{patch, ready_message, status, stays, trial, trial_message, trial_reason};
use podium_api::TuningJob;
use serde_json::json;

#[test]
fn an_operator_whose_clock_is_hours_off_uses_the_clock_of_the_api_server() {
    for skew in ["7200", "-7200"] {
        on_bed("skew", async |bed| {
            let operator = bed.dead_operator("a").await;
            let operator = operator.with("PODIUM_CLOCK_SKEW_SECONDS", skew);
            operator.start_again();
            let mut search = search("skew", 2, 2, &format!("sleep 3; {REPORT}"));
            search["spec"]["activeDeadlineSeconds"] = json!(300);
            search["spec"]["trial"]["activeDeadlineSeconds"] = json!(120);
            search["spec"]["trial"]["queueDeadlineSeconds"] = json!(120);
            let began = jiff::Timestamp::now();
            bed.apply(&search);
            let job = bed.until_finished("skew", 120).await;
            assert_eq!(phase(&job), Some("Succeeded"), "{skew}: {job:#?}");
            let times = job.status.unwrap();
            for time in [times.start_time, times.completion_time] {
                let off = time.unwrap().0.duration_since(began).as_secs();
                assert!((-10..200).contains(&off), "{skew}: {off} s");
            }
            for trial in bed.trials("skew").await {
                assert_eq!(status(&trial).attempts.len(), 1, "{skew}: {trial:#?}");
                assert!(status(&trial).duration.is_some_and(|d| !d.starts_with('-')));
            }
        });
    }
}

#[test]
fn the_clock_of_a_search_stands_while_it_is_suspended() {
    on_bed("stands", async |bed| {
        let _operator = bed.operator("a").await;
        let mut late = search("stands", 1, 1, REPORT);
        late["spec"]["suspend"] = json!(true);
        late["spec"]["activeDeadlineSeconds"] = json!(40);
        bed.apply(&late);
        let suspended = |job: &TuningJob| phase(job) == Some("Suspended");
        bed.until("stands", 60, "is suspended", suspended).await;
        stays(42, "it is suspended", async || {
            suspended(&bed.search("stands").await.unwrap())
        })
        .await;
        patch(&bed, "stands", json!({"suspend": false}));
        let job = bed.until_finished("stands", 60).await;
        assert_eq!(phase(&job), Some("Succeeded"), "{job:#?}");
        let seconds = job.status.unwrap().suspended_seconds.unwrap();
        assert!((41..).contains(&seconds), "{seconds}");
    });
}

#[test]
fn the_deadline_of_the_job_itself_is_named_also_where_the_program_ends_well_by_it() {
    on_bed("jobs", async |bed| {
        let _operator = bed.operator("a").await;
        let ends_well = "trap 'echo \"{\\\"metrics\\\": {\\\"auc\\\": 0.5}}\" > /dev/termination-log; exit 0' TERM; sleep 600 & wait";
        for (name, script) in [("hangs", HANG), ("obeys", ends_well)] {
            let mut limited = search(name, 1, 1, script);
            limited["spec"]["trial"]["job"]["activeDeadlineSeconds"] = json!(4);
            bed.apply(&limited);
            let job = bed.until_finished(name, 90).await;
            let ended = trial(&bed, &format!("{name}-1")).await;
            assert_eq!(
                (trial_phase(&ended), trial_reason(&ended).as_str()),
                ("Failed", "DeadlineExceeded"),
                "{name}: {ended:#?}"
            );
            let message = trial_message(&ended);
            assert!(message.contains("of its Job"), "{name}: {message}");
            assert_eq!(
                reason(&job),
                Some("NoSuccessfulTrial"),
                "{}",
                ready_message(&job)
            );
        }
    });
}
