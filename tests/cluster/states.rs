//! Every state of a search as people and tools see it through the API server.

use crate::bed::manifests::{HANG, REPORT, cases, container_of, pod_of, search};
use crate::bed::way::Witnessed;
use crate::bed::{Bed, condition, kubectl, on_bed, phase, reason};
use crate::looks::{lint, patch, ready_message, states_written, stays, until_running};
use serde_json::json;

/// `kubectl wait` for the end of a search, beside the test.
fn wait_finished(
    bed: &Bed,
    name: &str,
    seconds: u32,
) -> tokio::task::JoinHandle<Result<String, String>> {
    let arguments = [
        "-n".to_string(),
        bed.namespace.clone(),
        "wait".to_string(),
        "--for=condition=Finished".to_string(),
        format!("tj/{name}"),
        format!("--timeout={seconds}s"),
    ];
    tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        kubectl(&arguments, None)
    })
}

#[test]
fn a_search_goes_through_the_states_of_the_table() {
    on_bed("table", async |bed| {
        let operator = bed.operator("a").await;
        bed.apply(&search("good", 3, 1, REPORT));
        let mut bad = search("bad", 2, 1, "exit 1");
        bad["spec"]["maxFailedTrials"] = json!(1);
        bed.apply(&bad);
        let waits = [
            wait_finished(&bed, "good", 90),
            wait_finished(&bed, "bad", 90),
        ];
        for wait in waits {
            let said = wait.await.unwrap().unwrap();
            assert!(said.contains("condition met"), "{said}");
        }
        let succeeded = [
            "get",
            "tj",
            "good",
            "bad",
            "-o",
            r#"jsonpath={.items[*].status.conditions[?(@.type=="Succeeded")].status}"#,
        ];
        assert_eq!(bed.kubectl(&succeeded).unwrap(), "True False");
        let state = |phase: &str, reason: &str| (phase.to_string(), reason.to_string());
        let begun = [
            state("Pending", "Accepted"),
            state("Running", "TrialsRunning"),
        ];
        let mut good = begun.to_vec();
        good.push(state("Succeeded", "MaxTrialsReached"));
        assert_eq!(states_written(&operator, "good"), good);
        let mut bad = begun.to_vec();
        bad.push(state("Failed", "TooManyFailedTrials"));
        assert_eq!(states_written(&operator, "bad"), bad);
        for trial in bed
            .trials("good")
            .await
            .iter()
            .chain(&bed.trials("bad").await)
        {
            lint(&json!(trial.status));
            let conditions = &trial.status.as_ref().unwrap().conditions;
            let of = |kind: &str| {
                conditions
                    .iter()
                    .find(|c| c.type_ == kind)
                    .map(|c| c.status.as_str())
            };
            let good = trial.metadata.name.as_ref().unwrap().starts_with("good");
            let expected = if good {
                ["True", "True", "True", "-"]
            } else {
                ["False", "False", "True", "True"]
            };
            assert_eq!(
                ["Ready", "Succeeded", "Finished", "Stalled"].map(|kind| of(kind).unwrap_or("-")),
                expected
            );
        }
    });
}

#[test]
fn kubectl_wait_does_not_take_the_end_of_an_earlier_generation() {
    on_bed("wait", async |bed| {
        let operator = bed.operator("a").await;
        bed.apply(&search("more", 1, 1, REPORT));
        wait_finished(&bed, "more", 60).await.unwrap().unwrap();
        operator.kill();
        patch(&bed, "more", json!({"maxTrials": 2}));
        // Nobody has seen the new generation, so this must run into its timeout.
        let error = wait_finished(&bed, "more", 3).await.unwrap().unwrap_err();
        assert!(error.contains("timed out"), "{error}");
        operator.start_again();
        wait_finished(&bed, "more", 60).await.unwrap().unwrap();
        let job = bed.search("more").await.unwrap();
        assert_eq!(job.status.unwrap().trials.unwrap().succeeded, 2);
    });
}

