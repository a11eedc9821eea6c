//! Against a real API server: the CRDs are taken, and it says of every fixture what local admission says.
use crate::bed::{cluster_is_there, install_crds};
use crate::fixtures::{fixtures, merged};
use serde_json::Value;

fn kubectl(arguments: &[&str], input: Option<&Value>) -> Result<String, String> {
    let input = input.map(Value::to_string);
    crate::bed::kubectl(arguments, input.as_deref())
}

/// Creates or replaces without keeping, so that one fixture does not disturb the next.
fn asked(object: &Value, stored: bool, namespace: &str) -> Result<String, String> {
    let mut object = object.clone();
    let verb = if stored {
        let kind = object["kind"].as_str().unwrap().to_lowercase();
        let name = object["metadata"]["name"].as_str().unwrap().to_string();
        let version = "jsonpath={.metadata.resourceVersion}";
        let version =
            kubectl(&["get", "-n", namespace, &kind, &name, "-o", version], None).unwrap();
        object["metadata"]["resourceVersion"] = Value::String(version);
        "replace"
    } else {
        "create"
    };
    kubectl(
        &[verb, "-n", namespace, "--dry-run=server", "-f", "-"],
        Some(&object),
    )
}

#[test]
fn an_api_server_says_of_every_fixture_what_local_admission_says() {
    if !cluster_is_there() {
        return;
    }
    install_crds();
    let namespace = format!("admission-{}", std::process::id());
    kubectl(&["create", "namespace", &namespace], None).unwrap();
    let mut compared = 0;
    for (kind, fixtures) in fixtures() {
        kubectl(
            &["create", "-n", &namespace, "-f", "-"],
            Some(&fixtures.base),
        )
        .unwrap();
        for fixture in &fixtures.rules {
            let change = |patch: &Value| {
                let mut object = merged(&fixtures.base, patch);
                if !fixture.transition {
                    object["metadata"]["name"] = Value::String("another".to_string());
                }
                object
            };
            let passed = asked(&change(&fixture.pass), fixture.transition, &namespace);
            assert!(passed.is_ok(), "{kind} {}: {passed:?}", fixture.rule);
            let refused =
                asked(&change(&fixture.fail), fixture.transition, &namespace).unwrap_err();
            let (_, causes) = refused
                .split_once(" is invalid: ")
                .unwrap_or(("", &refused));
            assert_eq!(
                causes,
                fixture.causes.join("\n"),
                "{kind} {} {}",
                fixture.at,
                fixture.rule
            );
            compared += 1;
        }
    }
    kubectl(&["delete", "namespace", &namespace, "--wait=false"], None).unwrap();
    assert!(compared > 30, "{compared}");
}
