//! Where a policy is: in a directory that `podium run` works in, or in a cluster.

use super::Failure;
use super::run::runtime;
use crate::adapters::kubernetes::port_error;
use crate::local::state::StateDirectory;
use crate::local::state_root;
use clap::Args;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::{Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, Resource};
use podium_api::{Approval, ChampionPolicy, RUN_NOW_ANNOTATION};
use serde_json::json;
use std::path::{Path, PathBuf};
use tokio::runtime::Runtime;

/// Who owns a pin that `podium rollback` set, among the managers of a policy's fields.
const ROLLBACK_MANAGER: &str = "podium-rollback";
/// Who owns a request that `podium run-now` made.
const RUN_NOW_MANAGER: &str = "podium-run-now";

/// A policy of a directory or of a cluster.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// Name of the ChampionPolicy.
    #[arg(value_name = "POLICY")]
    pub(super) policy: String,
    /// The directory with the manifests; the current one when no cluster is meant.
    #[arg(long, short, conflicts_with_all = ["namespace", "context"])]
    directory: Option<PathBuf>,
    /// The namespace of the policy in the cluster of the kubeconfig.
    #[arg(long, short)]
    namespace: Option<String>,
    /// The context of the kubeconfig; without --namespace the policy is in the context's own.
    #[arg(long)]
    context: Option<String>,
}

/// Where a policy is.
pub(super) enum Where<'a> {
    /// In a directory.
    Directory(&'a Path),
    /// In a namespace of a cluster.
    Cluster(InCluster),
}

/// A namespace of a cluster.
pub(super) struct InCluster {
    /// The client has tasks in it.
    runtime: Runtime,
    client: Client,
    pub(super) namespace: String,
}

impl Place {
    /// Where the policy is.
    pub(super) fn find(&self) -> Result<Where<'_>, Failure> {
        if self.namespace.is_none() && self.context.is_none() {
            let here = Path::new(".");
            return Ok(Where::Directory(self.directory.as_deref().unwrap_or(here)));
        }
        let runtime = runtime()?;
        let (client, own) = runtime.block_on(client_of(self.context.clone()))?;
        Ok(Where::Cluster(InCluster {
            runtime,
            client,
            namespace: self.namespace.clone().unwrap_or(own),
        }))
    }
}

/// A client of the kubeconfig, and the namespace that its context names.
async fn client_of(context: Option<String>) -> Result<(Client, String), Failure> {
    let config = match context {
        None => Config::infer().await?,
        Some(_) => {
            let options = KubeConfigOptions {
                context,
                ..KubeConfigOptions::default()
            };
            Config::from_custom_kubeconfig(Kubeconfig::read()?, &options).await?
        }
    };
    let namespace = config.default_namespace.clone();
    Ok((Client::try_from(config)?, namespace))
}

impl Where<'_> {
    /// The policy as it was last reconciled.
    pub(super) fn policy(&self, name: &str) -> Result<ChampionPolicy, Failure> {
        match self {
            Self::Directory(directory) => policy_in(directory, name),
            Self::Cluster(cluster) => cluster.policy(name),
        }
    }

    /// What shows the policies there.
    pub(super) fn get_policies(&self) -> String {
        match self {
            Self::Directory(directory) => {
                format!("podium get championpolicies -d {}", directory.display())
            }
            Self::Cluster(cluster) => {
                format!("kubectl get championpolicies -n {}", cluster.namespace)
            }
        }
    }
}

fn policy_in(directory: &Path, name: &str) -> Result<ChampionPolicy, Failure> {
    let state = StateDirectory::new(state_root(directory).join("state"));
    let found = state.read("championpolicies", name)?.ok_or_else(|| {
        let directory = directory.display();
        format!(
            "there is no ChampionPolicy `{name}` in {directory}; `podium run {directory}` must have seen it once"
        )
    })?;
    Ok(serde_json::from_value(found)?)
}

impl InCluster {
    fn policy(&self, name: &str) -> Result<ChampionPolicy, Failure> {
        let policies = Api::<ChampionPolicy>::namespaced(self.client.clone(), &self.namespace);
        let found = self.runtime.block_on(policies.get_opt(name));
        let found = found.map_err(|error| port_error(&error))?;
        found.ok_or_else(|| {
            format!(
                "there is no ChampionPolicy `{name}` in the namespace {}",
                self.namespace
            )
            .into()
        })
    }

    /// The name of the user that the kubeconfig stands for.
    pub(super) fn user(&self) -> Result<String, Failure> {
        let reviews = Api::<SelfSubjectReview>::all(self.client.clone());
        let (parameters, review) = (PostParams::default(), SelfSubjectReview::default());
        let reviewed = reviews.create(&parameters, &review);
        let reviewed = self.runtime.block_on(reviewed);
        let reviewed = reviewed.map_err(|error| port_error(&error))?;
        let user = reviewed.status.and_then(|status| status.user_info);
        let name = user.and_then(|user| user.username);
        name.ok_or_else(|| "the cluster does not say who you are; give --as".into())
    }

    /// Creates an approval in the name of whoever the kubeconfig says.
    pub(super) fn create(&self, approval: &Approval) -> Result<(), Failure> {
        let approvals = Api::<Approval>::namespaced(self.client.clone(), &self.namespace);
        let parameters = PostParams::default();
        let created = approvals.create(&parameters, approval);
        match self.runtime.block_on(created) {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                let name = approval.metadata.name.as_deref().unwrap_or_default();
                let message =
                    format!("the Approval `{name}` is there already; delete it to decide again");
                Err(message.into())
            }
            Err(error) => Err(port_error(&error).into()),
        }
    }

    /// Gives a policy a value of the annotation by which somebody asks for a search at once.
    pub(super) fn ask_for_a_search(&self, name: &str, value: &str) -> Result<(), Failure> {
        let policies = Api::<ChampionPolicy>::namespaced(self.client.clone(), &self.namespace);
        let annotation = json!({"metadata": {"annotations": {RUN_NOW_ANNOTATION: value}}});
        let parameters = PatchParams {
            field_manager: Some(RUN_NOW_MANAGER.to_string()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(annotation);
        let asked = policies.patch(name, &parameters, &patch);
        self.runtime
            .block_on(asked)
            .map_err(|error| port_error(&error))?;
        Ok(())
    }

    /// Pins a version by a server-side apply of that field alone. It takes the field from whoever has it: a rollback must not wait.
    pub(super) fn pin(&self, name: &str, version: &str, reason: &str) -> Result<(), Failure> {
        let policies = Api::<ChampionPolicy>::namespaced(self.client.clone(), &self.namespace);
        let pin = json!({
            "apiVersion": ChampionPolicy::api_version(&()), "kind": ChampionPolicy::kind(&()),
            "spec": {"pin": {"version": version, "reason": reason}},
        });
        let parameters = PatchParams::apply(ROLLBACK_MANAGER).force();
        let patch = Patch::Apply(pin);
        let pinned = policies.patch(name, &parameters, &patch);
        self.runtime
            .block_on(pinned)
            .map_err(|error| port_error(&error))?;
        Ok(())
    }
}