#[test]
fn columns_show_what_people_look_for() {
    on_bed("columns", async |bed| {
        let _operator = bed.operator("a").await;
        let script = "case $(case) in bad) exit 1;; esac; echo '{\"metrics\": {\"auc\": 0.75}}' > /dev/termination-log";
        bed.apply(&cases("columns", &["bad", "good"], 2, script));
        bed.until_finished("columns", 60).await;
        let table = |arguments: &[&str]| -> Vec<Vec<String>> {
            let text = bed.kubectl(arguments).unwrap();
            let cells = |line: &str| {
                line.split("  ")
                    .map(str::trim)
                    .filter(|c| !c.is_empty())
                    .map(str::to_string)
                    .collect()
            };
            text.lines().map(cells).collect()
        };
        let narrow = table(&["get", "tj"]);
        assert_eq!(
            narrow[0],
            [
                "NAME",
                "PHASE",
                "PROGRESS",
                "RUNNING",
                "FAILED",
                "BEST",
                "OBJECTIVE",
                "AGE"
            ]
        );
        let best = bed
            .search("columns")
            .await
            .unwrap()
            .status
            .unwrap()
            .best
            .unwrap()
            .trial;
        assert_eq!(
            narrow[1][..7],
            ["columns", "Succeeded", "2/2", "0", "1", &best, "0.75"]
        );
        let wide = table(&["get", "tj", "-o", "wide"]);
        assert_eq!(wide[0][8..], ["ALGORITHM", "SEED", "REASON"]);
        assert_eq!(wide[1][8..], ["Grid", "1", "MaxTrialsReached"]);
        let trials = table(&["get", "trials", "-o", "wide"]);
        assert_eq!(
            trials[0],
            [
                "NAME",
                "PHASE",
                "OBJECTIVE",
                "DURATION",
                "PARAMETERS",
                "AGE",
                "REASON",
                "MESSAGE"
            ]
        );
        let row = |case: &str| {
            trials
                .iter()
                .find(|row| row.contains(&format!("case={case}")))
                .unwrap()
        };
        assert_eq!(
            (row("good")[1].as_str(), row("good")[2].as_str()),
            ("Succeeded", "0.75")
        );
        let bad = row("bad");
        assert_eq!(
            (bad[1].as_str(), bad[bad.len() - 2].as_str()),
            ("Failed", "NonZeroExit")
        );
        assert_eq!(bad[bad.len() - 1], "the container exited with code 1");
        let all = bed.kubectl(&["get", "podium", "-o", "name"]).unwrap();
        assert_eq!(all.lines().count(), 3, "{all}");
    });
}

#[test]
fn events_tell_the_story() {
    on_bed("events", async |bed| {
        let _operator = bed.operator("a").await;
        let script = "case $(case) in bad) echo no data; exit 1;; esac; echo '{\"metrics\": {\"auc\": 0.75}}' > /dev/termination-log";
        bed.apply(&cases("story", &["bad", "good"], 1, script));
        bed.until_finished("story", 60).await;
        // Events are told after statuses are written, those of trials by others than those of their search.
        let mut story = String::new();
        bed.wait(60, "all of it is told", async || {
            story = bed.kubectl(&["describe", "tj", "story"]).unwrap();
            let of_trials = ["TrialSucceeded", "TrialFailed"];
            of_trials.iter().all(|reason| story.contains(reason))
                && story.matches("MaxTrialsReached").count() >= 2
        })
        .await;
        let (_, events) = story.split_once("Events:").unwrap();
        for (kind, why, note) in [
            (
                "Normal",
                "TrialSucceeded",
                "ended with 0.7500 for case=good",
            ),
            (
                "Warning",
                "TrialFailed",
                "NonZeroExit: the container exited with code 1; its last lines: no data",
            ),
            (
                "Normal",
                "MaxTrialsReached",
                "2 trials ended; the best is story-",
            ),
        ] {
            let told = events
                .lines()
                .filter(|line| line.contains(kind) && line.contains(why) && line.contains(note));
            assert_eq!(told.count(), 1, "{why}\n{events}");
        }
        let trial = bed.kubectl(&["describe", "trial", "story-1"]).unwrap();
        assert!(
            trial.contains("RunStarted") && trial.contains("run 1 was started with case="),
            "{trial}"
        );
    });
}

#[test]
fn a_template_that_kubernetes_refuses_is_reported_in_its_own_words_and_not_asked_about_again_and_again()
 {
    on_bed("refused", async |bed| {
        let operator = bed.operator("a").await;
        let mut empty = search("empty", 2, 2, REPORT);
        pod_of(&mut empty)["containers"] = json!([]);
        let mut always = search("always", 2, 2, REPORT);
        pod_of(&mut always)["restartPolicy"] = json!("Always");
        let mut policy = search("policy", 2, 2, REPORT);
        policy["spec"]["trial"]["job"]["completionMode"] = json!("Sometimes");
        for (search, name, words) in [
            (
                empty,
                "empty",
                "spec.template.spec.containers: Required value",
            ),
            (
                always,
                "always",
                "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
            ),
            (
                policy,
                "policy",
                "spec.completionMode: Unsupported value: \"Sometimes\"",
            ),
        ] {
            bed.apply(&search);
            let blocked = |job: &podium_api::TuningJob| phase(job) == Some("Blocked");
            let job = bed.until(name, 60, "is blocked", blocked).await;
            assert_eq!(reason(&job), Some("TrialRefused"));
            let message = ready_message(&job);
            assert!(message.contains(words), "{name}: {message}");
        }
        let asked = || {
            let requests = operator.way.witnessed();
            let about_jobs = |r: &&Witnessed| r.resource.starts_with("jobs") && r.method != "GET";
            requests.iter().filter(about_jobs).count()
        };
        // Once, and once more when the answer is written down.
        stays(
            8,
            "each template is asked about twice at most",
            async || asked() <= 6,
        )
        .await;
        assert_eq!(
            bed.kubectl(&["get", "trials,jobs", "-o", "name"]).unwrap(),
            ""
        );
        for name in ["empty", "always", "policy"] {
            assert_eq!(
                states_written(&operator, name),
                [("Blocked".to_string(), "TrialRefused".to_string())]
            );
        }
    });
}

