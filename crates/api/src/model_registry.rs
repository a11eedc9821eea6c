//! `ModelRegistry`: a connection to a model registry.

use crate::schema::{self, Conditions, LocalReference};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// A connection to a model registry.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "podium.dev",
    version = "v1alpha1",
    kind = "ModelRegistry",
    plural = "modelregistries",
    shortname = "mreg",
    category = "podium",
    namespaced,
    derive = "PartialEq",
    doc = "A connection to a model registry.",
    status = "ModelRegistryStatus",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Version",
        type_ = "string",
        json_path = ".status.serverVersion"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "URL",
        type_ = "string",
        json_path = ".spec.mlflow.url",
        priority = "1"
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.mlflow) != has(self.directory)").message("exactly one of `mlflow` and `directory` must be set"))]
pub struct ModelRegistrySpec {
    /// An MLflow tracking server with its registry, in a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mlflow: Option<MlflowRegistry>,
    /// A directory of this machine, for `podium run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<DirectoryRegistrySpec>,
    /// Aliases that only a ChampionPolicy moves; `register.alias` of a TuningJob may not be one of them. Default `[champion]`.
    #[serde(default = "champion")]
    #[schemars(length(max = 20), inner(length(min = 1, max = 250), regex(pattern = "^[a-z0-9_-]+$")), extend("x-kubernetes-list-type" = "set"))]
    pub protected_aliases: Vec<String>,
}

fn champion() -> Vec<String> {
    vec!["champion".to_string()]
}

/// An MLflow tracking server.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MlflowRegistry {
    /// Its address; a path is kept as a prefix.
    #[schemars(length(min = 1, max = 2000), regex(pattern = "^https?://"))]
    pub url: String,
    /// Secret of the same namespace with `username` and `password`, or `token`: the account of policies and searches, which needs EDIT on
    /// their models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<LocalReference>,
    /// Secret of the same namespace with `username` and `password`, or `token`: the account that the containers of tracked trials get, which
    /// needs EDIT on the experiment and no right on registered models. Without it they get none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial_credentials_secret_ref: Option<LocalReference>,
    /// ConfigMap of the same namespace with `ca.crt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle_config_map_ref: Option<LocalReference>,
    /// Its address for people, for links in reports. Not in this version of Podium, which refuses it.
    #[serde(rename = "publicURL", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2000), regex(pattern = "^https?://"))]
    pub public_url: Option<String>,
}

/// A registry in a directory.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DirectoryRegistrySpec {
    /// Its path; one that is relative is taken from the manifests' directory.
    #[schemars(length(min = 1, max = 2000))]
    pub path: String,
}

/// Whether the registry can be used.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelRegistryStatus {
    /// The generation that this status was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub observed_generation: Option<i64>,
    /// The condition Ready; where it is False it names the fix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Conditions,
    /// Version of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub server_version: Option<String>,
}
