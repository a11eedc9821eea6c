//! `ModelRegistry` to the registry that is used.

use super::{Problems, World, below_spec};
use crate::ModelRegistrySpec;
use crate::model_registry::{DirectoryRegistrySpec, MlflowRegistry};
use podium_core::problem::SpecProblem;

/// A registry that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrySettings {
    /// The path of its directory; one that is relative is taken from the manifests' directory.
    pub directory: String,
    /// Aliases that only policies move.
    pub protected_aliases: Vec<String>,
}

/// The registry that an object names.
///
/// # Errors
/// All problems, with their paths from the object's root.
pub fn registry(
    spec: &ModelRegistrySpec,
    world: World,
) -> Result<RegistrySettings, Vec<SpecProblem>> {
    // Every field is named, so that a new one does not compile until it is carried out or refused.
    let ModelRegistrySpec {
        mlflow,
        directory,
        protected_aliases,
    } = spec;
    let mut problems = Problems::default();
    if let Some(mlflow) = mlflow {
        refuse_mlflow(mlflow, &mut problems);
    }
    let path = match (directory, world) {
        (Some(DirectoryRegistrySpec { path }), World::Local) => {
            if path.contains("://") {
                problems.add("directory.path", "must be a path and no URI");
            }
            path.clone()
        }
        (Some(_), World::Cluster) => {
            let message = "must be left out in a cluster: no directory outlives a pod there";
            problems.add("directory", message);
            String::new()
        }
        (None, _) => {
            if mlflow.is_none() {
                problems.add("directory", "must be set");
            }
            String::new()
        }
    };
    if problems.0.is_empty() {
        Ok(RegistrySettings {
            directory: path,
            protected_aliases: protected_aliases.clone(),
        })
    } else {
        Err(below_spec(problems.0))
    }
}

fn refuse_mlflow(given: &MlflowRegistry, problems: &mut Problems) {
    let MlflowRegistry {
        url: _,
        credentials_secret_ref,
        ca_bundle_config_map_ref,
        public_url,
    } = given;
    let message =
        "must be left out: this version of Podium reaches no MLflow server yet; use `directory`";
    problems.add("mlflow", message);
    let field = |name: &str| format!("mlflow.{name}");
    problems.unsupported(
        &field("credentialsSecretRef"),
        credentials_secret_ref.as_ref(),
    );
    problems.unsupported(
        &field("caBundleConfigMapRef"),
        ca_bundle_config_map_ref.as_ref(),
    );
    problems.unsupported(&field("publicURL"), public_url.as_ref());
}
