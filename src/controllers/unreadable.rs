//! Objects that cannot be read say so on themselves, and nobody else is touched by them.

use crate::adapters::clock::SystemClock;
use crate::adapters::kubernetes::cluster::FIELD_MANAGER;
use crate::adapters::kubernetes::raw_object::{RawObject, Unreadable};
use crate::ports::{Clock, Object};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::{Patch, PatchParams};
use kube::core::Request;
use podium_api::convert::{stalled_conditions, with_conditions};
use podium_core::tuning::conditions::Condition;
use serde_json::{Value, json};

/// Logs that an object cannot be read.
pub(super) fn log<K: Object>(metadata: &ObjectMeta, unreadable: &Unreadable) {
    let (namespace, name) = (&metadata.namespace, &metadata.name);
    let (kind, why) = (K::kind(&()), &unreadable.why);
    tracing::warn!(%kind, ?namespace, ?name, why, "an object cannot be read and is left alone");
}

/// The phase of an object that cannot be read, where its kind has phases, and its conditions with this message.
pub(super) type Blocked = fn(&str) -> (Option<String>, Vec<Condition>);

/// Of a kind without phases.
pub(super) fn stalled(message: &str) -> (Option<String>, Vec<Condition>) {
    (None, stalled_conditions("InvalidSpec", message))
}

/// Writes on an object that it cannot be read, unless it says so by now.
pub(super) fn report<K: Object>(
    client: &Client,
    metadata: &ObjectMeta,
    unreadable: &Unreadable,
    blocked: Blocked,
) {
    log::<K>(metadata, unreadable);
    let Some(patch) = patch_of(metadata, unreadable, blocked) else {
        return;
    };
    let (Some(namespace), Some(name)) = (metadata.namespace.clone(), metadata.name.clone()) else {
        return;
    };
    let client = client.clone();
    tokio::spawn(async move {
        let path = K::url_path(&(), Some(&namespace));
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
            Ok(asked) => client.request::<RawObject>(asked).await.map(drop),
            Err(error) => Err(kube::Error::BuildRequest(error)),
        };
        if let Err(error) = told {
            tracing::warn!(namespace, name, %error, "it cannot be told on the object that it cannot be read");
        }
    });
}

/// What is to be written; nothing where it stands there.
fn patch_of(metadata: &ObjectMeta, unreadable: &Unreadable, blocked: Blocked) -> Option<Value> {
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
    let (phase, desired) = blocked(&message);
    let conditions = with_conditions(
        &Vec::new(),
        &desired,
        metadata.generation,
        SystemClock.now(),
    );
    let mut status = json!({
        "observedGeneration": metadata.generation,
        "conditions": conditions,
    });
    if let Some(phase) = phase {
        status["phase"] = json!(phase);
    }
    Some(json!({
        // The object may have been changed since; what is told then is told of what it is by then.
        "metadata": {"resourceVersion": metadata.resource_version},
        "status": status,
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
        let blocked: Blocked = |message| {
            let phase = Some("Blocked".to_string());
            (phase, stalled_conditions("InvalidSpec", message))
        };
        let patch = patch_of(&metadata, &unreadable, blocked).unwrap();
        assert_eq!(patch["status"]["phase"], "Blocked");
        assert_eq!(patch["status"]["observedGeneration"], 2);
        unreadable.status = patch["status"].clone();
        assert_eq!(patch_of(&metadata, &unreadable, blocked), None);
        unreadable.why = "spec.seed: something else".to_string();
        assert!(patch_of(&metadata, &unreadable, blocked).is_some());
    }
}
