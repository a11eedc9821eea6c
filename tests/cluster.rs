//! Against a real API server: the CRDs are taken, and it says of every fixture what local admission says.
//!
//! Runs with `USE_EXISTING_CLUSTER=true` and `KUBECONFIG`; `make testbed` starts a cluster.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test speaks by failing.

#[path = "fixtures/admission.rs"]
mod fixtures;

use fixtures::{fixtures, merged};
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

fn cluster_is_there() -> bool {
    let asked = std::env::var("USE_EXISTING_CLUSTER").is_ok_and(|value| value == "true");
    if !asked {
        let why = "SKIPPED: without USE_EXISTING_CLUSTER=true nothing was compared with a real API server";
        let _ = writeln!(std::io::stderr(), "{why}");
    }
    asked
}

/// What kubectl prints and what it complains about.
fn kubectl(arguments: &[&str], input: Option<&Value>) -> Result<String, String> {
    let program = std::env::var("KUBECTL").unwrap_or_else(|_| "kubectl".to_string());
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    if let Some(input) = input {
        child
            .stdin
            .as_mut()
            .unwrap()
            .write_all(input.to_string().as_bytes())
            .unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_string();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

fn install_crds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    kubectl(
        &[
            "apply",
            "--server-side",
            "--force-conflicts",
            "-f",
            &folder.display().to_string(),
        ],
        None,
    )
    .unwrap();
    let established = [
        "wait",
        "--for=condition=Established",
        "crd",
        "--all",
        "--timeout=60s",
    ];
    kubectl(&established, None).unwrap();
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
