//! Comparisons that fail or hang: what happened is said where people look, and mending its cause goes on.

use crate::bed::manifests::script_job;
use crate::evidence::{
    account, comparison, evaluator, jobs_of, on_scene, pod, predictions, until_comparison,
    until_policy,
};
use crate::policies::looked_at_again;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use podium_operator::runs::evaluation_message::{Outcome, encode};
use podium_operator::runs::evaluation_runner::question_of;
use serde_json::{Value, json};

#[test]
fn a_comparison_that_needs_more_memory_says_what_to_raise() {
    on_scene("memory", async |bed, scene| {
        for (name, signal) in [("1", 0.1), ("2", 0.4)] {
            scene.put(name, predictions(signal, 400_000));
        }
        let mut policy = scene.policy();
        evaluator(&mut policy)["resources"]["limits"] = json!({"memory": "20Mi"});
        evaluator(&mut policy)["resources"]["requests"]["memory"] = json!("20Mi");
        bed.apply(&policy);
        let said = until_policy(bed, "EvaluationFailed", "resources.limits.memory").await;
        for part in ["now 20Mi", "evidence.evaluator.podTemplate"] {
            assert!(said.contains(part), "{said}");
        }
        // A change of the policy has it asked anew.
        evaluator(&mut policy)["resources"]["limits"] = json!({"memory": "1Gi"});
        bed.apply(&policy);
        scene.until_promoted(bed).await;
    });
}

#[test]
fn a_secret_that_is_missing_is_named_and_waited_for() {
    on_scene("no-secret", async |bed, scene| {
        scene.put_both();
        let mut policy = scene.policy();
        let absent = json!({"name": "comes-later"});
        policy["spec"]["evidence"]["store"]["credentialsSecretRef"] = absent;
        bed.apply(&policy);
        let named = r#"secret "comes-later" not found"#;
        let waiting = until_comparison(bed, "names the Secret", |status| {
            let said = status.message.as_deref().unwrap_or_default();
            said.contains(named)
        })
        .await;
        assert_eq!(waiting.phase.as_deref(), Some("Pending"));
        until_policy(bed, "Comparing", named).await;
        bed.apply(&account("comes-later"));
        scene.until_promoted(bed).await;
        let status = comparison(bed).await.unwrap().status.unwrap();
        assert_eq!(status.attempts, Some(1));
    });
}

#[test]
fn a_broken_file_is_refused_with_its_row_and_read_again_when_the_policy_changes() {
    on_scene("broken", async |bed, scene| {
        scene.put("1", predictions(0.1, 900));
        let broken = predictions(0.4, 900).replacen("\n6,1,", "\n6,1,high", 1);
        scene.put("2", broken);
        bed.apply(&scene.policy());
        let said = until_policy(bed, "EvaluationFailed", &scene.uri("2")).await;
        assert!(said.contains("row 7"), "{said}");
        let failed = comparison(bed).await.unwrap();
        assert_eq!(failed.status.unwrap().attempts, Some(1));

        scene.put("2", predictions(0.4, 900));
        let mut policy = scene.policy();
        policy["spec"]["pollSeconds"] = json!(11);
        bed.apply(&policy);
        scene.until_promoted(bed).await;
    });
}

/// A pod with the labels of the comparison's Job, which leaves this message.
fn alike(labels: &Value, message: &str) -> Value {
    let script = format!("printf %s '{message}' > /dev/termination-log");
    let mut spec = script_job(&script)["template"]["spec"].clone();
    spec["restartPolicy"] = json!("Never");
    spec["containers"][0]["name"] = json!("evaluator");
    json!({
        "apiVersion": "v1", "kind": "Pod", "spec": spec,
        "metadata": {"name": "alike", "labels": labels, "annotations": {"podium.dev/container": "evaluator"}},
    })
}

/// Somebody who may create pods would end a comparison, if that pod were believed.
#[test]
fn a_pod_with_the_labels_of_a_comparisons_job_is_not_believed() {
    on_scene("alike", async |bed, scene| {
        scene.put_both();
        let mut policy = scene.policy();
        pod(&mut policy)["nodeSelector"] = json!({"podium.dev/no-node": "has-this"});
        bed.apply(&policy);
        until_comparison(bed, "finds no node", |status| {
            let said = status.message.as_deref().unwrap_or_default();
            said.contains("nodes are available")
        })
        .await;
        let evaluation = comparison(bed).await.unwrap();
        let jobs = jobs_of(bed, &evaluation.uid().unwrap()).await;
        let question = question_of(&evaluation.spec).unwrap();
        let outcome = Outcome::Refused("so says somebody else".to_string());
        let message = encode(&question, &outcome);
        bed.apply(&alike(&json!(jobs[0].labels()), &message));
        bed.wait(60, "the pod has left its message", async || {
            let pod: Option<Pod> = bed.find("alike").await;
            let phase = pod.and_then(|pod| pod.status?.phase);
            phase.as_deref() == Some("Succeeded")
        })
        .await;
        looked_at_again(bed, "Comparing").await;
        let status = comparison(bed).await.unwrap().status.unwrap();
        assert_eq!(status.phase.as_deref(), Some("Pending"), "{status:#?}");

        // The pod of a Job stays as it was made; another comparison gets another.
        bed.apply(&scene.policy());
        let name = evaluation.name_any();
        bed.kubectl(&["delete", "evaluation", &name]).unwrap();
        scene.until_promoted(bed).await;
    });
}
