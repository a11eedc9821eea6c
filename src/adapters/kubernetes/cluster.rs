//! Objects of one namespace through the API server: reads from what is watched, writes confirmed by their answers.

use super::cache::IndexKey;
use super::caches::Caches;
use super::raw_object::{RawObject, Unreadable};
use super::{Precondition, in_words, may_pass, port_error};
use crate::ports::{Cluster, Created, Object, PortError, PortErrorKind};
use kube::api::{GetParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ObjectList, Request};
use kube::{Client, ResourceExt};
use podium_api::convert::is_own_condition;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The one field manager of this operator's writes.
pub const FIELD_MANAGER: &str = "podium";

/// How long a dry run may take; a webhook that is slower is waited for when the object is created.
const DRY_RUN_PATIENCE: Duration = Duration::from_secs(3);

/// A request, unless it cannot be made.
type Asked = Result<http::Request<Vec<u8>>, kube::core::request::Error>;

/// One namespace of a cluster.
#[derive(Clone)]
pub struct KubernetesCluster {
    client: Client,
    namespace: String,
    caches: Arc<Caches>,
}

impl KubernetesCluster {
    /// The namespace through this client, with these caches of the kinds that are watched.
    #[must_use]
    pub fn new(client: Client, namespace: String, caches: Arc<Caches>) -> Self {
        Self {
            client,
            namespace,
            caches,
        }
    }

    fn path<K: Object>(&self) -> Request {
        Request::new(K::url_path(&(), Some(&self.namespace)))
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<T, kube::Error> {
        let request = request.map_err(kube::Error::BuildRequest)?;
        self.client.request(request).await
    }

    /// An object that the API server answers with.
    async fn ask_object<K: Object>(
        &self,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Result<K, PortError>, kube::Error> {
        let answer: RawObject = self.ask(request).await?;
        let unreadable = |unreadable: Unreadable| {
            let what = format!("{} cannot be read: {}", K::kind(&()), unreadable.why);
            PortError::refused(what)
        };
        Ok(answer.into_podium().map_err(unreadable))
    }

    async fn read<K: Object>(&self, name: &str) -> Result<Option<K>, PortError> {
        let asked = self.path::<K>().get(name, &GetParams::default());
        match self.ask_object(asked).await {
            Ok(object) => object.map(Some),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
            Err(error) => Err(port_error(&error)),
        }
    }

    /// The same of a kind of which the operator has the right to list and none to get.
    async fn listed<K: Object>(&self, name: &str) -> Result<Option<K>, PortError> {
        let of_name = ListParams::default().fields(&format!("metadata.name={name}"));
        let asked = self.ask(self.path::<K>().list(&of_name)).await;
        let found: ObjectList<K> = asked.map_err(|error| port_error(&error))?;
        Ok(found.items.into_iter().next())
    }

    /// A request to create an object.
    fn creation<K: Object>(&self, object: &K, dry_run: bool) -> Result<Asked, PortError> {
        let mut body = json_of(object)?;
        body["apiVersion"] = json!(K::api_version(&()));
        body["kind"] = json!(K::kind(&()));
        body["metadata"]["namespace"] = json!(self.namespace);
        let parameters = PostParams {
            field_manager: Some(FIELD_MANAGER.to_string()),
            dry_run,
        };
        let path = self.path::<K>();
        Ok(path.create(&parameters, body.to_string().into_bytes()))
    }

    fn observe_write<K: Object>(&self, object: K) {
        if let Some(cache) = self.caches.of::<K>() {
            cache.observe_write(object);
        }
    }

    /// A condition that somebody else set stays when it is no longer said, so what is Podium's to say and was not said is removed.
    async fn without_stray_conditions<K: Object>(
        &self,
        written: K,
        said: &Value,
    ) -> Result<K, PortError> {
        let conditions = |status: &Value| -> Vec<Value> {
            let all = status.get("conditions").and_then(Value::as_array);
            all.cloned().unwrap_or_default()
        };
        let said = conditions(said);
        let is_stray = |condition: &Value| {
            let kind = condition["type"].as_str().unwrap_or_default();
            is_own_condition(kind) && said.iter().all(|said| said["type"] != kind)
        };
        let there = json_of(&written)?;
        let (stray, kept): (Vec<_>, Vec<_>) =
            conditions(&there["status"]).into_iter().partition(is_stray);
        if stray.is_empty() {
            return Ok(written);
        }
        let patch = json!({
            "metadata": {"resourceVersion": written.resource_version()},
            "status": {"conditions": kept},
        });
        let name = written.name_any();
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_string()),
            ..PatchParams::default()
        };
        let asked =
            self.path::<K>()
                .patch_subresource("status", &name, &parameters, &Patch::Merge(patch));
        let asked = self.ask_object(asked).await;
        asked.map_err(|error| port_error(&error))?
    }

    /// Writes the status of this very object, as long as it has that version.
    async fn apply_status<K: Object>(
        &self,
        object: &K,
        status: &Value,
        version: Option<String>,
    ) -> Result<(), PortError> {
        let name = object.name_any();
        let patch = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": {"name": name, "uid": object.uid(), "resourceVersion": version},
            "status": status,
        });
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let asked =
            self.path::<K>()
                .patch_subresource("status", &name, &parameters, &Patch::Apply(patch));
        match self.ask_object::<K>(asked).await {
            Ok(written) => {
                let written = self.without_stray_conditions(written?, status).await?;
                self.observe_write(written);
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.is_not_found() => Err(PortError::unavailable(
                format!("{} not found: {}", name, in_words(&status)),
            )),
            Err(error) => Err(port_error(&error)),
        }
    }

    /// An object of that name is there: it counts as created if it is this owner's.
    async fn adopt<K: Object>(&self, wanted: &K) -> Result<Created, PortError> {
        let name = wanted.name_any();
        let there = self.listed::<K>(&name).await?;
        let is_own = there
            .as_ref()
            .is_some_and(|there| owner(there).is_some() && owner(there) == owner(wanted));
        match there {
            Some(there) if is_own => {
                self.observe_write(there);
                Ok(Created::Existed)
            }
            _ => Err(PortError::refused(format!(
                "{} \"{name}\" exists and belongs to something else; it is waited for until it is gone",
                K::plural(&())
            ))),
        }
    }
}

