//! The CRDs as they are installed: generated from the types, then brought to the conventions.

use crate::{Approval, ChampionPolicy, Evaluation, ModelRegistry, Trial, TuningJob};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

/// The six CRDs as JSON, in a fixed order.
#[must_use]
pub fn crds() -> Vec<Value> {
    [
        ChampionPolicy::crd(),
        Approval::crd(),
        Evaluation::crd(),
        ModelRegistry::crd(),
        Trial::crd(),
        TuningJob::crd(),
    ]
    .iter()
    .filter_map(conventional)
    .collect()
}

/// The CRD of a kind such as `TuningJob`.
#[must_use]
pub fn crd_of(kind: &str) -> Option<Value> {
    let of_kind =
        |crd: &Value| crd.pointer("/spec/names/kind").and_then(Value::as_str) == Some(kind);
    crds().into_iter().find(of_kind)
}

/// File name and CRD of each kind, as they lie in `crds/`.
#[must_use]
pub fn crd_files() -> Vec<(String, Value)> {
    crds()
        .into_iter()
        .map(|crd| {
            let plural = crd
                .pointer("/spec/names/plural")
                .and_then(Value::as_str)
                .unwrap_or_default();
            (format!("{}_{plural}.yaml", crate::GROUP), crd)
        })
        .collect()
}

fn conventional(crd: &CustomResourceDefinition) -> Option<Value> {
    let mut crd = serde_json::to_value(crd).ok()?;
    let is_trial = crd.pointer("/spec/names/kind").and_then(Value::as_str) == Some("Trial");
    let schema = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema")?;
    tidy(schema);
    if is_trial {
        // A new trial shows where it is without a write.
        let status = schema.pointer_mut("/properties/status")?.as_object_mut()?;
        status.insert("default".to_string(), json!({"phase": "Pending"}));
    }
    Some(crd)
}

/// `nullable` breaks merge patches; formats that Kubernetes does not know are only noise.
fn tidy(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else {
        return;
    };
    fields.remove("nullable");
    let unknown = fields
        .get("format")
        .and_then(Value::as_str)
        .is_some_and(|f| f == "double" || f.starts_with("uint"));
    if unknown {
        fields.remove("format");
    }
    // Structural schemas prune unknown fields by themselves and do not know this word.
    if fields.get("additionalProperties") == Some(&Value::Bool(false)) {
        fields.remove("additionalProperties");
    }
    forget_null(fields);
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.values_mut().for_each(tidy);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = fields.get_mut(key) {
            tidy(inner);
        }
    }
}

/// An optional enumeration lists null, which no manifest may hold.
fn forget_null(fields: &mut Map<String, Value>) {
    if let Some(Value::Array(values)) = fields.get_mut("enum") {
        values.retain(|v| !v.is_null());
    }
}
