//! What an operator does not see any more it says.

use crate::bed::manifests::{REPORT, search};
use crate::bed::operator::Operator;
use crate::bed::{Bed, kubectl, on_bed, phase};

/// Waits until `/readyz` names a watch that fails.
async fn until_said(bed: &Bed, operator: &Operator, words: &str) {
    bed.wait(90, &format!("it says: {words}"), async || {
        operator.readiness().await.contains(words)
    })
    .await;
    assert_eq!(operator.get("readyz").await, None, "it is not ready");
}

#[test]
fn a_right_that_is_taken_away_is_said_and_the_search_goes_on_when_it_is_back() {
    on_bed("right", async |bed| {
        let operator = bed.operator("a").await;
        operator.until_ready(30).await;
        let binding = bed
            .kubectl(&["get", "rolebinding", "podium", "-o", "json"])
            .unwrap();
        bed.kubectl(&["delete", "rolebinding", "podium"]).unwrap();
        operator.way.forget_watches();
        until_said(&bed, &operator, "is forbidden").await;
        let mut binding: serde_json::Value = serde_json::from_str(&binding).unwrap();
        binding["metadata"] = serde_json::json!({"name": "podium"});
        bed.apply(&binding);
        bed.apply(&search("right", 2, 1, REPORT));
        let job = bed.until_finished("right", 120).await;
        assert_eq!(phase(&job), Some("Succeeded"), "{job:#?}");
        operator.until_ready(60).await;
    });
}

#[test]
fn a_namespace_that_is_removed_under_a_search_ends_it_and_nothing_else() {
    on_bed("removed", async |bed| {
        let operator = bed.operator("a").await;
        bed.apply(&search("removed", 20, 4, REPORT));
        bed.until_trial("removed", 1, "Succeeded").await;
        kubectl(
            &["delete", "namespace", &bed.namespace, "--wait=false"],
            None,
        )
        .unwrap();
        bed.wait(90, "the namespace is gone", async || {
            kubectl(&["get", "namespace", &bed.namespace], None).is_err()
        })
        .await;
        assert!(operator.id().is_some(), "it goes on\n{}", operator.log());
        assert!(!operator.log().contains("panicked"), "{}", operator.log());
    });
}
