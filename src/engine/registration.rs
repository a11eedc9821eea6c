//! The winner of a search becomes a version, and the version gets the alias, each once.
//!
//! A version is known by what was found: the search by its name and specification, the winning trial, its configuration and
//! its metrics. A search that finds the same again, though its objects were lost, therefore finds its version again.

use super::trial::belongs_to;
use super::tuning_job::Observed;
use super::{Engine, missing, trial};
use crate::ports::{AliasUpdate, Cluster, ModelRegistry as _, NewVersion, PortError, Ports};
use kube::ResourceExt;
use podium_api::tuning_job::{RegisterSpec, RegisteredVersion};
use podium_api::{ModelRegistry, Trial, TuningJob};
use podium_core::champion::RegistryView;
use podium_core::champion::cause::digest;
use podium_core::tuning::registration::{AliasClaim, AliasPlace, AliasStep, alias_step};
use serde_json::json;
use std::collections::BTreeMap;

/// Which search made a version; the same after the search was deleted and applied again.
const SEARCH_TAG: &str = "podium.dev/search";
/// Uid of the object that made it.
const UID_TAG: &str = "podium.dev/tuning-job-uid";

impl<P: Ports> Engine<P> {
    /// Makes the output of `trial` a version, and gives it the alias unless others have moved that since.
    pub(super) async fn register(
        &self,
        observed: &Observed,
        trial: &str,
        winner: &str,
    ) -> Result<Option<RegisteredVersion>, PortError> {
        let (job, runs) = (&observed.job, &observed.settings.trials);
        let Some(register) = &job.spec.register else {
            return Ok(None);
        };
        let reference = &register.registry_ref.name;
        let registry = self
            .ports
            .cluster()
            .get::<ModelRegistry>(reference)
            .await?
            .ok_or_else(|| missing("ModelRegistry", reference))?;
        let registry = self.ports.registry(&registry).await?;
        let search = identity_of(job, register);
        // It may be among those that are added up.
        let won = self.ports.cluster().get::<Trial>(winner).await?;
        let won = won.filter(|won| belongs_to(won, job));
        let view = registry.view(&register.model).await?.unwrap_or_default();
        let version = registry
            .register(NewVersion {
                model: &register.model,
                key: &format!("{search}/{trial}/{}", found(won.as_ref())),
                source: &trial::output_uri(job, runs, trial).unwrap_or_default(),
                tags: tags_of(job, register, &search, &view, [trial, winner]),
            })
            .await?;
        let given = match &register.alias {
            Some(alias) => give_alias(&registry, &register.model, alias, &version, &search).await?,
            None => true,
        };
        Ok(Some(RegisteredVersion {
            model: register.model.clone(),
            version,
            trial: winner.to_string(),
            alias: register.alias.clone(),
            alias_left: !given,
        }))
    }
}

/// Gives a version the alias; false when others have moved it, and it was left alone.
async fn give_alias(
    registry: &impl crate::ports::ModelRegistry,
    model: &str,
    alias: &str,
    version: &str,
    search: &str,
) -> Result<bool, PortError> {
    let view = registry.view(model).await?.unwrap_or_default();
    let tags = view.versions.get(version).map(|version| &version.tags);
    let claim = tags.and_then(|tags| AliasClaim::parse(tags.get(&claim_tag(alias))?));
    match alias_step(version, place_of(&view, alias, search), claim.as_ref()) {
        AliasStep::Leave => return Ok(false),
        AliasStep::Note if claim == Some(AliasClaim::Given) => return Ok(true),
        AliasStep::Note => {}
        AliasStep::Move { from } => {
            let moved = registry
                .move_alias(model, alias, from.as_deref(), Some(version))
                .await?;
            if let AliasUpdate::Contended { .. } = moved {
                return Ok(false);
            }
        }
    }
    let noted = BTreeMap::from([(claim_tag(alias), AliasClaim::Given.to_text())]);
    registry.tag(model, version, noted).await?;
    Ok(true)
}

/// What a new version says of its making, and of the alias that it is to get.
fn tags_of(
    job: &TuningJob,
    register: &RegisterSpec,
    search: &str,
    view: &RegistryView,
    [trial, winner]: [&str; 2],
) -> BTreeMap<String, String> {
    let uid = job.uid().unwrap_or_default();
    let mut tags = BTreeMap::from([
        ("podium.dev/tuning-job".to_string(), job.name_any()),
        ("podium.dev/trial".to_string(), trial.to_string()),
        ("podium.dev/winner".to_string(), winner.to_string()),
        (SEARCH_TAG.to_string(), search.to_string()),
        (UID_TAG.to_string(), uid.clone()),
    ]);
    if let Some(alias) = &register.alias {
        let given = Some(AliasClaim::Given.to_text());
        let had_it = view.versions.values().any(|version| {
            version.tags.get(SEARCH_TAG).map(String::as_str) == Some(search)
                && version.tags.get(UID_TAG) != Some(&uid)
                && version.tags.get(&claim_tag(alias)) == given.as_ref()
        });
        let claim = AliasClaim::of_new_version(place_of(view, alias, search), had_it);
        tags.insert(claim_tag(alias), claim.to_text());
    }
    tags
}

fn claim_tag(alias: &str) -> String {
    format!("podium.dev/alias.{alias}")
}

fn place_of<'a>(view: &'a RegistryView, alias: &str, search: &str) -> AliasPlace<'a> {
    let version = view.aliases.get(alias).map(String::as_str);
    let named = version.and_then(|version| view.versions.get(version));
    AliasPlace {
        version,
        is_ours: named
            .is_some_and(|named| named.tags.get(SEARCH_TAG).map(String::as_str) == Some(search)),
    }
}

/// A digest of what makes a search this one: its name, and the part of its specification that decides what it finds.
fn identity_of(job: &TuningJob, register: &RegisterSpec) -> String {
    let spec = &job.spec;
    let identity = json!({
        "namespace": job.namespace(),
        "name": job.name_any(),
        "model": register.model,
        "seed": spec.seed,
        "objective": spec.objective,
        "parameters": spec.parameters,
        "algorithm": spec.algorithm,
        "trial": spec.trial,
    });
    digest(&[&identity.to_string()])
}

/// A digest of what the winning trial was and reported.
fn found(winner: Option<&Trial>) -> String {
    let status = winner.and_then(|trial| trial.status.as_ref());
    let found = json!({
        "parameters": winner.map(|trial| &trial.spec.parameters),
        "seed": winner.map(|trial| trial.spec.seed),
        "objective": status.and_then(|status| status.objective),
        "metrics": status.map(|status| &status.metrics),
    });
    digest(&[&found.to_string()])
}
