//! `ModelRegistry` to the registry that is used.

use super::{Problems, World, below_spec};
use crate::ModelRegistrySpec;
use crate::model_registry::{DirectoryRegistrySpec, MlflowRegistry};
use podium_core::problem::SpecProblem;

/// A registry that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrySettings {
    /// Where it is.
    pub place: RegistryPlace,
    /// Aliases that only policies move.
    pub protected_aliases: Vec<String>,
}

/// Where a registry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryPlace {
    /// A directory of this machine, by its path; one that is relative is taken from the manifests' directory.
    Directory(String),
    /// An MLflow server.
    Mlflow(MlflowSettings),
}

/// How to reach an MLflow server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MlflowSettings {
    /// Its address; a path is kept as a prefix.
    pub url: String,
    /// Name of the Secret with the account of policies and searches.
    pub credentials_secret: Option<String>,
    /// Name of the Secret with the account that the containers of tracked trials get.
    pub trial_credentials_secret: Option<String>,
    /// Name of the ConfigMap with certificates that are trusted.
    pub ca_bundle_config_map: Option<String>,
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
    let mlflow = mlflow
        .as_ref()
        .map(|mlflow| convert_mlflow(mlflow, world, &mut problems));
    let directory = directory
        .as_ref()
        .map(|directory| convert_directory(directory, world, &mut problems));
    let place = match (mlflow, directory) {
        (Some(mlflow), None) => Some(RegistryPlace::Mlflow(mlflow)),
        (None, Some(path)) => Some(RegistryPlace::Directory(path)),
        (Some(_), Some(_)) => {
            problems.add("directory", "must be left out where `mlflow` is set");
            None
        }
        (None, None) => {
            let wanted = match world {
                World::Local => "directory",
                World::Cluster => "mlflow",
            };
            problems.add(wanted, "must be set");
            None
        }
    };
    match place {
        Some(place) if problems.0.is_empty() => Ok(RegistrySettings {
            place,
            protected_aliases: protected_aliases.clone(),
        }),
        _ => Err(below_spec(problems.0)),
    }
}

fn convert_directory(
    given: &DirectoryRegistrySpec,
    world: World,
    problems: &mut Problems,
) -> String {
    let DirectoryRegistrySpec { path } = given;
    match world {
        World::Local if path.contains("://") => {
            problems.add("directory.path", "must be a path and no URI");
        }
        World::Local => {}
        World::Cluster => problems.add(
            "directory",
            "must be left out in a cluster: no directory outlives a pod there",
        ),
    }
    path.clone()
}

fn convert_mlflow(given: &MlflowRegistry, world: World, problems: &mut Problems) -> MlflowSettings {
    let MlflowRegistry {
        url,
        credentials_secret_ref,
        trial_credentials_secret_ref,
        ca_bundle_config_map_ref,
        public_url,
    } = given;
    let field = |name: &str| format!("mlflow.{name}");
    if world == World::Local {
        let message = "must be left out here: `podium run` reaches no MLflow server, and reads no Secret; use `directory`";
        problems.add("mlflow", message);
    }
    problems.unsupported(&field("publicURL"), public_url.as_ref());
    if trial_credentials_secret_ref.is_some()
        && trial_credentials_secret_ref == credentials_secret_ref
    {
        let message = "must not be the Secret of `credentialsSecretRef`: whatever runs in a trial would get the account that moves aliases";
        problems.add(&field("trialCredentialsSecretRef"), message);
    }
    let name = |reference: &Option<crate::schema::LocalReference>| {
        reference.as_ref().map(|reference| reference.name.clone())
    };
    MlflowSettings {
        url: url.clone(),
        credentials_secret: name(credentials_secret_ref),
        trial_credentials_secret: name(trial_credentials_secret_ref),
        ca_bundle_config_map: name(ca_bundle_config_map_ref),
    }
}
