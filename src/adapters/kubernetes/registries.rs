//! The MLflow servers that `ModelRegistry` objects name, with the accounts that stand in Secrets beside them.
//!
//! There is one client for each object. It is made anew when the object, its Secret or its ConfigMap changed, and a failure is not kept: it
//! is found again by whoever asks next.

use super::get;
use super::registry_references::{
    account, ca_bundle, missing, not_given, unusable_config_map, unusable_secret,
};
use crate::adapters::mlflow::credentials::Credentials;
use crate::adapters::mlflow::hosts::AllowedHosts;
use crate::adapters::mlflow::registry::MlflowRegistry;
use crate::adapters::mlflow::server::{Connection, ConnectionPart, Server, UnusableConnection};
use crate::adapters::write_lease::WriteLease;
use crate::ports::{PortError, PortErrorKind};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Client, Resource, ResourceExt};
use podium_api::ModelRegistry;
use podium_api::convert::{self, MlflowSettings, RegistryPlace, World};
use podium_core::problem::in_one_line;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The clients of all registries that the operator uses.
pub struct Registries {
    client: Client,
    hosts: AllowedHosts,
    permission: WriteLease,
    /// By namespace and name of the object.
    open: Mutex<HashMap<(String, String), Opened>>,
}

struct Opened {
    made_of: MadeOf,
    registry: MlflowRegistry,
}

/// What a client was made of. Two that are equal have the same address, account and certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
struct MadeOf {
    uid: Option<String>,
    generation: Option<i64>,
    /// Uid and version of the Secret and of the ConfigMap.
    references: [Option<(String, String)>; 2],
}

impl Registries {
    /// Writes are allowed as long as `permission` says so.
    #[must_use]
    pub fn new(client: Client, hosts: AllowedHosts, permission: WriteLease) -> Self {
        Self {
            client,
            hosts,
            permission,
            open: Mutex::default(),
        }
    }

    /// The registry that an object names.
    ///
    /// # Errors
    /// The object cannot be carried out, what it names is missing or cannot be used, or its host may not be connected to.
    pub async fn open(&self, object: &ModelRegistry) -> Result<MlflowRegistry, PortError> {
        let settings = settings_of(object)?;
        let namespace = object.namespace().unwrap_or_default();
        let name = settings.credentials_secret.as_ref();
        let secret: Option<Secret> = self.named(&namespace, name, "credentialsSecretRef").await?;
        let name = settings.ca_bundle_config_map.as_ref();
        let config_map: Option<ConfigMap> =
            self.named(&namespace, name, "caBundleConfigMapRef").await?;
        let made_of = MadeOf {
            uid: object.uid(),
            generation: object.metadata.generation,
            references: [
                secret.as_ref().map(version_of),
                config_map.as_ref().map(version_of),
            ],
        };
        let key = (namespace.clone(), object.name_any());
        if let Some(opened) = self.lock().get(&key)
            && opened.made_of == made_of
        {
            return Ok(opened.registry.clone());
        }
        let account = secret.as_ref().map(account).transpose()?;
        let connection = Connection {
            url: settings.url,
            credentials: account.unwrap_or(Credentials::Anonymous),
            ca_bundle: config_map.as_ref().map(ca_bundle).transpose()?,
            hosts: self.hosts.of(&namespace),
            permission: self.permission.clone(),
        };
        let server = Server::new(&connection)
            .map_err(|why| unusable(&why, secret.as_ref(), config_map.as_ref()))?;
        let registry = MlflowRegistry::new(Arc::new(server));
        let opened = Opened {
            made_of,
            registry: registry.clone(),
        };
        self.lock().insert(key, opened);
        Ok(registry)
    }

    /// Forgets the client of an object that is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.lock()
            .remove(&(namespace.to_string(), name.to_string()));
    }

    /// The object of this name that a field of the registry names, if it names one.
    async fn named<K>(
        &self,
        namespace: &str,
        name: Option<&String>,
        field: &str,
    ) -> Result<Option<K>, PortError>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let Some(name) = name else {
            return Ok(None);
        };
        match get::<K>(&self.client, namespace, name).await {
            Ok(Some(found)) => Ok(Some(found)),
            Ok(None) => Err(missing::<K>(name, field)),
            Err(error) => Err(not_given::<K>(name, field, &error)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Opened>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn settings_of(object: &ModelRegistry) -> Result<MlflowSettings, PortError> {
    let settings = convert::registry(&object.spec, World::Cluster)
        .map_err(|problems| PortError::invalid(in_one_line(&problems)))?;
    match settings.place {
        RegistryPlace::Mlflow(settings) => Ok(settings),
        RegistryPlace::Directory(_) => {
            Err(PortError::invalid("spec.mlflow: must be set in a cluster"))
        }
    }
}

fn version_of(object: &impl ResourceExt) -> (String, String) {
    (
        object.uid().unwrap_or_default(),
        object.resource_version().unwrap_or_default(),
    )
}

/// Why no server can be asked, by the field that what cannot be used stands in.
fn unusable(
    why: &UnusableConnection,
    secret: Option<&Secret>,
    config_map: Option<&ConfigMap>,
) -> PortError {
    let UnusableConnection { part, message } = why;
    match (part, secret, config_map) {
        (ConnectionPart::Address, ..) => PortError::invalid(format!("spec.mlflow.url: {message}")),
        (ConnectionPart::Host, ..) => {
            PortError::new(PortErrorKind::Forbidden, message).because("HostNotAllowed")
        }
        (ConnectionPart::Credentials, Some(secret), _) => {
            let why = format!("holds credentials that cannot be sent: {message}");
            unusable_secret(secret, &why)
        }
        (ConnectionPart::Certificates, _, Some(config_map)) => {
            let why = format!("holds certificates that cannot be used: {message}");
            unusable_config_map(config_map, &why)
        }
        (ConnectionPart::Credentials | ConnectionPart::Certificates, ..) => {
            PortError::refused(message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_cannot_be_used_is_told_of_where_it_stands() {
        let secret = json!({"metadata": {"name": "account"}});
        let secret: Secret = serde_json::from_value(secret).unwrap();
        let config_map = json!({"metadata": {"name": "corp-ca"}});
        let config_map: ConfigMap = serde_json::from_value(config_map).unwrap();
        let cases = [
            (ConnectionPart::Address, None, "spec.mlflow.url: why"),
            (ConnectionPart::Host, Some("HostNotAllowed"), "why"),
            (
                ConnectionPart::Credentials,
                Some("InvalidSecret"),
                "the Secret `account`",
            ),
            (
                ConnectionPart::Certificates,
                Some("InvalidConfigMap"),
                "the ConfigMap `corp-ca`",
            ),
        ];
        for (part, reason, words) in cases {
            let why = UnusableConnection {
                part,
                message: "why".to_string(),
            };
            let error = unusable(&why, Some(&secret), Some(&config_map));
            assert_eq!(error.reason, reason, "{error:?}");
            assert!(error.message.contains(words), "{error:?}");
            assert!(!error.is_transient());
        }
    }
}
