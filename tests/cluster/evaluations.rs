//! Comparisons of a cluster: Jobs with the image of podium read predictions from an object store, and the operator believes what they say.

use crate::bed::Bed;
use crate::bed::manifests::{approval, script_job};
use crate::evidence::{comparison, jobs_of, on_scene, predictions, until_comparison, until_policy};
use crate::policies::{looked_at_again, operator_with, until, waits_for_consent};
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt;
use kube::api::ListParams;
use podium_api::champion_policy::PendingDecisionStatus;
use podium_workload::table::sha256_hex;
use serde_json::json;

#[test]
fn a_better_challenger_is_compared_by_a_job_and_promoted() {
    on_scene("evidence", async |bed, scene| {
        scene.put_both();
        bed.apply(&scene.policy());
        scene.until_promoted(bed).await;

        let evaluation = comparison(bed).await.unwrap();
        let status = evaluation.status.clone().unwrap();
        assert_eq!(status.phase.as_deref(), Some("Finished"), "{status:#?}");
        assert_eq!(status.verdict.as_deref(), Some("Superior"), "{status:#?}");
        assert_eq!((status.attempts, status.left_out.len()), (Some(1), 0));
        let read = status.evidence.unwrap();
        for (file, name, signal) in [(&read.champion, "1", 0.1), (&read.challenger, "2", 0.4)] {
            let stored = predictions(signal, 900);
            assert_eq!(file.uri, scene.uri(name));
            assert_eq!(file.sha256, sha256_hex(stored.as_bytes()));
            assert_eq!((file.size, file.rows), (stored.len() as i64, 900));
            assert!(file.etag.is_some(), "{file:?}");
        }
        let read_time = read.read_time.unwrap().0;
        assert!(read_time <= status.completion_time.unwrap().0);

        let jobs = jobs_of(bed, &evaluation.uid().unwrap()).await;
        let names: Vec<String> = jobs.iter().map(ResourceExt::name_any).collect();
        assert_eq!(names.len(), 1, "{names:?}");
        let events = bed.api::<Event>().list(&ListParams::default()).await;
        let reasons: Vec<String> = events
            .unwrap()
            .items
            .into_iter()
            .filter_map(|event| event.reason)
            .collect();
        for reason in ["RunStarted", "Compared"] {
            assert!(reasons.iter().any(|told| told == reason), "{reasons:?}");
        }
        // The account of the object store is the pods' alone.
        let asked = scene.operator.way.witnessed();
        let secrets = asked.iter().filter(|asked| asked.path.contains("/secrets"));
        assert_eq!(secrets.count(), 0);
    });
}

#[test]
fn missing_predictions_are_waited_for_and_come() {
    on_scene("delivered", async |bed, scene| {
        scene.put("1", predictions(0.1, 900));
        bed.apply(&scene.policy());
        let missing = scene.uri("2");
        let waiting = until_comparison(bed, "waits", |status| {
            status.phase.as_deref() == Some("Waiting")
        })
        .await;
        assert_eq!(waiting.missing, std::slice::from_ref(&missing));
        assert!(waiting.missing_since.is_some() && waiting.next_attempt_time.is_some());
        until_policy(bed, "AwaitingPredictions", &missing).await;

        scene.put("2", predictions(0.4, 900));
        scene.until_promoted(bed).await;
        let status = comparison(bed).await.unwrap().status.unwrap();
        assert!(status.attempts >= Some(2), "{status:#?}");
        assert_eq!((status.missing.len(), status.missing_since), (0, None));
    });
}

#[test]
fn missing_predictions_are_given_up_at_their_deadline_and_asked_for_anew() {
    on_scene("given-up", async |bed, scene| {
        scene.put("1", predictions(0.1, 900));
        let mut policy = scene.policy();
        policy["spec"]["evidence"]["predictions"]["onMissing"] = json!({"deadlineSeconds": 1});
        bed.apply(&policy);
        let said = until_policy(bed, "EvaluationFailed", "did not come").await;
        for part in [scene.uri("2").as_str(), "missing since", "deadlineSeconds"] {
            assert!(said.contains(part), "{said}");
        }
        let failed = comparison(bed).await.unwrap();
        let phase = failed.status.as_ref().and_then(|s| s.phase.clone());
        assert_eq!(phase.as_deref(), Some("Failed"));

        scene.put("2", predictions(0.4, 900));
        let name = failed.name_any();
        bed.kubectl(&["delete", "evaluation", &name]).unwrap();
        scene.until_promoted(bed).await;
        let anew = comparison(bed).await.unwrap();
        assert_ne!(anew.uid(), failed.uid());
    });
}

#[test]
fn a_scorer_makes_what_a_comparison_misses() {
    on_scene("scored", async |bed, scene| {
        scene.put("1", predictions(0.1, 900));
        scene.put("made", predictions(0.4, 900));
        let mut policy = scene.policy();
        let scorer = scene.copying_scorer();
        let mut idle = scorer.clone();
        idle["job"]["template"]["spec"]["containers"][0]["command"][2] = json!("true");
        policy["spec"]["evidence"]["scorer"] = idle;
        bed.apply(&policy);
        let nothing = format!(
            "the scorer of v2 ended and wrote nothing to {}",
            scene.uri("2")
        );
        until_policy(bed, "EvidenceMissing", &nothing).await;

        policy["spec"]["evidence"]["scorer"] = scorer;
        bed.apply(&policy);
        scene.until_promoted(bed).await;
        let owner = bed.kubectl(&["get", "chp", "fraud", "-o=jsonpath={.metadata.uid}"]);
        let scorers = jobs_of(bed, &owner.unwrap()).await;
        // One for each scorer, and none for the champion, whose predictions were there.
        assert_eq!(scorers.len(), 2, "{scorers:#?}");
    });
}

