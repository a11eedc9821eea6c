//! The retraining loop of a policy: its searches and its schedule are looked at, the next step is planned, stored and carried out.
//!
//! It stands beside the care of the champion: what keeps one from its work is said of that one, and the other goes on.

mod report;
mod template;

use super::pauses::{Generation, generation_of};
use super::trial::is_deleted;
use super::{Engine, Requeue, without_block};
use crate::ports::{Cluster, Created, Events, PortError, PortErrorKind, Ports};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};
use podium_api::champion_policy::RetrainSpec;
use podium_api::convert::{
    RetrainingSettings, annotation_of, from_time, request_of, retraining_memory, retraining_search,
};
use podium_api::{CHAMPION_POLICY_LABEL, ChampionPolicy, RUN_NOW_ANNOTATION, TuningJob};
use podium_core::retraining::{Deletion, Due, Input, Search, Start, label_of, plan};
use podium_core::time::Timestamp;
use std::sync::Arc;

pub(super) use report::kept;
pub(super) use template::CheckedTemplate;

/// What people can change to mend a loop that failed. As long as none of it changes, it is tried again after growing pauses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    policy: Generation,
    request: Option<String>,
}

impl<P: Ports> Engine<P> {
    /// Takes the retraining loop of a policy one step further. Whatever keeps it from that is said in the condition `RetrainReady`, and
    /// touches nothing else of the policy.
    ///
    /// # Errors
    /// A port is out of reach, or somebody wrote meanwhile.
    pub(super) async fn retrain(
        &self,
        seen: &ChampionPolicy,
        settings: Option<&RetrainingSettings>,
    ) -> Result<Requeue, PortError> {
        let name = seen.name_any();
        // Its status was written since.
        let found = self.ports.cluster().get::<ChampionPolicy>(&name).await?;
        let is_as_seen = |policy: &ChampionPolicy| {
            let observed = policy.status.as_ref().and_then(|s| s.observed_generation);
            generation_of(policy) == generation_of(seen) && observed == policy.metadata.generation
        };
        // One that changed since is looked at anew as a whole.
        let Some(policy) = found.filter(|policy| !is_deleted(policy) && is_as_seen(policy)) else {
            return Ok(Requeue::default());
        };
        let (Some(settings), Some(retrain)) = (settings, policy.spec.retrain.as_ref()) else {
            return self.forget_loop(&policy).await;
        };
        let (now, request) = (self.now(), request_in(&policy));
        let cause = Cause {
            policy: generation_of(&policy),
            request: request.clone(),
        };
        if let Some(at) = self.retrainings.until(&name, &cause, now) {
            return Ok(Requeue {
                at: Some(at),
                ..Requeue::default()
            });
        }
        let step = Step {
            policy: &policy,
            settings,
            retrain,
            request: request.as_deref(),
            now,
        };
        match self.take_step(&step).await {
            Ok(requeue) => {
                self.retrainings.forget(&name);
                Ok(requeue)
            }
            Err(error) if error.is_transient() => Err(error),
            Err(error) => {
                let at = self.retrainings.failed(&name, cause, self.now());
                self.report_failed_loop(&name, &error).await?;
                Ok(Requeue {
                    at: Some(at),
                    ..Requeue::default()
                })
            }
        }
    }

    async fn take_step(&self, step: &Step<'_>) -> Result<Requeue, PortError> {
        let Step {
            policy,
            settings,
            retrain,
            request,
            now,
        } = *step;
        let name = policy.name_any();
        let template = self.template_of(policy, retrain, now).await?;
        let own = self.searches_of(policy).await?;
        let searches: Vec<Search> = own.iter().map(|job| retraining_search(job)).collect();
        let status = policy.status.as_ref();
        let memory = retraining_memory(status.and_then(|status| status.retrain.as_ref()));
        let created = policy.creation_timestamp();
        let input = Input {
            policy: &name,
            created: created.map_or(Timestamp(0), |time| from_time(&time)),
            // Every change of a specification counts its generation up.
            is_as_created: policy.metadata.generation == Some(1),
            retraining: &settings.retraining,
            due: Due {
                last: settings.schedule.last_due(now),
                next: settings.schedule.next_due(now),
            },
            run_now: request,
            unusable: template.unusable.as_ref(),
            searches: &searches,
            memory: &memory,
        };
        let plan = plan(&input, now);
        let is_written = self.report_loop(policy, &plan, &searches, now).await?;
        // A write of the status compares; without one, an operator that has just begun to lead could go by a status of before.
        if !is_written && plan.acts() {
            self.ports.cluster().confirm(policy).await?;
        }
        for deletion in &plan.delete {
            self.delete_search(policy, &own, deletion).await?;
        }
        if let Some(search) = &template.search {
            for start in &plan.start {
                self.start_search(policy, search, start).await?;
            }
        }
        let looks = [plan.look_again_at, template.again_at];
        Ok(Requeue {
            changed: plan.acts(),
            pending: false,
            at: looks.into_iter().flatten().min(),
        })
    }

