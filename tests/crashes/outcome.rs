//! What came out of a search, in a form in which two searches can be compared.

use crate::bed::Bed;
use crate::bed::operator::Operator;
use crate::bed::oracle::{created, no_orphans};
use crate::workloads::{SEARCH, Workload};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt;
use kube::api::ListParams;
use podium_api::{Trial, TuningJob};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Everything but times and names that Kubernetes draws.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    /// Phase, conditions, counts and the best trial.
    search: Value,
    /// Configuration, seed and end of every trial.
    trials: Vec<Value>,
    /// How often a trial and a Job of that name was created, by all lives of the operator.
    created: BTreeMap<String, usize>,
}

impl Outcome {
    /// Waits until the events are there, and checks what must hold whatever happened.
    pub async fn of(bed: &Bed, operator: &Operator, workload: Workload) -> Self {
        if workload.is_deleted() {
            let nothing =
                async || jobs(bed).await.is_empty() && bed.trials(SEARCH).await.is_empty();
            bed.wait(60, "nothing is left of the search", nothing).await;
        }
        no_orphans(bed).await;
        Self {
            search: bed.search(SEARCH).await.map_or(Value::Null, search),
            trials: bed.trials(SEARCH).await.iter().map(trial).collect(),
            created: created([operator]),
        }
    }
}

async fn jobs(bed: &Bed) -> Vec<Job> {
    let list = bed.api::<Job>().list(&ListParams::default()).await;
    list.unwrap().items
}

fn search(job: TuningJob) -> Value {
    let status = job.status.unwrap();
    let conditions = status.conditions.iter().map(|condition| {
        let observed = condition.observed_generation;
        json!([
            condition.type_,
            condition.status,
            condition.reason,
            observed
        ])
    });
    json!({
        "phase": status.phase,
        "conditions": conditions.collect::<Vec<_>>(),
        "trials": status.trials,
        "progress": status.progress,
        "best": status.best,
        "ended": status.completion_time.is_some(),
    })
}

fn trial(trial: &Trial) -> Value {
    let status = trial.status.as_ref().unwrap();
    let attempts = status.attempts.iter().map(|a| (a.number, a.reason.clone()));
    json!({
        "name": trial.name_any(),
        "spec": trial.spec,
        "phase": status.phase,
        "reason": status.reason,
        "objective": status.objective,
        "attempts": attempts.collect::<Vec<_>>(),
    })
}

/// How often each thing was told of each object.
pub async fn told(bed: &Bed) -> BTreeMap<String, i32> {
    let events = bed.api::<Event>().list(&ListParams::default()).await;
    let mut told = BTreeMap::new();
    for event in events.unwrap() {
        let by_podium = event.reporting_controller.as_deref() == Some("podium.dev/operator");
        let name = |object: Option<_>| -> String {
            let object: Option<k8s_openapi::api::core::v1::ObjectReference> = object;
            object.and_then(|object| object.name).unwrap_or_default()
        };
        if by_podium {
            let reason = event.reason.unwrap_or_default();
            let about = format!("{reason} {} {}", name(event.regarding), name(event.related));
            *told.entry(about).or_insert(0) += event.series.map_or(1, |series| series.count);
        }
    }
    told
}
