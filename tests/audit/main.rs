//! What all tests on a real cluster left in the API server's audit log: every status that an operator ever wrote keeps the rules of
//! kstatus and Flux, no request of an operator was denied, and each right that the chart gives was used. Runs after all others.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test speaks by failing.

mod status_lint;

use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// Fewer would mean that the log is not that of the tests.
const STATUSES_AT_LEAST: usize = 40;

/// Requests of operators, by their service account.
static REQUESTS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let path = std::env::var("PODIUM_AUDIT_LOG").unwrap();
    BufReader::new(File::open(path).unwrap())
        .lines()
        .map(|line| parsed(&line.unwrap()))
        .filter(|event| {
            text(event, "/stage") == "ResponseComplete"
                || text(event, "/stage") == "ResponseStarted"
        })
        .filter(|event| {
            let user = text(event, "/user/username");
            user.starts_with("system:serviceaccount:") && user.ends_with(":podium")
        })
        .collect()
});

/// A value of any depth. `serde_json` stops at 128 levels, and the tests create objects that are nested deeper; what is too deep is taken
/// apart by members and items until its parts are not.
fn parsed(json: &str) -> Value {
    if let Ok(value) = serde_json::from_str(json) {
        return value;
    }
    if json.trim_start().starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(json).unwrap();
        return items.into_iter().map(|item| parsed(item.get())).collect();
    }
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(json).unwrap();
    let members = members.into_iter();
    members
        .map(|(name, member)| (name, parsed(member.get())))
        .collect()
}

#[test]
fn an_event_of_any_depth_is_read() {
    let depth = 300;
    let json = "{\"a\":[".repeat(depth) + "1" + &"]}".repeat(depth);
    let pointer = "/a/0".repeat(depth);
    assert_eq!(parsed(&json).pointer(&pointer), Some(&Value::from(1)));
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn log_is_there() -> bool {
    let there = std::env::var_os("PODIUM_AUDIT_LOG").is_some();
    if !there {
        let why = "without PODIUM_AUDIT_LOG the API server's audit log was not read";
        let must = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!must, "{why}, and CI=true makes that a failure");
        let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
    }
    there
}

#[test]
fn every_status_ever_written_keeps_the_rules() {
    if !log_is_there() {
        return;
    }
    let mut linted = 0;
    let mut faults = BTreeSet::new();
    for event in REQUESTS.iter() {
        let is_status = text(event, "/objectRef/subresource") == "status"
            && text(event, "/verb") == "patch"
            && event.pointer("/responseStatus/code") == Some(&Value::from(200));
        if is_status {
            let object = as_written(event);
            linted += 1;
            for fault in status_lint::faults(&object) {
                let name = text(event, "/objectRef/name");
                faults.insert(format!("{name}: {fault}\n{:#}", object["status"]));
            }
        }
    }
    assert!(
        faults.is_empty(),
        "{}",
        faults.into_iter().take(5).collect::<Vec<_>>().join("\n")
    );
    assert!(
        linted >= STATUSES_AT_LEAST,
        "only {linted} statuses were written"
    );
    eprintln!("{linted} statuses");
}

/// The object with the status that the operator sent. What the API server answers may still hold a condition that a test set in somebody
/// else's name; the operator's next write removes it, and that one is judged by its answer.
fn as_written(event: &Value) -> Value {
    let mut object = event["responseObject"].clone();
    if event.pointer("/requestObject/status/phase").is_some() {
        object["status"] = event["requestObject"]["status"].clone();
    }
    object
}

/// Who asked for what, and where.
fn right(event: &Value) -> [&str; 7] {
    // The only right that is for one name; of the others the whole event is looked at, which is no text.
    let is_lease = text(event, "/objectRef/resource") == "leases";
    [
        "/user/username",
        "/verb",
        "/objectRef/apiGroup",
        "/objectRef/resource",
        "/objectRef/subresource",
        "/objectRef/namespace",
        if is_lease { "/objectRef/name" } else { "" },
    ]
    .map(|pointer| text(event, pointer))
}

/// An API server that has just started knows of no right yet, and an uninstall takes the rights away before the operator has ended. What
/// was allowed at another time was a right; one that is missing is never allowed.
#[test]
fn no_request_was_denied() {
    if !log_is_there() {
        return;
    }
    // A request that was turned away before anybody looked at its rights has no decision.
    let decided = |decision: &str| -> BTreeSet<_> {
        let pointer = "/annotations/authorization.k8s.io~1decision";
        let those = REQUESTS.iter().filter(|e| text(e, pointer) == decision);
        those.map(right).collect()
    };
    let (denied, allowed) = (decided("forbid"), decided("allow"));
    let never_allowed: Vec<_> = denied.difference(&allowed).collect();
    assert!(never_allowed.is_empty(), "{never_allowed:?}");
}

#[test]
fn every_right_that_the_chart_gives_was_used() {
    if !log_is_there() {
        return;
    }
    let used: BTreeSet<String> = REQUESTS
        .iter()
        .map(|event| {
            let resource = text(event, "/objectRef/resource");
            let subresource = text(event, "/objectRef/subresource");
            let whole = [resource, subresource].join("/");
            format!(
                "{} {}/{}",
                text(event, "/verb"),
                text(event, "/objectRef/apiGroup"),
                whole.trim_end_matches('/')
            )
        })
        .collect();
    let given = rights_of_the_chart();
    assert!(given.len() > 20, "{given:?}");
    let unused: Vec<_> = given.difference(&used).collect();
    assert!(unused.is_empty(), "never used: {unused:?}");
}

/// `verb group/resource` of every rule of the chart's roles.
fn rights_of_the_chart() -> BTreeSet<String> {
    let program =
        |variable: &str, name: &str| std::env::var(variable).unwrap_or_else(|_| name.to_string());
    let roles = Command::new(program("HELM", "helm"))
        .args([
            "template",
            "podium",
            "charts/podium",
            "--show-only=templates/role.yaml",
        ])
        .output()
        .unwrap();
    let mut kubectl = Command::new(program("KUBECTL", "kubectl"))
        .args(["create", "--dry-run=client", "-o", "json", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    kubectl
        .stdin
        .take()
        .unwrap()
        .write_all(&roles.stdout)
        .unwrap();
    let json = kubectl.wait_with_output().unwrap().stdout;
    let mut rights = BTreeSet::new();
    for role in serde_json::Deserializer::from_slice(&json).into_iter::<Value>() {
        let role = role.unwrap();
        let roles = role["items"]
            .as_array()
            .cloned()
            .unwrap_or_else(|| vec![role.clone()]);
        for rule in roles
            .iter()
            .flat_map(|role| role["rules"].as_array().unwrap())
        {
            let list = |key: &str| {
                rule[key]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|v| v.as_str().unwrap().to_string())
                    .collect::<Vec<_>>()
            };
            for group in list("apiGroups") {
                for resource in list("resources") {
                    rights.extend(
                        list("verbs")
                            .iter()
                            .map(|verb| format!("{verb} {group}/{resource}")),
                    );
                }
            }
        }
    }
    rights
}