    /// The searches that the policy controls.
    async fn searches_of(&self, policy: &ChampionPolicy) -> Result<Vec<Arc<TuningJob>>, PortError> {
        let uid = policy.uid().unwrap_or_default();
        let owned = self.ports.cluster().owned::<TuningJob>(&uid).await?;
        let is_controlled = |job: &&Arc<TuningJob>| {
            let mut owners = job.owner_references().iter();
            owners.any(|owner| owner.uid == uid && owner.controller == Some(true))
        };
        Ok(owned.iter().filter(is_controlled).cloned().collect())
    }

    async fn start_search(
        &self,
        policy: &ChampionPolicy,
        template: &TuningJob,
        start: &Start,
    ) -> Result<(), PortError> {
        let search = search_object(policy, template, start);
        match self.ports.cluster().create(&search).await {
            Ok(Created::New) => {
                let started = report::started(policy, start);
                self.ports.events().publish(started).await;
                Ok(())
            }
            Ok(Created::Existed) => Ok(()),
            Err(error) => {
                let error = to_tell(error);
                if !error.is_transient() {
                    let failed = report::not_started(policy, start, &error);
                    self.ports.events().publish(failed).await;
                }
                Err(error)
            }
        }
    }

    async fn delete_search(
        &self,
        policy: &ChampionPolicy,
        own: &[Arc<TuningJob>],
        deletion: &Deletion,
    ) -> Result<(), PortError> {
        let found = own.iter().find(|job| job.name_any() == deletion.name);
        if let Some(search) = found {
            self.ports.remove_search(search).await.map_err(to_tell)?;
            self.forget(&deletion.name);
            let deleted = report::deleted(policy, deletion);
            self.ports.events().publish(deleted).await;
        }
        Ok(())
    }
}

/// What a step of a loop is taken from.
#[derive(Clone, Copy)]
struct Step<'a> {
    policy: &'a ChampionPolicy,
    settings: &'a RetrainingSettings,
    retrain: &'a RetrainSpec,
    request: Option<&'a str>,
    now: Timestamp,
}

/// A failure to start or delete a search, as it is told. What is out of reach may be one webhook alone, for hours: that is told as any other
/// failure is, as far as that can be written. Where somebody else wrote meanwhile, the step is taken anew.
fn to_tell(error: PortError) -> PortError {
    match error.kind {
        PortErrorKind::Unavailable => PortError::refused(error.message),
        _ => error,
    }
}

/// The value by which somebody asks for a search at once.
fn request_in(policy: &ChampionPolicy) -> Option<String> {
    let value = policy.annotations().get(RUN_NOW_ANNOTATION)?;
    Some(request_of(value)).filter(|value| !value.is_empty())
}

/// The search that is started for an occasion.
fn search_object(policy: &ChampionPolicy, template: &TuningJob, start: &Start) -> TuningJob {
    let mut search = TuningJob::new(&start.name, template.spec.clone());
    let mut labels = template.labels().clone();
    labels.insert(
        CHAMPION_POLICY_LABEL.to_string(),
        label_of(&policy.name_any()),
    );
    let mut annotations = template.annotations().clone();
    annotations.extend([annotation_of(&start.occasion)]);
    search.metadata = ObjectMeta {
        name: Some(start.name.clone()),
        namespace: policy.namespace(),
        labels: Some(labels),
        annotations: Some(annotations),
        owner_references: policy
            .controller_owner_ref(&())
            .map(|owner| vec![without_block(owner)]),
        ..ObjectMeta::default()
    };
    search
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_keeps_a_search_from_its_start_is_told_unless_somebody_wrote_meanwhile() {
        for kind in [
            PortErrorKind::Unavailable,
            PortErrorKind::Forbidden,
            PortErrorKind::Refused,
            PortErrorKind::Invalid,
            PortErrorKind::Missing,
        ] {
            let told = to_tell(PortError::new(kind, "why"));
            assert!(!told.is_transient(), "{kind:?}");
            assert_eq!(told.message, "why");
        }
        let overtaken = to_tell(PortError::new(PortErrorKind::Conflict, "why"));
        assert!(overtaken.is_transient());
    }
}