#[test]
fn a_specification_that_cannot_be_carried_out_is_blocked_until_it_is_mended() {
    on_bed("invalid", async |bed| {
        let operator = bed.operator("a").await;
        let mut early = search("early", 1, 1, REPORT);
        early["spec"]["earlyStopping"] = json!({"median": {}});
        bed.apply(&early);
        let mut nowhere = search("nowhere", 1, 1, REPORT);
        nowhere["spec"]["metrics"] =
            json!({"sources": [{"terminationMessage": {"container": "report"}}]});
        bed.apply(&nowhere);
        let mut typed = search("typed", 2, 2, REPORT);
        container_of(&mut typed)["image"] = json!(5);
        bed.apply(&typed);
        for (name, words) in [
            ("early", "spec.earlyStopping"),
            (
                "nowhere",
                "spec.metrics.sources[0].terminationMessage.container",
            ),
            (
                "typed",
                "spec.trial.job.template.spec.containers[0].image: does not fit a pod template: invalid type: integer `5`, expected a string",
            ),
        ] {
            let blocked = |job: &podium_api::TuningJob| phase(job) == Some("Blocked");
            let job = bed.until(name, 60, "is blocked", blocked).await;
            assert_eq!(reason(&job), Some("InvalidSpec"));
            assert!(
                ready_message(&job).contains(words),
                "{}",
                ready_message(&job)
            );
        }
        assert_eq!(
            bed.kubectl(&["get", "trials,jobs", "-o", "name"]).unwrap(),
            ""
        );
        patch(&bed, "early", json!({"earlyStopping": null}));
        let job = bed.until_finished("early", 60).await;
        assert_eq!(phase(&job), Some("Succeeded"));
        let phases: Vec<String> = states_written(&operator, "early")
            .into_iter()
            .map(|(phase, _)| phase)
            .collect();
        assert_eq!(phases, ["Blocked", "Pending", "Running", "Succeeded"]);
    });
}

#[test]
fn a_search_that_waits_for_its_deletion_says_so() {
    on_bed("leaving", async |bed| {
        let operator = bed.operator("a").await;
        bed.apply(&search("leaving", 2, 1, HANG));
        let mut invalid = search("invalid", 1, 1, REPORT);
        invalid["spec"]["earlyStopping"] = json!({"median": {}});
        bed.apply(&invalid);
        until_running(&bed, "leaving-1").await;
        for name in ["leaving", "invalid"] {
            // Something that must go first, and takes its time.
            let owner = bed.search(name).await.unwrap();
            bed.apply(&json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {
                    "name": name,
                    "finalizers": ["podium.dev/test"],
                    "ownerReferences": [{
                        "apiVersion": "podium.dev/v1alpha1", "kind": "TuningJob", "name": name, "uid": owner.metadata.uid,
                        "blockOwnerDeletion": true,
                    }],
                },
            }));
            bed.kubectl(&["delete", "tj", name, "--cascade=foreground", "--wait=false"])
                .unwrap();
            let leaving = |job: &podium_api::TuningJob| phase(job) == Some("Terminating");
            let job = bed.until(name, 60, "says that it goes", leaving).await;
            assert_eq!(condition(&job, "Reconciling"), Some("True"));
            let patch = r#"{"metadata": {"finalizers": null}}"#;
            bed.kubectl(&["patch", "configmap", name, "--type=merge", "-p", patch])
                .unwrap();
            bed.wait(60, "the search is gone", async || {
                bed.search(name).await.is_none()
            })
            .await;
            let states = states_written(&operator, name);
            assert_eq!(
                states.last(),
                Some(&("Terminating".to_string(), "Deleted".to_string()))
            );
        }
        bed.wait(60, "all of it is gone", async || {
            bed.kubectl(&["get", "trials,jobs,pods", "-o", "name"])
                .is_ok_and(|left| left.is_empty())
        })
        .await;
    });
}
