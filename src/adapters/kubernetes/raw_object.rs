//! Objects as an API server returns them. Each is read by itself, so that one that cannot be read hides no other, and a field of a newer
//! CustomResourceDefinition, which is upgraded before the operator, is no mistake.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::{ApiResource, DynamicResourceScope};
use podium_api::convert::read_object;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

/// An object of whatever kind, as an API server returned it. One type for all kinds keeps everything that is generic over kinds from being
/// compiled for each of them.
///
/// It stays text until it is converted: parsed, an object takes several times its size, and a page of a list holds hundreds.
#[derive(Clone, Debug)]
pub struct RawObject {
    /// Its name, namespace, uid, version and generation, and nothing else.
    metadata: ObjectMeta,
    text: Box<RawValue>,
}

/// What can be read of an object whatever its specification and its field managers hold: what is skipped may be nested as deeply as it likes.
#[derive(Deserialize)]
struct Outline {
    metadata: OutlineMetadata,
}

/// Field managers repeat the nesting of the specification, so that they are left out.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OutlineMetadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
}

/// What an object says of itself by now.
#[derive(Deserialize)]
struct OutlineStatus {
    #[serde(default)]
    status: Value,
}

/// Why an object cannot be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Unreadable {
    /// The field and what is wrong with it.
    pub why: String,
    /// What its status says by now.
    pub status: Value,
}

impl<'de> Deserialize<'de> for RawObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As text first: one object that cannot be read must not spoil the list that it stands in.
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let Outline { metadata } = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
        let metadata = ObjectMeta {
            name: metadata.name,
            namespace: metadata.namespace,
            uid: metadata.uid,
            resource_version: metadata.resource_version,
            generation: metadata.generation,
            ..ObjectMeta::default()
        };
        Ok(Self { metadata, text })
    }
}

impl RawObject {
    /// The whole object.
    ///
    /// # Errors
    /// It is no JSON that can be read, such as one that is nested too deeply.
    fn value(&self) -> Result<Value, Unreadable> {
        serde_json::from_str(self.text.get()).map_err(|error| Unreadable {
            why: error.to_string(),
            status: serde_json::from_str(self.text.get())
                .map_or(Value::Null, |OutlineStatus { status }| status),
        })
    }

    /// The object as one of Kubernetes' own kinds.
    ///
    /// # Errors
    /// It has not the form of that kind.
    pub fn into_kubernetes<K: DeserializeOwned>(self) -> Result<K, Unreadable> {
        serde_json::from_value(self.value()?).map_err(|error| Unreadable {
            why: error.to_string(),
            status: Value::Null,
        })
    }

    /// The object as one of Podium's kinds.
    ///
    /// # Errors
    /// It was admitted by another schema, and has not the form of that kind.
    pub fn into_podium<K>(self) -> Result<K, Unreadable>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let mut value = self.value()?;
        if let Some(schema) = SCHEMAS.get(K::kind(&()).as_ref()) {
            prune(&mut value, schema);
        }
        read(value)
    }
}

/// A status that cannot be read was not written by Podium. It is left out, so that it is written anew.
fn read<K: DeserializeOwned>(mut value: Value) -> Result<K, Unreadable> {
    let problem = match read_object(&value) {
        Ok(object) => return Ok(object),
        Err(problem) => problem,
    };
    let fields = value.as_object_mut();
    let status = fields.and_then(|fields| fields.remove("status"));
    if problem.path.starts_with("status")
        && let Ok(object) = read_object(&value)
    {
        return Ok(object);
    }
    Err(Unreadable {
        why: format!("{}: {}", problem.path, problem.message),
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

impl Resource for RawObject {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn api_version(resource: &ApiResource) -> Cow<'_, str> {
        resource.api_version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
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

    fn raw(value: Value) -> RawObject {
        serde_json::from_str(&value.to_string()).unwrap()
    }

    #[test]
    fn what_is_nested_too_deeply_spoils_nothing_beside_it() {
        let nested = format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200));
        let marker = "the place of what is nested";
        let deep = search(|search| {
            search["spec"]["trial"]["job"]["template"]["spec"] = json!(marker);
            search["metadata"]["managedFields"] = json!([{"fieldsV1": marker}]);
        });
        let deep = deep
            .to_string()
            .replace(&json!(marker).to_string(), &nested);
        let list = format!("[{},{deep}]", search(|_| {}));
        let list: Vec<RawObject> = serde_json::from_str(&list).unwrap();
        let [good, deep] = list.try_into().unwrap();
        assert!(good.into_podium::<TuningJob>().is_ok());
        assert_eq!(deep.meta().name.as_deref(), Some("a"));
        assert_eq!(deep.meta().generation, Some(3));
        let unreadable = deep.into_podium::<TuningJob>().unwrap_err();
        assert!(unreadable.why.contains("recursion limit"), "{unreadable:?}");
        assert_eq!(unreadable.status, json!({"phase": "Running"}));
    }

    #[test]
    fn a_field_of_a_newer_schema_is_left_out_and_what_users_may_add_is_kept() {
        let newer = search(|search| {
            search["spec"]["tomorrow"] = json!({"a": 1});
            search["spec"]["objective"]["tomorrow"] = json!(true);
            search["spec"]["parameters"][0]["real"]["tomorrow"] = json!([1]);
            search["status"]["tomorrow"] = json!("a");
        });
        let read: TuningJob = raw(newer).into_podium().unwrap();
        let template = &read.spec.trial.job.unwrap().template.0;
        assert_eq!(template["spec"]["containers"][0]["fieldOfTomorrow"], 1);
        assert_eq!(read.status.unwrap().phase.unwrap(), "Running");
    }

    #[test]
    fn what_cannot_be_read_is_named_and_keeps_its_name() {
        let bad = search(|search| search["spec"]["initialTrials"] = json!([{"x": true}]));
        let bad = raw(bad);
        assert_eq!(bad.meta().name.as_deref(), Some("a"));
        let unreadable = bad.into_podium::<TuningJob>().unwrap_err();
        assert!(
            unreadable.why.starts_with("spec.initialTrials[0]"),
            "{unreadable:?}"
        );
        assert_eq!(unreadable.status, json!({"phase": "Running"}));
    }

    #[test]
    fn a_status_that_cannot_be_read_is_left_out() {
        let damaged = search(|search| search["status"]["trials"] = json!({"total": "many"}));
        let read: TuningJob = raw(damaged).into_podium().unwrap();
        assert_eq!(read.status, None);
        assert_eq!(read.spec.max_trials, 3);
    }
}
