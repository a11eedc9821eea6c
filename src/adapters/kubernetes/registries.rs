//! The MLflow servers that `ModelRegistry` objects name, with the accounts that stand in Secrets beside them.
//!
//! There is one client for each object. It is made anew when the object, its Secret or its ConfigMap changed, and a failure is not kept: it
//! is found again by whoever asks next.

use super::get;
use crate::adapters::mlflow::hosts::AllowedHosts;
use crate::adapters::mlflow::registry::MlflowRegistry;
use crate::adapters::mlflow::server::{Connection, Credentials, Server};
use crate::adapters::write_lease::WriteLease;
use crate::ports::PortError;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Client, Resource, ResourceExt};
use podium_api::ModelRegistry;
use podium_api::convert::{self, MlflowSettings, RegistryPlace, World};
use podium_core::problem::in_one_line;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The key of a ConfigMap that holds certificates.
const CA_KEY: &str = "ca.crt";

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
        let connection = Connection {
            url: settings.url,
            credentials: credentials(secret.as_ref())?,
            ca_bundle: config_map.as_ref().map(ca_bundle).transpose()?,
            hosts: self.hosts.of(&namespace),
            permission: self.permission.clone(),
        };
        let registry = MlflowRegistry::new(Arc::new(Server::new(&connection)?));
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
        let found = get::<K>(&self.client, namespace, name).await?;
        found.map(Some).ok_or_else(|| {
            let kind = K::kind(&());
            let message =
                format!("the {kind} `{name}` that spec.mlflow.{field} names does not exist");
            PortError::missing(message)
        })
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

/// The account in a Secret. What it holds is in no error.
fn credentials(secret: Option<&Secret>) -> Result<Credentials, PortError> {
    let Some(secret) = secret else {
        return Ok(Credentials::Anonymous);
    };
    let name = secret.name_any();
    let empty = BTreeMap::new();
    let data = secret.data.as_ref().unwrap_or(&empty);
    let text = |key: &str| {
        let Some(bytes) = data.get(key) else {
            return Ok(None);
        };
        // Files end with a line break that belongs to no password.
        let text = String::from_utf8(bytes.0.clone()).map(|text| text.trim_end().to_string());
        text.map(Some).map_err(|_| {
            PortError::invalid(format!(
                "the key `{key}` of the Secret `{name}` must be text"
            ))
        })
    };
    match (text("username")?, text("password")?, text("token")?) {
        (Some(username), Some(password), None) => Ok(Credentials::Basic { username, password }),
        (None, None, Some(token)) => Ok(Credentials::Token(token)),
        _ => Err(PortError::invalid(format!(
            "the Secret `{name}` must hold either the keys `username` and `password`, or the key `token`"
        ))),
    }
}

fn ca_bundle(config_map: &ConfigMap) -> Result<String, PortError> {
    let data = config_map.data.as_ref();
    data.and_then(|data| data.get(CA_KEY))
        .cloned()
        .ok_or_else(|| {
            let name = config_map.name_any();
            PortError::invalid(format!(
                "the ConfigMap `{name}` must hold certificates under the key `{CA_KEY}`"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(data: &[(&str, &str)]) -> Result<Credentials, String> {
        let data: BTreeMap<&str, &str> = data.iter().copied().collect();
        let secret = json!({"metadata": {"name": "mlflow"}, "stringData": data});
        let mut secret: Secret = serde_json::from_value(secret).unwrap();
        let texts = secret.string_data.take().unwrap_or_default();
        let bytes = texts
            .into_iter()
            .map(|(key, text)| (key, k8s_openapi::ByteString(text.into())));
        secret.data = Some(bytes.collect());
        credentials(Some(&secret)).map_err(|error| error.message)
    }

    #[test]
    fn an_account_is_a_name_with_a_password_or_a_token() {
        assert!(credentials(None).unwrap() == Credentials::Anonymous);
        let basic = Credentials::Basic {
            username: "me".to_string(),
            password: "pass word".to_string(),
        };
        assert!(found(&[("username", "me"), ("password", "pass word\n")]) == Ok(basic));
        let token = Credentials::Token("t".to_string());
        assert!(found(&[("token", "t"), ("other", "x")]) == Ok(token));
    }

    #[test]
    fn a_secret_without_an_account_is_refused_without_its_words() {
        let cases: [&[(&str, &str)]; 4] = [
            &[],
            &[("username", "canary")],
            &[("password", "canary")],
            &[
                ("username", "canary"),
                ("password", "canary"),
                ("token", "canary"),
            ],
        ];
        for case in cases {
            let error = found(case).unwrap_err();
            assert!(error.contains("`username` and `password`"), "{error}");
            assert!(!error.contains("canary"));
        }
    }
}
