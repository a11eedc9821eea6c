//! The winner of a search becomes a version, and the version gets the alias, each once.
//!
//! A version is known by what was found: the search by its name and specification, the winning trial, its configuration and
//! its metrics. A search that finds the same again, though its objects were lost, therefore finds its version again.
//!
//! Whether the registry takes the winner as asked is looked at when a specification is new, since that is better said before
//! hours of trials than after them, and again when there is a winner. In between a search goes on whatever becomes of its
//! registry: the object is most often somebody else's, it may be back before it is needed, and one user's object never stops
//! another's. What is missing or in the way in the end is said by the search, which keeps its winner and tries again: at
//! once when the search or the registry changed, else after growing pauses.

use super::Engine;
use super::pauses::{Generation, generation_of};
use super::tracking::run_of;
use super::trial::{belongs_to, is_deleted};
use super::trial_request::output_uri;
use super::tuning_job::Observed;
use crate::ports::{AliasUpdate, Cluster, ModelRegistry as _, NewVersion, PortError, Ports};
use kube::ResourceExt;
use podium_api::convert::{self, RegistrySettings, World, settled_condition};
use podium_api::tuning_job::{RegisterSpec, RegisteredVersion, TuningJobStatus};
use podium_api::{ModelRegistry, Trial, TuningJob, TuningJobSpec};
use podium_core::champion::RegistryView;
use podium_core::champion::cause::digest;
use podium_core::problem::{SpecProblem, in_one_line};
use podium_core::time::Timestamp;
use podium_core::tuning::Reason;
use podium_core::tuning::registration::{AliasClaim, AliasPlace, AliasStep, alias_step};
use serde_json::json;
use std::collections::BTreeMap;

/// Which search made a version; the same after the search was deleted and applied again.
const SEARCH_TAG: &str = "podium.dev/search";
/// Uid of the object that made it.
pub(super) const UID_TAG: &str = "podium.dev/tuning-job-uid";

/// What people can change to mend a registration that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    search: Generation,
    registry: Option<Generation>,
}

impl<P: Ports> Engine<P> {
    /// Why the winner of a search with a new specification could not be registered.
    pub(super) async fn unregistrable(&self, job: &TuningJob) -> Vec<SpecProblem> {
        match is_new(job) {
            true => self.registration_problems(&job.spec).await,
            false => Vec::new(),
        }
    }

    /// Why the winner of a search could not be registered as things are.
    pub(super) async fn registration_problems(&self, spec: &TuningJobSpec) -> Vec<SpecProblem> {
        let Some(register) = &spec.register else {
            return Vec::new();
        };
        let unusable = self.registry_for(register).await.err();
        let mut problems: Vec<SpecProblem> = unusable.into_iter().collect();
        // A template is immutable: nothing but another search would mend it in the end.
        let output = spec.trial.output_uri.as_deref();
        if self.ports.world() == World::Cluster && output.is_some_and(is_on_a_machine) {
            let message = "must name a place that others can read from too, such as `s3://bucket/$(PODIUM_TRIAL)`: MLflow takes no path of a machine for the files of a version";
            problems.push(SpecProblem::new("spec.trial.outputURI", message));
        }
        problems
    }

    /// The registry that a search names, where the search may register there as it asks.
    async fn registry_for(&self, register: &RegisterSpec) -> Result<ModelRegistry, SpecProblem> {
        let name = &register.registry_ref.name;
        let named = self.named_registry(name, "spec.register.registryRef.name");
        let (registry, settings) = named.await?;
        match &register.alias {
            Some(alias) if settings.protected_aliases.contains(alias) => Err(SpecProblem::new(
                "spec.register.alias",
                format!(
                    "must not be `{alias}`: the ModelRegistry `{name}` protects it (`protectedAliases`), so that only a ChampionPolicy moves it"
                ),
            )),
            _ => Ok(registry),
        }
    }

    /// The registry of this name with its settings; `reference` is the field that names it.
    pub(super) async fn named_registry(
        &self,
        name: &str,
        reference: &str,
    ) -> Result<(ModelRegistry, RegistrySettings), SpecProblem> {
        let world = self.ports.world();
        let unusable = |message: String| SpecProblem::new(reference, message);
        let found = self.ports.cluster().get::<ModelRegistry>(name).await;
        let found = found.map_err(|error| unusable(error.message))?;
        let registry = found.ok_or_else(|| {
            let here = match world {
                World::Local => "directory",
                World::Cluster => "namespace",
            };
            unusable(format!(
                "must be the name of a ModelRegistry in this {here}, which has no `{name}`"
            ))
        })?;
        let settings = convert::registry(&registry.spec, world).map_err(|problems| {
            let why = in_one_line(&problems);
            unusable(format!("the ModelRegistry `{name}` cannot be used: {why}"))
        })?;
        Ok((registry, settings))
    }

    /// Until when a search whose winner could not be registered waits before it tries again, unless something changed since.
    pub(super) async fn registration_waits_until(&self, job: &TuningJob) -> Option<Timestamp> {
        let register = job.spec.register.as_ref().filter(|_| !is_deleted(job))?;
        let cause = self.cause_of_failures_to_register(job, register).await;
        self.registrations
            .until(&job.name_any(), &cause, self.now())
    }

    async fn cause_of_failures_to_register(
        &self,
        job: &TuningJob,
        register: &RegisterSpec,
    ) -> Cause {
        let name = &register.registry_ref.name;
        let registry = self.ports.cluster().get::<ModelRegistry>(name).await;
        Cause {
            search: generation_of(job),
            // One that cannot be read is as good as none.
            registry: registry.ok().flatten().as_ref().map(generation_of),
        }
    }

