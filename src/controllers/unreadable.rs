//! What cannot be read says so itself: nobody else is touched by it.

use crate::adapters::clock::SystemClock;
use crate::adapters::kubernetes::cluster::FIELD_MANAGER;
use crate::adapters::kubernetes::guarded::Unreadable;
use crate::ports::{Clock, Object};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::{Patch, PatchParams};
use kube::core::Request;
use podium_api::TuningJob;
use podium_api::convert::{name_of, with_conditions};
use podium_core::tuning::conditions::conditions_of;
use podium_core::tuning::{Phase, Reason};
use serde_json::{Value, json};

/// Logs that an object cannot be read.
pub(super) fn log<K: Object>(metadata: &ObjectMeta, unreadable: &Unreadable) {
    let (namespace, name) = (&metadata.namespace, &metadata.name);
    let (kind, why) = (K::kind(&()), &unreadable.why);
    tracing::warn!(%kind, ?namespace, ?name, why, "an object cannot be read and is left alone");
}

/// Writes on a search that it cannot be read, unless it says so by now.
pub(super) fn tell(client: &Client, metadata: &ObjectMeta, unreadable: &Unreadable) {
    log::<TuningJob>(metadata, unreadable);
    let Some(patch) = patch_of(metadata, unreadable) else {
        return;
    };
    let (Some(namespace), Some(name)) = (metadata.namespace.clone(), metadata.name.clone()) else {
        return;
    };
    let client = client.clone();
    tokio::spawn(async move {
        let path = <TuningJob as kube::Resource>::url_path(&(), Some(&namespace));
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_string()),
            ..PatchParams::default()
        };
        let asked = Request::new(path).patch_subresource(
            "status",
            &name,
            &parameters,
            &Patch::Merge(&patch),
        );
        let told = match asked {
            Ok(asked) => client.request::<Value>(asked).await.map(drop),
            Err(error) => Err(kube::Error::BuildRequest(error)),
        };
        if let Err(error) = told {
            tracing::warn!(namespace, name, %error, "it cannot be told on the object that it cannot be read");
        }
    });
}

/// What is to be written; nothing where it stands there.
fn patch_of(metadata: &ObjectMeta, unreadable: &Unreadable) -> Option<Value> {
    let message = format!("it cannot be read: {}", unreadable.why);
    let stands_there = |condition: &Value| {
        condition["type"] == "Ready" && condition["message"] == message.as_str()
    };
    let conditions = unreadable
        .status
        .get("conditions")
        .and_then(Value::as_array);
    if conditions.is_some_and(|conditions| conditions.iter().any(stands_there)) {
        return None;
    }
    let said = conditions_of(Phase::Blocked, Reason::InvalidSpec, &message);
    let conditions = with_conditions(&Vec::new(), &said, metadata.generation, SystemClock.now());
    Some(json!({
        // The object may have been changed since; what is told then is told of what it is by then.
        "metadata": {"resourceVersion": metadata.resource_version},
        "status": {
            "phase": name_of(Phase::Blocked),
            "observedGeneration": metadata.generation,
            "conditions": conditions,
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_once() {
        let metadata = ObjectMeta {
            generation: Some(2),
            ..ObjectMeta::default()
        };
        let mut unreadable = Unreadable {
            why: "spec.seed: invalid type".to_string(),
            status: Value::Null,
        };
        let patch = patch_of(&metadata, &unreadable).unwrap();
        assert_eq!(patch["status"]["phase"], "Blocked");
        assert_eq!(patch["status"]["observedGeneration"], 2);
        unreadable.status = patch["status"].clone();
        assert_eq!(patch_of(&metadata, &unreadable), None);
        unreadable.why = "spec.seed: something else".to_string();
        assert!(patch_of(&metadata, &unreadable).is_some());
    }
}
