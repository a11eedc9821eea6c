//! Admits manifests as an API server would: unknown fields, defaults, types, bounds, then the CEL rules, all from the CRDs.

mod structure;

use kube_cel::{Validator, apply_defaults, compile_schema};
use podium_core::problem::SpecProblem;
use serde_json::{Map, Value, json};
use std::fmt;

/// What is wrong with a manifest, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cause {
    /// Field path such as `spec.parameters[0].real.min`; empty for the whole object.
    pub path: String,
    /// In the API server's words, such as `Required value`.
    pub message: String,
}

impl Cause {
    fn new(path: &str, message: impl Into<String>) -> Self {
        Self {
            path: path.to_string(),
            message: message.into(),
        }
    }

    /// A cause that is no single field's.
    pub(super) fn whole(message: impl Into<String>) -> Self {
        Self::new("", message)
    }

    /// Whether the shape is wrong, so that a rule could stumble over it.
    fn blocks_rules(&self) -> bool {
        [
            "Required value",
            "Too long",
            "Too many",
            "Unsupported value",
        ]
        .iter()
        .any(|kind| self.message.starts_with(kind))
            || self.message.contains(" in body must be of type ")
    }
}

impl From<&SpecProblem> for Cause {
    fn from(problem: &SpecProblem) -> Self {
        Self::new(&problem.path, problem.message.clone())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            formatter.write_str(&self.message)
        } else {
            write!(formatter, "{}: {}", self.path, self.message)
        }
    }
}

/// The object as it would be stored, with defaults and without a status; `old` is what is stored under its name.
///
/// # Errors
/// Everything that is wrong with it. Rules are not asked of an object whose shape is wrong, as in an API server.
pub fn admit(object: &Value, old: Option<&Value>) -> Result<Value, Vec<Cause>> {
    let schema = schema_of(object).map_err(|cause| vec![cause])?;
    let mut causes = structure::unknown_fields(&schema, object);
    causes.extend(structure::metadata(object));
    if !causes.is_empty() {
        return Err(causes);
    }
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    let object = without_nulls(&apply_defaults(&schema, &object));
    let mut causes = structure::validate(&schema, &object);
    if !causes.iter().any(Cause::blocks_rules) {
        causes.extend(rules(&schema, &object, old));
    }
    if causes.is_empty() {
        Ok(object)
    } else {
        Err(causes)
    }
}

/// The schema of the object's kind, with the fields that every object has.
fn schema_of(object: &Value) -> Result<Value, Cause> {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let group = |crd: &Value, pointer: &str| {
        crd.pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_string()
    };
    let known = podium_api::crd_of(kind).filter(|crd| {
        api_version
            == format!(
                "{}/{}",
                group(crd, "/spec/group"),
                group(crd, "/spec/versions/0/name")
            )
    });
    let schema = known.and_then(|crd| {
        crd.pointer("/spec/versions/0/schema/openAPIV3Schema")
            .cloned()
    });
    schema.ok_or_else(|| {
        let kinds: Vec<String> = podium_api::crds().iter().map(|crd| group(crd, "/spec/names/kind")).collect();
        Cause::new(
            "",
            format!(
                "no matches for kind \"{kind}\" in version \"{api_version}\"; without a cluster only the kinds of podium.dev/v1alpha1 are known: {}",
                kinds.join(", ")
            ),
        )
    })
}

/// The API server drops nulls of fields that may not be null.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name.clone(), without_nulls(value)))
                .collect::<Map<_, _>>(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

/// The failed CEL rules, each with the path that it names.
fn rules(schema: &Value, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let compiled = compile_schema(schema);
    // A stored object was defaulted by the schema of its time; only the specification is compared.
    let old = old.map(|old| json!({"spec": old.get("spec").cloned().unwrap_or_default()}));
    let Err(errors) = Validator::new().validate_compiled(&compiled, object, old.as_ref()) else {
        return Vec::new();
    };
    errors
        .into_vec()
        .into_iter()
        .map(|error| {
            // The API server shows the type of the node that states the rule, not the value.
            let shown =
                type_that_states(schema, &error.field_path, &error.rule).unwrap_or("object");
            Cause::new(
                &error.field_path,
                format!("Invalid value: \"{shown}\": {}", error.message),
            )
        })
        .collect()
}

/// The type of the node at `path` or above it whose schema states `rule`; a rule may name a field below its node.
fn type_that_states<'a>(schema: &'a Value, path: &str, rule: &str) -> Option<&'a str> {
    let ends = path.match_indices(['.', '[']).map(|(end, _)| end);
    let mut nodes: Vec<&str> = ends.map(|end| &path[..end]).collect();
    nodes.push(path);
    nodes.into_iter().rev().find_map(|node| {
        let schema = structure::schema_at(schema, node)?;
        let stated = schema.get("x-kubernetes-validations")?.as_array()?;
        let states = stated
            .iter()
            .any(|one| one.get("rule").and_then(Value::as_str) == Some(rule));
        states.then(|| schema.get("type")?.as_str()).flatten()
    })
}