    /// Makes the output of `trial` a version, and gives it the alias unless others have moved that since.
    pub(super) async fn register(
        &self,
        observed: &Observed,
        trial: &str,
        winner: &str,
    ) -> Result<Option<RegisteredVersion>, PortError> {
        let job = &observed.job;
        let Some(register) = &job.spec.register else {
            return Ok(None);
        };
        let cause = self.cause_of_failures_to_register(job, register).await;
        let registered = self.register_as(observed, register, [trial, winner]).await;
        if registered.is_ok() {
            self.registrations.forget(&job.name_any());
        } else if self.ports.stays() {
            // A run that ends when nothing is left to do leaves it to the next one.
            self.registrations
                .failed(&job.name_any(), cause, self.now());
        }
        registered.map(Some).map_err(|error| {
            let model = &register.model;
            let message = format!(
                "the winner {winner} was not registered as a version of `{model}`: {error}"
            );
            PortError::new(error.kind, message)
        })
    }

    async fn register_as(
        &self,
        observed: &Observed,
        register: &RegisterSpec,
        [trial, winner]: [&str; 2],
    ) -> Result<RegisteredVersion, PortError> {
        let (job, runs) = (&observed.job, &observed.settings.trials);
        let registry = self.registry_for(register).await;
        let registry = registry.map_err(|problem| PortError::refused(problem.to_string()))?;
        let registry = self.ports.registry(&registry).await?;
        let search = identity_of(job, register);
        // It may be among those that are added up.
        let won = self.ports.cluster().get::<Trial>(winner).await?;
        let won = won.filter(|won| belongs_to(won, job));
        let made = match trial == winner {
            true => won.clone(),
            false => self.ports.cluster().get::<Trial>(trial).await?,
        };
        // A run of another server would name nothing here.
        let tracking = job.spec.tracking.as_ref();
        let is_same = tracking.is_some_and(|at| at.registry_ref == register.registry_ref);
        let view = registry.view(&register.model).await?.unwrap_or_default();
        let version = registry
            .register(NewVersion {
                model: &register.model,
                key: &format!("{search}/{trial}/{}", found(won.as_ref())),
                source: &output_uri(job, runs, trial).unwrap_or_default(),
                run: made.as_ref().and_then(run_of).filter(|_| is_same),
                tags: tags_of(job, register, &search, &view, [trial, winner]),
            })
            .await?;
        let given = match &register.alias {
            Some(alias) => give_alias(&registry, &register.model, alias, &version, &search).await?,
            None => true,
        };
        Ok(RegisteredVersion {
            model: register.model.clone(),
            version,
            trial: winner.to_string(),
            alias: register.alias.clone(),
            alias_left: !given,
        })
    }
}

/// Whether nothing of a search's specification was accepted yet.
pub(super) fn is_new(job: &TuningJob) -> bool {
    let generation = job.metadata.generation;
    let status = job.status.as_ref();
    status.is_none_or(|status| !was_accepted(generation, status) && !has_trials(status))
}

/// A search that has trials was accepted: editing it must not stop it.
fn has_trials(status: &TuningJobStatus) -> bool {
    let trials = status.trials.as_ref();
    trials.is_some_and(|trials| trials.total > 0)
}

/// Whether this generation of a search got past everything that is looked at before its first trial.
fn was_accepted(generation: Option<i64>, status: &TuningJobStatus) -> bool {
    let ready = settled_condition(&status.conditions, "Ready");
    status.observed_generation == generation
        && ready.is_some_and(|(_, reason, _)| reason != Reason::InvalidSpec.as_str())
}

/// Whether what a URI names is on some machine: it is a path, or its scheme is `file`.
fn is_on_a_machine(uri: &str) -> bool {
    let is_scheme = |text: &str| {
        let mut characters = text.chars();
        !text.is_empty() && characters.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    match uri.split_once(':') {
        Some((scheme, _)) if is_scheme(scheme) => scheme.eq_ignore_ascii_case("file"),
        _ => true,
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

#[cfg(test)]
mod tests {
    use super::*;
    use podium_api::convert::with_conditions;
    use podium_core::tuning::Phase;
    use podium_core::tuning::conditions::conditions_of;

    #[test]
    fn what_was_accepted_is_looked_at_again_when_it_changes_or_was_refused_since() {
        let says = |phase, reason| TuningJobStatus {
            observed_generation: Some(2),
            conditions: with_conditions(
                &Vec::new(),
                &conditions_of(phase, reason, "why"),
                Some(2),
                Timestamp(0),
            ),
            ..TuningJobStatus::default()
        };
        let running = says(Phase::Running, Reason::TrialsRunning);
        assert!(was_accepted(Some(2), &running));
        assert!(!was_accepted(Some(3), &running));
        let failing = says(Phase::Blocked, Reason::CannotCarryOut);
        assert!(was_accepted(Some(2), &failing));
        let refused = says(Phase::Blocked, Reason::InvalidSpec);
        assert!(!was_accepted(Some(2), &refused));
        assert!(!was_accepted(None, &TuningJobStatus::default()));
    }

    #[test]
    fn a_place_that_others_can_read_from_has_a_scheme() {
        for uri in ["s3://bucket/a:b", "dbfs:/a", "abfss://c@host/a"] {
            assert!(!is_on_a_machine(uri), "{uri}");
        }
        for uri in ["out", "/data/out", "./a:b", "file:///data", ""] {
            assert!(is_on_a_machine(uri), "{uri}");
        }
    }
}
