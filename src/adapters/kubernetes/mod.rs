//! A namespace of a Kubernetes cluster, as the engine sees it.

pub mod announcer;
pub mod cache;
pub mod caches;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod events;
pub mod lease;
pub mod messages;
pub mod published;
pub mod raw_object;
pub mod registries;
mod registry_references;
#[cfg(test)]
mod scripted_api;

use crate::adapters::whole_chain;
use crate::ports::{PortError, PortErrorKind};
use kube::api::{DeleteParams, GetParams, ListParams, Preconditions};
use kube::core::{ObjectList, Request};
use kube::{Client, Resource, ResourceExt};
use raw_object::{RawObject, Unreadable};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// An error of the API server or of the way to it.
#[must_use]
pub fn port_error(error: &kube::Error) -> PortError {
    match error {
        kube::Error::Api(status) => PortError::new(kind_of(status), in_words(status)),
        other => PortError::unavailable(whole_chain(other)),
    }
}

/// Quotas and admission webhooks answer with the code of a missing right, and are told apart by their words.
fn kind_of(status: &kube::core::Status) -> PortErrorKind {
    let is_a_rule = [
        "exceeded quota",
        "admission webhook",
        "is forbidden: violates",
        "being terminated",
    ]
    .iter()
    .any(|words| status.message.contains(words));
    match status.code {
        401 => PortErrorKind::Forbidden,
        403 if is_a_rule => PortErrorKind::Refused,
        403 => PortErrorKind::Forbidden,
        404 => PortErrorKind::Missing,
        409 => PortErrorKind::Conflict,
        400 | 422 => PortErrorKind::Invalid,
        408 | 429 | 500.. => PortErrorKind::Unavailable,
        _ => PortErrorKind::Refused,
    }
}

/// Whether a dry run that was answered so says nothing of what was tried: a webhook that fails may recover, a quota may free up, and
/// everything else about an object was looked at before its name.
#[must_use]
pub fn may_pass(status: &kube::core::Status) -> bool {
    status.code == 500 || status.message.contains("exceeded quota") || status.is_already_exists()
}

/// What must still hold for an object to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// It is the same object, and not another one of its name.
    Uid,
    /// It is the same object, and nothing of it changed.
    UidAndResourceVersion,
}

/// Deletes this very object, and what belongs to it after it; one that is gone, or that was made anew or changed since, is left alone.
///
/// # Errors
/// The API server did not do it.
pub async fn delete<K: Resource<DynamicType = ()>>(
    client: &Client,
    namespace: &str,
    object: &K,
    precondition: Precondition,
) -> Result<(), PortError> {
    let parameters = DeleteParams::background().preconditions(Preconditions {
        uid: object.uid(),
        resource_version: object
            .resource_version()
            .filter(|_| precondition == Precondition::UidAndResourceVersion),
    });
    let asked = Request::new(K::url_path(&(), Some(namespace)))
        .delete(&object.name_any(), &parameters)
        .map_err(|error| PortError::invalid(error.to_string()))?;
    match client.request::<Value>(asked).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
        Err(error) => Err(port_error(&error)),
    }
}

/// The object of one of Kubernetes' own kinds with this name, as the API server has it now.
///
/// # Errors
/// The API server did not answer, or refuses it.
pub async fn get<K>(client: &Client, namespace: &str, name: &str) -> Result<Option<K>, PortError>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    let request = Request::new(K::url_path(&(), Some(namespace)));
    let asked = request.get(name, &GetParams::default());
    let asked = asked.map_err(|error| PortError::invalid(error.to_string()))?;
    match client.request::<RawObject>(asked).await {
        Ok(found) => found.into_kubernetes().map(Some).map_err(unreadable),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
        Err(error) => Err(port_error(&error)),
    }
}

/// The objects of one of Kubernetes' own kinds, as the API server has them now.
///
/// # Errors
/// The API server did not answer, or refuses it.
pub async fn list<K>(
    client: &Client,
    namespace: &str,
    selection: &ListParams,
) -> Result<Vec<K>, PortError>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    let request = Request::new(K::url_path(&(), Some(namespace)));
    let asked = request.list(selection);
    let asked = asked.map_err(|error| PortError::invalid(error.to_string()))?;
    let found = client.request::<ObjectList<RawObject>>(asked).await;
    let found = found.map_err(|error| port_error(&error))?;
    let objects = found.items.into_iter().map(RawObject::into_kubernetes);
    objects.map(|object| object.map_err(unreadable)).collect()
}

fn unreadable(unreadable: Unreadable) -> PortError {
    PortError::invalid(unreadable.why)
}

/// What the API server said, in its own words.
#[must_use]
pub fn in_words(status: &kube::core::Status) -> String {
    if status.message.is_empty() {
        format!("{} ({})", status.reason, status.code)
    } else {
        status.message.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_dry_run_leaves_out_what_may_be_over_when_it_matters() {
        let answered = |code: u16, reason: &str, message: &str| -> bool {
            let status = json!({"code": code, "reason": reason, "message": message});
            may_pass(&serde_json::from_value(status).unwrap())
        };
        let webhook = "Internal error occurred: failed calling webhook \"a.b\"";
        assert!(answered(500, "InternalError", webhook));
        let quota = "tuningjobs.podium.dev \"a\" is forbidden: exceeded quota: one";
        assert!(answered(403, "Forbidden", quota));
        let exists = "tuningjobs.podium.dev \"a\" already exists";
        assert!(answered(409, "AlreadyExists", exists));
        let denied = "admission webhook \"a.b\" denied the request: no";
        assert!(!answered(403, "Forbidden", denied));
        assert!(!answered(422, "Invalid", "spec.maxTrials: Invalid value"));
        assert!(!answered(409, "Conflict", "the object was changed"));
    }
}
