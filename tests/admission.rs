//! Local admission: every CEL rule of every CRD by a passing and a failing fixture, and the structural refusals.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test speaks by failing.

#[path = "fixtures/admission.rs"]
mod fixtures;

use fixtures::{Fixture, fixtures, merged};
use podium_operator::local::admission::admit;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn said(object: &Value, old: Option<&Value>) -> Vec<String> {
    admit(object, old).map_or_else(
        |causes| causes.iter().map(ToString::to_string).collect(),
        |_| Vec::new(),
    )
}

#[test]
fn every_rule_lets_its_passing_fixture_pass_and_refuses_the_failing_one_in_its_words() {
    for (kind, fixtures) in fixtures() {
        let stored =
            admit(&fixtures.base, None).unwrap_or_else(|causes| panic!("{kind}: {causes:?}"));
        for fixture in &fixtures.rules {
            let old = fixture.transition.then_some(&stored);
            let passing = said(&merged(&fixtures.base, &fixture.pass), old);
            assert_eq!(passing, Vec::<String>::new(), "{kind} {}", fixture.rule);
            let failing = said(&merged(&fixtures.base, &fixture.fail), old);
            assert_eq!(failing, fixture.causes, "{kind} {}", fixture.rule);
        }
    }
}

#[test]
fn no_rule_is_without_a_fixture() {
    let mut stated = BTreeSet::new();
    for crd in podium_api::crds() {
        let kind = crd.pointer("/spec/names/kind").unwrap().as_str().unwrap();
        let schema = crd
            .pointer("/spec/versions/0/schema/openAPIV3Schema")
            .unwrap();
        collect(kind, schema, "", &mut stated);
    }
    let covered: BTreeSet<_> = fixtures()
        .into_iter()
        .flat_map(|(kind, fixtures)| {
            let of_kind = move |fixture: Fixture| (kind.clone(), fixture.at, fixture.rule);
            fixtures.rules.into_iter().map(of_kind).collect::<Vec<_>>()
        })
        .collect();
    assert!(stated.len() > 30, "{}", stated.len());
    assert_eq!(stated, covered);
}

fn collect(kind: &str, schema: &Value, path: &str, rules: &mut BTreeSet<(String, String, String)>) {
    let stated = schema
        .get("x-kubernetes-validations")
        .and_then(Value::as_array);
    for rule in stated.into_iter().flatten() {
        rules.insert((
            kind.to_string(),
            path.to_string(),
            rule["rule"].as_str().unwrap().to_string(),
        ));
    }
    for (name, below) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        collect(kind, below, &path, rules);
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(below) = schema.get(inner) {
            collect(kind, below, &format!("{path}[]"), rules);
        }
    }
}

fn tuning_job() -> Value {
    fixtures()
        .into_iter()
        .find(|(kind, _)| kind == "TuningJob")
        .unwrap()
        .1
        .base
}

fn refused(patch: Value) -> String {
    said(&merged(&tuning_job(), &patch), None).join("\n")
}

#[test]
fn structure_is_refused_in_the_words_of_an_api_server() {
    assert_eq!(
        refused(json!({"spec": {"maxTrails": 3}})),
        "strict decoding error: unknown field \"spec.maxTrails\""
    );
    assert_eq!(
        refused(
            json!({"spec": {"parameters": [{"name": "a", "real": {"min": 0, "max": 1, "stepp": 1}}]}})
        ),
        "strict decoding error: unknown field \"spec.parameters[0].real.stepp\""
    );
    assert_eq!(
        refused(json!({"spec": {"maxTrials": "many"}})),
        "spec.maxTrials: Invalid value: \"string\": spec.maxTrials in body must be of type integer: \"string\""
    );
    assert_eq!(
        refused(json!({"spec": {"maxTrials": 0}})),
        "spec.maxTrials: Invalid value: 0: spec.maxTrials in body should be greater than or equal to 1\n\
         spec.parallelism: Invalid value: \"object\": `parallelism` must be at most `maxTrials`"
    );
    assert_eq!(
        refused(json!({"spec": {"objective": null}})),
        "spec.objective: Required value"
    );
    assert_eq!(
        refused(json!({"spec": {"parameters": [
            {"name": "a", "real": {"min": 0, "max": 1}}, {"name": "a", "real": {"min": 0, "max": 1}}]}})),
        "spec.parameters[1]: Duplicate value: {\"name\":\"a\"}"
    );
    let unsupported = refused(json!({"spec": {"algorithm": {"name": "Bayes"}}}));
    assert!(
        unsupported.starts_with(
            "spec.algorithm.name: Unsupported value: \"Bayes\": supported values: \"Auto\""
        ),
        "{unsupported}"
    );
    let name = refused(json!({"metadata": {"name": "Fraud_Forest"}}));
    assert!(
        name.starts_with(
            "metadata.name: Invalid value: \"Fraud_Forest\": a lowercase RFC 1123 subdomain"
        ),
        "{name}"
    );
    let kind = said(
        &json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}),
        None,
    )
    .join("\n");
    assert!(
        kind.starts_with("no matches for kind \"Pod\" in version \"v1\""),
        "{kind}"
    );
}

#[test]
fn defaults_are_filled_in_and_a_status_is_not_admitted() {
    let given = merged(&tuning_job(), &json!({"status": {"phase": "Succeeded"}}));
    let admitted = admit(&given, None).unwrap();
    assert_eq!(admitted["spec"]["algorithm"]["name"], "Auto");
    assert!(admitted.get("status").is_none());
    assert_eq!(said(&admitted, Some(&admitted)), Vec::<String>::new());
}
