//! The generated CRDs: what lies in `crds/` is what the types say, and they keep the conventions.
#![allow(missing_docs)]

use serde_json::Value;
use std::path::PathBuf;

/// Where the CRDs lie: for kubectl, and for Helm.
const FOLDERS: [&str; 2] = ["crds", "charts/podium/files/crds"];

#[test]
fn generated_files_are_up_to_date() {
    let update = std::env::var_os("UPDATE_CRDS").is_some();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (name, crd) in podium_api::crd_files() {
        let want = serde_saphyr::to_string(&crd).unwrap();
        for folder in FOLDERS {
            let path = root.join(folder).join(&name);
            if update {
                std::fs::write(&path, &want).unwrap();
            }
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(
                found, want,
                "{folder}/{name} is not what the types say; run `make crds`"
            );
        }
    }
}

#[test]
fn a_plain_apply_can_store_each_crd() {
    for (name, crd) in podium_api::crd_files() {
        let bytes = serde_json::to_vec(&crd).unwrap().len();
        assert!(bytes < 128 * 1024, "{name} has {bytes} bytes");
    }
}

#[test]
fn every_field_is_bounded_and_described() {
    let mut faults = Vec::new();
    for (name, crd) in podium_api::crd_files() {
        let schema = crd
            .pointer("/spec/versions/0/schema/openAPIV3Schema")
            .unwrap();
        lint(&name, schema, &mut faults);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn lint(path: &str, schema: &Value, faults: &mut Vec<String>) {
    let mut fault = |what: &str| faults.push(format!("{path}: {what}"));
    let has = |key: &str| schema.get(key).is_some();
    match schema.get("type").and_then(Value::as_str) {
        Some("string") if !has("maxLength") && !has("enum") => {
            fault("a string without `maxLength`")
        }
        Some("array") if !has("maxItems") => fault("a list without `maxItems`"),
        Some("array") if !has("x-kubernetes-list-type") => fault("a list without a list type"),
        Some("number" | "integer") if !has("minimum") || !has("maximum") => {
            fault("a number without bounds")
        }
        _ => {}
    }
    // The API server compares whole numbers as 64-bit integers, so a bound beyond them refuses every whole number.
    for bound in ["minimum", "maximum"] {
        let number = schema.get(bound).and_then(Value::as_f64);
        if number
            .is_some_and(|number| number.abs() > 9.2e18 || (number != 0.0 && number.abs() < 1e-9))
        {
            fault(&format!(
                "a `{bound}` that no 64-bit integer can be compared with"
            ));
        }
    }
    if has("additionalProperties") && !has("maxProperties") {
        fault("a map without `maxProperties`");
    }
    if has("nullable") {
        fault("`nullable`");
    }
    for (name, property) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let below = format!("{path}.{name}");
        // The API server itself gives these three.
        if ["apiVersion", "kind", "metadata"].contains(&name.as_str()) && !path.contains("yaml.") {
            continue;
        }
        if property.get("description").is_none() {
            faults.push(format!("{below}: no description"));
        }
        if name.ends_with("Ref") && property.pointer("/properties/namespace").is_some() {
            faults.push(format!("{below}: a reference to another namespace"));
        }
        lint(&below, property, faults);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get(key) {
            lint(&format!("{path}[]"), inner, faults);
        }
    }
}

/// What a trial's result is judged by is what its status can hold.
#[test]
fn the_bounds_of_results_are_those_of_the_schema() {
    use podium_core::report::{LARGEST_NUMBER, LONGEST_METRIC_NAME, MOST_METRICS, MOST_PARTS};
    let crds = podium_api::crds();
    let trial = crds
        .iter()
        .find(|crd| crd["spec"]["names"]["kind"] == "Trial");
    let status = &trial.unwrap()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
        ["status"]["properties"];
    let metric = &status["metrics"]["items"]["properties"];
    assert_eq!(status["objective"]["maximum"], LARGEST_NUMBER);
    assert_eq!(status["objective"]["minimum"], -LARGEST_NUMBER);
    assert_eq!(metric["value"]["maximum"], LARGEST_NUMBER);
    assert_eq!(metric["value"]["minimum"], -LARGEST_NUMBER);
    assert_eq!(metric["weight"]["maximum"], LARGEST_NUMBER);
    assert_eq!(status["metrics"]["maxItems"], MOST_METRICS);
    assert_eq!(metric["name"]["maxLength"], LONGEST_METRIC_NAME);
    assert_eq!(metric["parts"]["maximum"], f64::from(MOST_PARTS));
}