/// Uid of the controlling owner.
fn owner(object: &impl ResourceExt) -> Option<String> {
    let owners = object.owner_references().iter();
    let mut controllers = owners.filter(|owner| owner.controller == Some(true));
    controllers.next().map(|owner| owner.uid.clone())
}

fn status_of(object: &impl serde::Serialize) -> Result<Value, PortError> {
    let object = json_of(object)?;
    Ok(object.get("status").cloned().unwrap_or(Value::Null))
}

fn json_of(object: &impl serde::Serialize) -> Result<Value, PortError> {
    serde_json::to_value(object).map_err(|error| PortError::invalid(error.to_string()))
}

impl Cluster for KubernetesCluster {
    async fn get<K: Object>(&self, name: &str) -> Result<Option<K>, PortError> {
        match self.caches.of::<K>() {
            Some(cache) => {
                let found = cache.get(&self.namespace, name);
                Ok(found.map(Arc::unwrap_or_clone))
            }
            None => self.read(name).await,
        }
    }

    async fn list<K: Object>(&self) -> Result<Vec<K>, PortError> {
        let mut found: Vec<K> = match self.caches.of::<K>() {
            Some(cache) => {
                let all = cache.list(&self.namespace, |_| true);
                all.into_iter().map(Arc::unwrap_or_clone).collect()
            }
            None => {
                let asked = self.path::<K>().list(&ListParams::default());
                let list: ObjectList<RawObject> =
                    self.ask(asked).await.map_err(|error| port_error(&error))?;
                let objects = list.items.into_iter();
                objects.filter_map(|raw| raw.into_podium().ok()).collect()
            }
        };
        found.sort_by_key(ResourceExt::name_any);
        Ok(found)
    }

    async fn owned<K: Object>(&self, owner: &str) -> Result<Arc<Vec<Arc<K>>>, PortError> {
        if let Some(cache) = self.caches.of::<K>() {
            return Ok(cache.find(&IndexKey::owner(owner)));
        }
        let is_owned = |object: &K| object.owner_references().iter().any(|o| o.uid == owner);
        let all = self.list::<K>().await?.into_iter();
        Ok(Arc::new(all.filter(is_owned).map(Arc::new).collect()))
    }

    async fn create<K: Object>(&self, object: &K) -> Result<Created, PortError> {
        let asked = self.creation(object, false)?;
        match self.ask_object::<K>(asked).await {
            Ok(created) => {
                self.observe_write(created?);
                Ok(Created::New)
            }
            Err(kube::Error::Api(status)) if status.is_already_exists() => self.adopt(object).await,
            Err(error) => Err(port_error(&error)),
        }
    }

    async fn write_status<K: Object>(&self, object: &K) -> Result<(), PortError> {
        let name = object.name_any();
        let status = status_of(object)?;
        let known = self.get::<K>(&name).await?;
        if let Some(known) = &known
            && known.uid() == object.uid()
            && status_of(known)? == status
        {
            return Ok(());
        }
        // A status is never written over a specification that it was not made of: with uid and version the write reaches this
        // very object, unchanged but for statuses since, or nothing.
        let unchanged = known.filter(|known| known.meta().generation == object.meta().generation);
        let version = unchanged.map_or_else(
            || object.resource_version(),
            |known| known.resource_version(),
        );
        self.apply_status(object, &status, version).await
    }

    async fn replace_status<K: Object>(&self, object: &K) -> Result<(), PortError> {
        let known = self.get::<K>(&object.name_any()).await?;
        PortError::unless_as_read(known.as_ref(), object)?;
        let status = status_of(object)?;
        if known.map(|known| status_of(&known)).transpose()?.as_ref() == Some(&status) {
            return Ok(());
        }
        self.apply_status(object, &status, object.resource_version())
            .await
    }

    async fn confirm<K: Object>(&self, object: &K) -> Result<(), PortError> {
        let stored = self.listed::<K>(&object.name_any()).await?;
        let confirmed = PortError::unless_as_read(stored.as_ref(), object);
        // Whoever tries again finds what is stored.
        if let Some(stored) = stored {
            self.observe_write(stored);
        }
        confirmed
    }

    async fn dry_run<K: Object>(&self, object: &K) -> Result<Option<String>, PortError> {
        let asked = self.creation(object, true)?;
        let asked = tokio::time::timeout(DRY_RUN_PATIENCE, self.ask::<Value>(asked)).await;
        let error = match asked {
            Err(_) | Ok(Ok(_)) => return Ok(None),
            Ok(Err(kube::Error::Api(status))) if may_pass(&status) => return Ok(None),
            Ok(Err(error)) => port_error(&error),
        };
        match error.kind {
            PortErrorKind::Invalid | PortErrorKind::Refused => Ok(Some(error.message)),
            _ => Err(error),
        }
    }

    async fn delete<K: Object>(&self, object: &K) -> Result<(), PortError> {
        super::delete(
            &self.client,
            &self.namespace,
            object,
            Precondition::UidAndResourceVersion,
        )
        .await
    }
}
