//! A namespace of a Kubernetes cluster, as the engine sees it.

pub mod client;
pub mod cluster;
pub mod events;
pub mod guarded;
pub mod lease;
pub mod permission;
pub mod seen;
pub mod stores;

use crate::ports::PortError;
use kube::api::{DeleteParams, Preconditions};
use kube::core::Request;
use kube::{Client, Resource, ResourceExt};
use serde_json::Value;

/// An error of the API server or of the way to it, by whether trying again may help.
pub fn port_error(error: &kube::Error) -> PortError {
    match error {
        kube::Error::Api(status) => {
            let text = in_words(status);
            match status.code {
                408 | 409 | 429 | 500.. => PortError::Transient(text),
                _ => PortError::Permanent(text),
            }
        }
        other => PortError::Transient(whole_chain(other)),
    }
}

/// What keeps an object from being deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unless {
    /// Another one has its name now.
    MadeAnew,
    /// It, or what is said of it, is not what was seen.
    Changed,
}

/// Deletes this very object, and what belongs to it after it; one that is gone, or that was made anew or changed since, is left alone.
///
/// # Errors
/// The API server did not do it.
pub async fn delete<K: Resource<DynamicType = ()>>(
    client: &Client,
    namespace: &str,
    object: &K,
    unless: Unless,
) -> Result<(), PortError> {
    let parameters = DeleteParams::background().preconditions(Preconditions {
        uid: object.uid(),
        resource_version: object
            .resource_version()
            .filter(|_| unless == Unless::Changed),
    });
    let asked = Request::new(K::url_path(&(), Some(namespace)))
        .delete(&object.name_any(), &parameters)
        .map_err(|error| PortError::Permanent(error.to_string()))?;
    match client.request::<Value>(asked).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
        Err(error) => Err(port_error(&error)),
    }
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

/// An error with its causes, since libraries say little in the outermost one.
fn whole_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}
