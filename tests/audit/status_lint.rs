//! The checks of Flux's `runtime/conditions/check` on one object, for conditions that are abnormal when true: Reconciling, Stalled.

use serde_json::Value;

const ABNORMAL: [&str; 2] = ["Reconciling", "Stalled"];

/// The names of the checks that an object does not pass, each with what must hold.
pub fn faults(object: &Value) -> Vec<&'static str> {
    let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
    let observed = object["status"]["observedGeneration"]
        .as_i64()
        .unwrap_or(-1);
    let conditions: &[Value] = object["status"]["conditions"]
        .as_array()
        .map_or(&[], Vec::as_slice);
    let status_of = |kind: &str| {
        let found = conditions
            .iter()
            .find(|condition| condition["type"] == kind);
        found.map(|condition| condition["status"].as_str().unwrap_or_default())
    };
    let observed_by = |condition: &Value| condition["observedGeneration"].as_i64().unwrap_or(0);
    let ready = status_of("Ready");
    let is_ready = ready == Some("True");
    let is_true = |kind: &str| status_of(kind) == Some("True");
    let checks = [
        (
            "FAIL0001: Reconciling and Stalled must not be True while Ready is",
            is_ready && ABNORMAL.into_iter().any(is_true),
        ),
        ("FAIL0002: Ready must be there", ready.is_none()),
        (
            "FAIL0003: Ready must be False while Reconciling is True",
            is_true("Reconciling") && ready != Some("False"),
        ),
        (
            "FAIL0004: Ready must be False while Stalled is True",
            is_true("Stalled") && ready != Some("False"),
        ),
        (
            "FAIL0005: Reconciling and Stalled must not both be there",
            ABNORMAL.into_iter().all(|kind| status_of(kind).is_some()),
        ),
        (
            "FAIL0006: observedGeneration must be at most the generation",
            observed > generation,
        ),
        (
            "FAIL0007: Ready must not be True for an old generation",
            is_ready && observed < generation,
        ),
        (
            "FAIL0008: no condition may be of an old generation while Ready is True",
            is_ready && conditions.iter().any(|c| observed_by(c) < generation),
        ),
        (
            "FAIL0009: all conditions must be of the observed generation while Ready is True",
            is_ready && conditions.iter().any(|c| observed_by(c) != observed),
        ),
        (
            "FAIL0011: Ready may only be Unknown while Reconciling is True",
            ready == Some("Unknown") && !is_true("Reconciling"),
        ),
        (
            "WARN0001: Reconciling and Stalled must be absent while Ready is True",
            is_ready && ABNORMAL.into_iter().any(|kind| status_of(kind).is_some()),
        ),
        (
            "WARN0003, WARN0004: Reconciling and Stalled must be absent instead of False",
            ABNORMAL
                .into_iter()
                .any(|kind| status_of(kind) == Some("False")),
        ),
        (
            "WARN0005: every condition must have an observedGeneration",
            conditions.iter().any(|c| observed_by(c) < 1),
        ),
    ];
    checks
        .into_iter()
        .filter(|(_, fails)| *fails)
        .map(|(what, _)| what)
        .collect()
}

#[test]
fn the_lint_finds_what_it_is_for() {
    use serde_json::json;
    let condition = |kind: &str, status: &str, generation: i64| json!({"type": kind, "status": status, "observedGeneration": generation});
    let object = |conditions: Value| json!({"metadata": {"generation": 2}, "status": {"observedGeneration": 2, "conditions": conditions}});
    assert_eq!(
        faults(&object(json!([condition("Ready", "True", 2)]))),
        Vec::<&str>::new()
    );
    for (conditions, check) in [
        (json!([]), "FAIL0002"),
        (
            json!([
                condition("Ready", "True", 2),
                condition("Stalled", "True", 2)
            ]),
            "FAIL0001",
        ),
        (
            json!([
                condition("Ready", "Unknown", 2),
                condition("Reconciling", "True", 2)
            ]),
            "FAIL0003",
        ),
        (json!([condition("Ready", "True", 1)]), "FAIL0008"),
        (json!([condition("Ready", "Unknown", 2)]), "FAIL0011"),
        (
            json!([
                condition("Ready", "True", 2),
                condition("Stalled", "False", 2)
            ]),
            "WARN0003",
        ),
    ] {
        let found = faults(&object(conditions));
        assert!(
            found.iter().any(|fault| fault.contains(check)),
            "{check}: {found:?}"
        );
    }
}
