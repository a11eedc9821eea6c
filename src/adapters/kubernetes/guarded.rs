//! Objects as an API server returns them. Each is read by itself, so that one that cannot be read hides no other, and a field of a newer
//! CustomResourceDefinition, which is upgraded before the operator, is no mistake.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::LazyLock;

/// An object, or why it cannot be read.
#[derive(Clone, Debug)]
pub struct Guarded<K> {
    metadata: ObjectMeta,
    /// What was read.
    pub object: Result<K, Unreadable>,
}

/// Why an object cannot be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Unreadable {
    /// The field and what is wrong with it.
    pub why: String,
    /// What its status says by now.
    pub status: Value,
}

impl<'de, K> Deserialize<'de> for Guarded<K>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        let metadata = value.get("metadata").unwrap_or(&Value::Null);
        let metadata = ObjectMeta::deserialize(metadata).map_err(D::Error::custom)?;
        if let Some(schema) = SCHEMAS.get(K::kind(&()).as_ref()) {
            prune(&mut value, schema);
        }
        Ok(Self {
            metadata,
            object: read(value),
        })
    }
}

/// A status that cannot be read was not written by Podium. It is left out, so that it is written anew.
fn read<K: DeserializeOwned>(mut value: Value) -> Result<K, Unreadable> {
    let of = |value: &Value| {
        serde_path_to_error::deserialize(value).map_err(|error| {
            let path = error.path().to_string();
            let why = format!("{path}: {}", error.inner());
            (path, why)
        })
    };
    let (path, why) = match of(&value) {
        Ok(object) => return Ok(object),
        Err(error) => error,
    };
    let fields = value.as_object_mut();
    let status = fields.and_then(|fields| fields.remove("status"));
    if path.starts_with("status")
        && let Ok(object) = of(&value)
    {
        return Ok(object);
    }
    Err(Unreadable {
        why,
        status: status.unwrap_or_default(),
    })
}

/// The schemas of Podium's own kinds.
static SCHEMAS: LazyLock<HashMap<String, Value>> = LazyLock::new(|| {
    let crds = podium_api::crds();
    let schemas = crds.iter().filter_map(|crd| {
        let kind = crd.pointer("/spec/names/kind")?.as_str()?;
        let schema = crd.pointer("/spec/versions/0/schema/openAPIV3Schema")?;
        Some((kind.to_string(), schema.clone()))
    });
    schemas.collect()
});

/// Removes the fields of an object that its schema does not know, as an API server with this schema would.
fn prune(object: &mut Value, schema: &Value) {
    for field in ["spec", "status"] {
        let known = schema.pointer(&format!("/properties/{field}"));
        if let (Some(value), Some(known)) = (object.get_mut(field), known) {
            prune_value(value, known);
        }
    }
}

fn prune_value(value: &mut Value, schema: &Value) {
    match value {
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                items.iter_mut().for_each(|item| prune_value(item, schema));
            }
        }
        Value::Object(fields) => {
            let known = schema.get("properties").and_then(Value::as_object);
            let others = schema.get("additionalProperties");
            let keeps =
                schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
            fields.retain(|name, _| {
                keeps || others.is_some() || known.is_some_and(|known| known.contains_key(name))
            });
            for (name, value) in fields.iter_mut() {
                let schema = known.and_then(|known| known.get(name)).or(others);
                if let Some(schema) = schema {
                    prune_value(value, schema);
                }
            }
        }
        _ => {}
    }
}

impl<K: Resource<DynamicType = ()>> Resource for Guarded<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_api::TuningJob;
    use serde_json::json;

    fn search(change: impl FnOnce(&mut Value)) -> Value {
        let mut search = json!({
            "apiVersion": "podium.dev/v1alpha1", "kind": "TuningJob",
            "metadata": {"name": "a", "namespace": "team", "generation": 3},
            "spec": {
                "maxTrials": 3,
                "objective": {"direction": "Minimize", "metric": "loss"},
                "parameters": [{"name": "x", "real": {"min": 0, "max": 1}}],
                "trial": {"job": {"template": {"spec": {"containers": [{"name": "a", "fieldOfTomorrow": 1}]}}}},
            },
            "status": {"phase": "Running"},
        });
        change(&mut search);
        search
    }

    fn guarded(value: Value) -> Guarded<TuningJob> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_field_of_a_newer_schema_is_left_out_and_what_users_may_add_is_kept() {
        let newer = search(|search| {
            search["spec"]["tomorrow"] = json!({"a": 1});
            search["spec"]["objective"]["tomorrow"] = json!(true);
            search["spec"]["parameters"][0]["real"]["tomorrow"] = json!([1]);
            search["status"]["tomorrow"] = json!("a");
        });
        let read = guarded(newer).object.unwrap();
        let template = &read.spec.trial.job.unwrap().template.0;
        assert_eq!(template["spec"]["containers"][0]["fieldOfTomorrow"], 1);
        assert_eq!(read.status.unwrap().phase.unwrap(), "Running");
    }

    #[test]
    fn what_cannot_be_read_is_named_and_keeps_its_name() {
        let bad = search(|search| search["spec"]["initialTrials"] = json!([{"x": true}]));
        let bad = guarded(bad);
        assert_eq!(bad.meta().name.as_deref(), Some("a"));
        let unreadable = bad.object.unwrap_err();
        assert!(
            unreadable.why.starts_with("spec.initialTrials[0]"),
            "{unreadable:?}"
        );
        assert_eq!(unreadable.status, json!({"phase": "Running"}));
    }

    #[test]
    fn a_status_that_cannot_be_read_is_left_out() {
        let damaged = search(|search| search["status"]["trials"] = json!({"total": "many"}));
        let read = guarded(damaged).object.unwrap();
        assert_eq!(read.status, None);
        assert_eq!(read.spec.max_trials, 3);
    }
}
