//! Objects that nobody asked for, and statuses that the cluster refuses.

use crate::bed::manifests::{REPORT, search};
use crate::bed::{Bed, kubectl, on_bed, phase, trial_phase};
use crate::looks::{ready_message, status, stays, trial, trial_message, trial_reason};
use serde_json::{Value, json};

/// A comparison that somebody made, which no policy asked for.
fn evaluation() -> Value {
    json!({
        "apiVersion": "podium.dev/v1alpha1", "kind": "Evaluation", "metadata": {"name": "fraud"},
        "spec": {
            "policyRef": {"name": "fraud"}, "model": "fraud",
            "champion": {"version": "1", "predictions": "s3://a/1"},
            "challenger": {"version": "2", "predictions": "s3://a/2"},
            "columns": {"id": "id", "label": "label"},
            "rowsNoun": "rows",
            "test": {"primary": {"metric": "rocAuc"}},
        },
    })
}

/// Status and reason of a condition of an object.
fn condition(bed: &Bed, kind: &str, condition: &str) -> String {
    let path = format!(
        r#"jsonpath={{.status.conditions[?(@.type=="{condition}")].status}} {{.status.conditions[?(@.type=="{condition}")].reason}} {{.status.observedGeneration}}"#
    );
    bed.kubectl(&["get", kind, "fraud", "-o", &path]).unwrap()
}

#[test]
fn a_comparison_that_no_policy_asked_for_is_not_made() {
    on_bed("kinds", async |bed| {
        let operator = bed.operator("a").await;
        bed.apply(&evaluation());
        bed.wait(60, "it says so", async || {
            let says = |kind, status| {
                condition(&bed, "evaluation", kind) == format!("{status} NotAsked 1")
            };
            says("Ready", "False") && says("Stalled", "True")
        })
        .await;
        // Saying it once is enough, and no run begins.
        let writes = operator.writes().len();
        stays(4, "nothing is written any more", async || {
            operator.writes().len() == writes
        })
        .await;
    });
}

/// Refuses statuses of a namespace for which `expression` does not hold, until it is dropped.
struct Rule(String);

impl Rule {
    fn set(bed: &Bed, resource: &str, expression: &str, message: &str) -> Self {
        let name = format!("{}-{resource}", bed.namespace);
        let policy = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [{
                    "apiGroups": ["podium.dev"], "apiVersions": ["*"], "operations": ["UPDATE"],
                    "resources": [format!("{resource}/status")],
                }]},
                "validations": [{"expression": expression, "message": message}],
            },
        });
        let binding = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {
                "policyName": name, "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": bed.namespace}}},
            },
        });
        for object in [policy, binding] {
            kubectl(&["apply", "-f", "-"], Some(&object.to_string())).unwrap();
        }
        Self(name)
    }
}

impl Drop for Rule {
    fn drop(&mut self) {
        for kind in [
            "validatingadmissionpolicybinding",
            "validatingadmissionpolicy",
        ] {
            let _ = kubectl(&["delete", kind, &self.0, "--ignore-not-found"], None);
        }
    }
}

/// Waits until a rule is in force: an API server takes it in some time after it was set.
async fn in_force(bed: &Bed, probe: &str, status: &Value) {
    let patch = json!({"status": status}).to_string();
    bed.wait(60, "the rule is in force", async || {
        let arguments = [
            "patch",
            "--subresource=status",
            probe,
            "probe",
            "--type=merge",
            "-p",
            &patch,
            "--dry-run=server",
        ];
        bed.kubectl(&arguments).is_err()
    })
    .await;
}

#[test]
fn a_trial_whose_status_is_refused_fails_with_the_words_and_its_search_goes_on() {
    on_bed("refused", async |bed| {
        bed.apply(&json!({
            "apiVersion": "podium.dev/v1alpha1", "kind": "Trial", "metadata": {"name": "probe"},
            "spec": {"index": 1, "parameters": {"rate": 0.5}, "seed": 1, "origin": "Random"},
        }));
        let words = "no metric is to be stored here";
        let rule = "!has(object.status.metrics) || object.status.metrics.size() == 0";
        let _rule = Rule::set(&bed, "trials", rule, words);
        let metrics =
            json!({"metrics": [{"name": "auc", "value": 0.5, "weight": 1.0, "parts": 1}]});
        in_force(&bed, "trial", &metrics).await;
        let _operator = bed.operator("a").await;
        bed.apply(&search("refused", 2, 1, REPORT));
        let job = bed.until_finished("refused", 90).await;
        assert_eq!(phase(&job), Some("Failed"), "{job:#?}");
        for name in ["refused-1", "refused-2"] {
            let trial = trial(&bed, name).await;
            assert_eq!(
                (trial_phase(&trial), trial_reason(&trial).as_str()),
                ("Failed", "StatusRefused")
            );
            assert!(trial_message(&trial).contains(words), "{trial:#?}");
            assert!(status(&trial).completion_time.is_some());
        }
    });
}

#[test]
fn a_search_whose_status_is_refused_tells_where_it_is_and_ends() {
    on_bed("smallest", async |bed| {
        let mut probe = search("probe", 1, 1, REPORT);
        probe["spec"]["suspend"] = json!(true);
        bed.apply(&probe);
        let words = "no best trial is to be stored here";
        let _rule = Rule::set(&bed, "tuningjobs", "!has(object.status.best)", words);
        let best = json!({"best": {"trial": "probe-1", "objective": 1.0, "metrics": {}, "parameters": {}}});
        in_force(&bed, "tuningjob", &best).await;
        let _operator = bed.operator("a").await;
        bed.apply(&search("smallest", 2, 1, REPORT));
        let job = bed.until_finished("smallest", 90).await;
        assert_eq!(phase(&job), Some("Succeeded"), "{job:#?}");
        assert!(ready_message(&job).contains(words), "{job:#?}");
        assert!(ready_message(&job).contains("the best is"), "{job:#?}");
    });
}
