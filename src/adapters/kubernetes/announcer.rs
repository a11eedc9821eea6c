//! Tells those outside of a namespace who is champion and what was decided: by ConfigMaps of its policies, and by messages.

use super::cache::Cache;
use super::caches::Caches;
use super::cluster::FIELD_MANAGER;
use super::messages::Messages;
use super::published::{Step, belongs_to, step};
use super::raw_object::RawObject;
use super::{Precondition, delete, get, port_error, unreadable};
use crate::adapters::webhooks::target::Target;
use crate::ports::{
    Announcer, Delivery, Message, PortError, PortErrorKind, Publication, Published,
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::Request;
use kube::{Client, Resource, ResourceExt};
use podium_api::champion_policy::NotifySpec;
use std::sync::Arc;

/// Why nothing is published by an operator that was not given the right to.
const DISABLED: &str = "this operator may not write ConfigMaps; the chart's value `publish.enabled` gives it the right to, and \
                        the flag --publish-enabled tells it so";

/// Has a policy of the namespace reconciled.
pub type Wake = Arc<dyn Fn(&str) + Send + Sync>;

/// One namespace.
pub struct KubernetesAnnouncer {
    client: Client,
    namespace: String,
    cluster: Arc<str>,
    caches: Arc<Caches>,
    messages: Arc<Messages>,
    wake: Wake,
}

impl KubernetesAnnouncer {
    /// The namespace of this name in the cluster of that name.
    #[must_use]
    pub fn new(
        client: Client,
        [cluster, namespace]: [&str; 2],
        caches: Arc<Caches>,
        messages: Arc<Messages>,
        wake: Wake,
    ) -> Self {
        Self {
            client,
            namespace: namespace.to_string(),
            cluster: cluster.into(),
            caches,
            messages,
            wake,
        }
    }

    /// The ConfigMaps that are watched, where they are.
    fn watched(&self) -> Option<Arc<Cache<ConfigMap>>> {
        self.caches.of::<ConfigMap>()
    }

    fn path(&self) -> Request {
        Request::new(ConfigMap::url_path(&(), Some(&self.namespace)))
    }

    async fn write(
        &self,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<ConfigMap, PortError> {
        let request = request.map_err(|error| PortError::invalid(error.to_string()))?;
        let written = self.client.request::<RawObject>(request).await;
        let written = written.map_err(|error| port_error(&error))?;
        written.into_kubernetes().map_err(unreadable)
    }

    async fn create(&self, object: &ConfigMap) -> Result<ConfigMap, PortError> {
        let parameters = PostParams {
            field_manager: Some(FIELD_MANAGER.to_string()),
            ..PostParams::default()
        };
        let body = serde_json::to_vec(object);
        let body = body.map_err(|error| PortError::invalid(error.to_string()))?;
        self.write(self.path().create(&parameters, body)).await
    }

    async fn change(&self, name: &str, patch: serde_json::Value) -> Result<ConfigMap, PortError> {
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_string()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(patch);
        self.write(self.path().patch(name, &parameters, &patch))
            .await
    }

    /// Deletes it as it was seen: somebody may have made it his own since.
    async fn remove(&self, object: &ConfigMap) -> Result<(), PortError> {
        let precondition = Precondition::UidAndResourceVersion;
        delete(&self.client, &self.namespace, object, precondition).await
    }

    /// Puts another ConfigMap in the place of one that cannot be changed.
    async fn replace(&self, old: &ConfigMap, new: &ConfigMap) -> Result<ConfigMap, PortError> {
        self.remove(old).await?;
        let created = self.create(new).await;
        // No race that the next look ends: a finalizer may keep the old one for long.
        created.map_err(|error| match error.kind {
            PortErrorKind::Conflict => PortError::unavailable(format!(
                "the ConfigMap `{}` is immutable and not gone yet, so it does not hold the champion of now",
                new.name_any()
            )),
            _ => error,
        })
    }

    /// The ConfigMap of a publication as it is watched, or as it is found when it is none that is watched for its policy.
    async fn find(
        &self,
        watched: &Cache<ConfigMap>,
        publication: &Publication,
    ) -> Result<Option<ConfigMap>, PortError> {
        let known = watched.get(&self.namespace, &publication.name);
        let own = known.filter(|known| belongs_to(known, &publication.owner.uid));
        match own {
            Some(own) => Ok(Some(Arc::unwrap_or_clone(own))),
            None => get(&self.client, &self.namespace, &publication.name).await,
        }
    }
}

impl Announcer for KubernetesAnnouncer {
    fn disabled(&self) -> Option<&'static str> {
        self.watched().is_none().then_some(DISABLED)
    }

    async fn publish(&self, publication: &Publication) -> Result<Published, PortError> {
        let watched = self.watched();
        let watched = watched.ok_or_else(|| PortError::refused(DISABLED))?;
        let found = self.find(&watched, publication).await?;
        let written = match (step(found.as_ref(), publication), &found) {
            (Step::Nothing, _) => return Ok(Published::Stands),
            (Step::Leave(whose), _) => return Ok(Published::Foreign(whose)),
            (Step::Change(patch), _) => self.change(&publication.name, patch).await?,
            (Step::Replace(new), Some(old)) => self.replace(old, &new).await?,
            (Step::Create(new) | Step::Replace(new), _) => self.create(&new).await?,
        };
        watched.observe_write(written);
        Ok(Published::Stands)
    }

    async fn withdraw(&self, owner: &str, kept: Option<&str>) -> Result<(), PortError> {
        let Some(watched) = self.watched() else {
            return Ok(());
        };
        // Not by the index of owners, which knows no namespaces: a ConfigMap of another one may name this owner.
        let published = watched.list(&self.namespace, |found| belongs_to(found, owner));
        for published in published {
            if kept != Some(published.name_any().as_str()) {
                self.remove(&published).await?;
            }
        }
        Ok(())
    }

    fn speaker(&self, policy: &str) -> String {
        format!("{}/{}/{policy}", self.cluster, self.namespace)
    }

    fn refusal(&self, receiver: &NotifySpec) -> Option<String> {
        let hosts = self.messages.hosts_of(&self.namespace);
        Target::of(&receiver.url, &hosts).err()
    }

    fn deliver(&self, message: Message, receiver: &NotifySpec) -> Delivery {
        let (wake, policy) = (Arc::clone(&self.wake), message.policy.clone());
        let wake = move || wake(&policy);
        self.messages
            .deliver(&self.namespace, message, receiver, wake)
    }
}

#[cfg(test)]
#[path = "announcer_tests.rs"]
mod tests;