/// A node that is removed takes pods with it. What a scorer measures is never the same twice, so each further run is another comparison.
#[test]
fn what_scorers_measured_outlives_their_pods() {
    on_scene("measured", async |bed, scene| {
        scene.put_both();
        let mut policy = scene.policy();
        let script =
            r#"echo "{\"measurements\": {\"latency\": $(date +%s)}}" >/dev/termination-log"#;
        policy["spec"]["evidence"]["scorer"] = json!({"job": script_job(script)});
        let guardrail = json!({"measurement": "latency", "maxIncreasePercent": 10});
        policy["spec"]["test"]["guardrails"] = json!([guardrail]);
        policy["spec"]["promotion"]["mode"] = json!("Approval");
        bed.apply(&policy);
        let decision = decision_after(bed, None).await;
        let measured = comparison(bed).await.unwrap();
        assert_eq!(measured.spec.measurements.len(), 1);

        bed.kubectl(&["delete", "pods", "--all", "--wait"]).unwrap();
        looked_at_again(bed, "ApprovalNeeded").await;
        assert_eq!(decision_after(bed, None).await.id, decision.id);
        assert_eq!(comparison(bed).await.unwrap().uid(), measured.uid());
        let owner = bed.kubectl(&["get", "chp", "fraud", "-o=jsonpath={.metadata.uid}"]);
        let scorers = jobs_of(bed, &owner.unwrap()).await;
        assert_eq!(scorers.len(), 2, "{scorers:#?}");
    });
}

/// Says of the comparison that its files were read an hour ago.
async fn reading_was_long_ago(bed: &Bed) {
    let name = comparison(bed).await.unwrap().name_any();
    let hour_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
    let hour_ago = hour_ago.round(jiff::Unit::Second).unwrap().to_string();
    let patch = json!({"status": {"evidence": {"readTime": hour_ago}}}).to_string();
    let arguments = ["patch", "evaluation", &name, "--subresource=status"];
    let arguments = [&arguments[..], &["--type=merge", "-p", &patch]].concat();
    bed.kubectl(&arguments).unwrap();
    looked_at_again(bed, "ApprovalNeeded").await;
}

/// The decision that waits, which is not this one.
async fn decision_after(bed: &Bed, before: Option<&str>) -> PendingDecisionStatus {
    let waiting = until(bed, "waits for consent", |policy| {
        let status = policy.status.as_ref();
        let pending = status.and_then(|status| status.pending_decision.as_ref());
        waits_for_consent(policy) && pending.map(|pending| pending.id.as_str()) != before
    })
    .await;
    waiting.status.unwrap().pending_decision.unwrap()
}

#[test]
fn an_alias_moves_on_old_evidence_once_its_files_were_looked_at_again() {
    on_scene("confirmed", async |bed, scene| {
        scene.put_both();
        let mut policy = scene.policy();
        policy["spec"]["promotion"]["mode"] = json!("Approval");
        bed.apply(&policy);
        let first = decision_after(bed, None).await;
        let overtaken = comparison(bed).await.unwrap();

        // What was consented to are other files than those that are there now.
        scene.put("2", predictions(0.5, 900));
        reading_was_long_ago(bed).await;
        bed.apply(&approval("of-old-files", &first, "ada"));
        let second = decision_after(bed, Some(&first.id)).await;
        let anew = comparison(bed).await.unwrap();
        assert_ne!(anew.uid(), overtaken.uid());
        assert_eq!(scene.mlflow.alias(&scene.model, "champion"), "1");

        reading_was_long_ago(bed).await;
        bed.apply(&approval("of-these-files", &second, "ada"));
        scene.until_promoted(bed).await;
        let status = comparison(bed).await.unwrap().status.unwrap();
        let confirmation = status.confirmation.unwrap();
        assert_eq!((confirmation.number, confirmation.changed), (1, None));
        assert!(confirmation.confirmed_time.is_some());
        let jobs = jobs_of(bed, &anew.uid().unwrap()).await;
        let looks = jobs
            .iter()
            .filter(|job| job.name_any().ends_with("-check-1"));
        assert_eq!(looks.count(), 1, "{jobs:#?}");
    });
}

#[test]
fn without_an_image_the_operator_says_so_and_runs_nothing() {
    on_scene("no-image", async |bed, scene| {
        scene.operator.kill();
        let _operator = operator_with(bed, &[]).await;
        scene.put_both();
        bed.apply(&scene.policy());
        let said = until_policy(bed, "EvidenceMissing", "--image").await;
        assert!(said.contains(&scene.uri("1")), "{said}");
        assert!(comparison(bed).await.is_none());
    });
}
