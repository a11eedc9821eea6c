//! Searches.

use super::{Kind, Reconciled, ReconciledKind};
use crate::adapters::kubernetes::cache::IndexKey;
use crate::adapters::kubernetes::caches::Caches;
use crate::adapters::kubernetes::raw_object::{RawObject, Unreadable};
use crate::controllers::ports::ClusterPorts;
use crate::controllers::reflector::event_object;
use crate::controllers::unreadable;
use crate::controllers::work_queue::Enqueuer;
use crate::engine::Engine;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::watcher::Event;
use kube::{Client, Resource, ResourceExt};
use podium_api::convert::name_of;
use podium_api::{ModelRegistry, Trial, TuningJob};
use podium_core::tuning::conditions::conditions_of;
use podium_core::tuning::{Phase, Reason};
use std::sync::Arc;

impl Kind for TuningJob {
    const WRITES: &'static [&'static str] = &["create", "delete"];
    const STATUS_WRITES: &'static [&'static str] = &["patch"];

    fn read(raw: RawObject) -> Result<Self, Unreadable> {
        raw.into_podium()
    }

    fn enqueue_affected(event: &Event<Self>, caches: &Caches, enqueuer: &Enqueuer) {
        if let Some(job) = event_object(event) {
            enqueuer.enqueue_object(job);
            // A policy that started it may have waited for its end.
            enqueuer.enqueue_owners(job);
            enqueue_held_trials(job, caches, enqueuer);
        }
        if let Event::Delete(job) = event {
            enqueue_tracking(job, enqueuer);
        }
    }

    fn report_unreadable(client: &Client, metadata: &ObjectMeta, unreadable: &Unreadable) {
        unreadable::report::<Self>(client, metadata, unreadable, |message| {
            let (phase, reason) = (Phase::Blocked, Reason::InvalidSpec);
            (Some(name_of(phase)), conditions_of(phase, reason, message))
        });
    }
}

impl ReconciledKind for TuningJob {
    fn reconcile(engine: Arc<Engine<ClusterPorts>>, name: String) -> Reconciled {
        Box::pin(async move { engine.reconcile_tuning_job(&name).await })
    }

    fn gone(engine: &Engine<ClusterPorts>, name: &str) {
        engine.forget(name);
    }
}

/// A changed specification may let trials start that were held, and so may the run of a search in MLflow, under which theirs belong.
fn enqueue_held_trials(job: &TuningJob, caches: &Caches, enqueuer: &Enqueuer) {
    let status = job.status.as_ref();
    let observed = status.and_then(|status| status.observed_generation);
    let is_new = observed != job.metadata.generation;
    let tracking = status.and_then(|status| status.tracking.as_ref());
    let has_run = tracking.is_some_and(|tracking| tracking.parent_run_id.is_some());
    if !is_new && !has_run {
        return;
    }
    if let (Some(uid), Some(trials)) = (job.uid(), caches.of::<Trial>()) {
        let all = trials.find(&IndexKey::owner(&uid));
        for trial in all.iter().filter(|trial| is_new || lacks_run(trial)) {
            enqueuer.enqueue_object(trial.as_ref());
        }
    }
}

/// Whether a trial has not ended, and has no run in MLflow.
fn lacks_run(trial: &Trial) -> bool {
    trial
        .status
        .as_ref()
        .is_none_or(|status| status.mlflow_run_id.is_none() && status.completion_time.is_none())
}

/// What a search leaves in MLflow is ended by whoever looks at its registry.
fn enqueue_tracking(job: &TuningJob, enqueuer: &Enqueuer) {
    if let Some(tracking) = &job.spec.tracking {
        let namespace = job.namespace().unwrap_or_default();
        let name = &tracking.registry_ref.name;
        enqueuer.enqueue(&ModelRegistry::kind(&()), &namespace, name);
    }
}
