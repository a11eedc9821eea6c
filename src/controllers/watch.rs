//! What is watched, only what is Podium's by its labels, and who is woken by it.

use super::queue::Queue;
use super::unreadable;
use crate::adapters::kubernetes::guarded::{Guarded, Unreadable};
use crate::adapters::kubernetes::seen::Seen;
use crate::adapters::kubernetes::stores::{Stores, forget_managers, shorten_job, shorten_pod};
use crate::metrics::Metrics;
use futures::StreamExt;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event as KubernetesEvent, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::reflector::{ObjectRef, Store, store::Writer};
use kube::runtime::watcher::{Config, Event};
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use podium_api::{TRIAL_LABEL, TUNING_JOB_LABEL, Trial, TuningJob};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;

/// Where an operator acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// In every namespace.
    Cluster,
    /// In this one.
    Namespace(String),
}

impl std::fmt::Display for Scope {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cluster => formatter.write_str("all namespaces"),
            Self::Namespace(name) => write!(formatter, "namespace {name}"),
        }
    }
}

impl Scope {
    fn api<K>(&self, client: Client) -> Api<Guarded<K>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match self {
            Self::Cluster => Api::all(client),
            Self::Namespace(name) => Api::namespaced(client, name),
        }
    }
}

/// Who is to be reconciled.
#[derive(Clone)]
pub(super) struct Wake {
    pub(super) tuning_jobs: Arc<Queue<TuningJob>>,
    pub(super) trials: Arc<Queue<Trial>>,
}

impl Wake {
    fn tuning_job(&self, namespace: Option<String>, name: &str) {
        self.tuning_jobs.wake(&namespace.unwrap_or_default(), name);
    }

    fn trial(&self, namespace: Option<String>, name: &str) {
        self.trials.wake(&namespace.unwrap_or_default(), name);
    }

    /// The search of a trial, by its label.
    fn job_of(&self, trial: &impl ResourceExt) {
        if let Some(job) = trial.labels().get(TUNING_JOB_LABEL) {
            self.tuning_job(trial.namespace(), job);
        }
    }

    /// The trial of a Job or a pod, by its label.
    fn trial_of(&self, part: &impl ResourceExt) {
        if let Some(trial) = part.labels().get(TRIAL_LABEL) {
            self.trial(part.namespace(), trial);
        }
    }
}

/// The stores of a scope, and the work that fills them and wakes whom it concerns.
pub(super) fn watch(
    scope: &Scope,
    client: &Client,
    wake: Wake,
    metrics: &Arc<Metrics>,
) -> (Arc<Stores>, impl Future<Output = ()> + use<>) {
    let (tuning_jobs, tuning_job_writer) = reflector::store();
    let (trials, trial_writer) = reflector::store();
    let (jobs, job_writer) = reflector::store();
    let (pods, pod_writer) = reflector::store();
    let (refusals, refusal_writer) = reflector::store();
    let stores = Arc::new(Stores {
        tuning_jobs: Seen::new(tuning_jobs),
        trials: Seen::new(trials),
        jobs: Seen::new(jobs),
        pods: Seen::new(pods),
        refusals: Seen::new(refusals),
    });
    let of_trials = Config::default().labels(TRIAL_LABEL);
    let of_jobs = Config::default().labels(TUNING_JOB_LABEL);
    let refused = Config::default().fields("involvedObject.kind=Job,reason=FailedCreate");

    let on_tuning_job = {
        let (wake, stores) = (wake.clone(), Arc::clone(&stores));
        move |event: &Event<TuningJob>| {
            stores.tuning_jobs.watched(event);
            if let Some(job) = touched(event) {
                wake.tuning_job(job.namespace(), &job.name_any());
                wake_held_trials(job, &stores, &wake);
            }
        }
    };
    let on_trial = {
        let (wake, stores) = (wake.clone(), Arc::clone(&stores));
        move |event: &Event<Trial>| {
            stores.trials.watched(event);
            if let Some(trial) = touched(event) {
                wake.trial(trial.namespace(), &trial.name_any());
                wake.job_of(trial);
            } else if matches!(event, Event::InitDone) {
                // Trials that went away unseen are missed by their searches.
                let all = stores.tuning_jobs.store().state();
                wake.tuning_jobs.wake_all(all);
            }
        }
    };
    let on_job = {
        let (wake, stores) = (wake.clone(), Arc::clone(&stores));
        move |event: &Event<Job>| {
            stores.jobs.watched(event);
            wake_trials(event, &stores, &wake);
        }
    };
    let on_pod = {
        let (wake, stores) = (wake.clone(), Arc::clone(&stores));
        move |event: &Event<Pod>| {
            stores.pods.watched(event);
            wake_trials(event, &stores, &wake);
            if let Some(pod) = touched(event) {
                wake.job_of(pod);
            }
        }
    };
    let on_refusal = {
        let stores = Arc::clone(&stores);
        move |event: &Event<KubernetesEvent>| {
            stores.refusals.watched(event);
            let about = touched(event).map(|event| &event.involved_object);
            let name =
                about.and_then(|job| Some((job.namespace.as_deref()?, job.name.as_deref()?)));
            if let Some(job) = name.and_then(|(namespace, name)| stores.jobs.get(namespace, name)) {
                wake.trial_of(job.as_ref());
            }
        }
    };
    let (scope, client, metrics) = (scope.clone(), client.clone(), Arc::clone(metrics));
    let telling = client.clone();
    let work = async move {
        futures::join!(
            follow(
                scope.api(client.clone()),
                Config::default(),
                tuning_job_writer,
                &metrics,
                forget_managers,
                on_tuning_job,
                |metadata: &ObjectMeta, why: &Unreadable| unreadable::tell(&telling, metadata, why)
            ),
            follow(
                scope.api(client.clone()),
                of_jobs,
                trial_writer,
                &metrics,
                forget_managers,
                on_trial,
                unreadable::log::<Trial>
            ),
            follow(
                scope.api(client.clone()),
                of_trials.clone(),
                job_writer,
                &metrics,
                shorten_job,
                on_job,
                ignored
            ),
            follow(
                scope.api(client.clone()),
                of_trials,
                pod_writer,
                &metrics,
                shorten_pod,
                on_pod,
                ignored
            ),
            follow(
                scope.api(client),
                refused,
                refusal_writer,
                &metrics,
                forget_managers,
                on_refusal,
                ignored
            ),
        );
    };
    (stores, work)
}

/// Returns once every store holds a first list.
pub(super) async fn filled(stores: &Stores) {
    async fn filled<K>(store: &Store<K>)
    where
        K: Resource<DynamicType = ()> + Clone + 'static,
    {
        // The writer lives as long as the watch does.
        let _ = store.wait_until_ready().await;
    }
    futures::join!(
        filled(stores.tuning_jobs.store()),
        filled(stores.trials.store()),
        filled(stores.jobs.store()),
        filled(stores.pods.store()),
        filled(stores.refusals.store()),
    );
}

/// Follows one kind for ever; an API server that is away is asked again with growing pauses. Each object is read by itself.
async fn follow<K>(
    api: Api<Guarded<K>>,
    config: Config,
    mut writer: Writer<K>,
    metrics: &Metrics,
    shorten: fn(&mut K),
    mut on_event: impl FnMut(&Event<K>),
    on_unreadable: impl Fn(&ObjectMeta, &Unreadable),
) where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let mut lists = 0;
    let known = writer.as_reader();
    let mut events = watcher(api, config).default_backoff().boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                if matches!(event, Event::Init) {
                    lists += 1;
                    if lists > 1 {
                        metrics.desync(K::kind(&()).into_owned());
                    }
                }
                if let Some(mut event) = readable(event, &known, &on_unreadable) {
                    if let Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) =
                        &mut event
                    {
                        shorten(object);
                    }
                    writer.apply_watcher_event(&event);
                    on_event(&event);
                }
            }
            Err(error) => {
                tracing::warn!(kind = %K::plural(&()), %error, "a watch was interrupted");
            }
        }
    }
}

/// The same event of an object that can be read. One that cannot be read any more is gone for everybody who reads it.
fn readable<K>(
    event: Event<Guarded<K>>,
    known: &Store<K>,
    on_unreadable: impl Fn(&ObjectMeta, &Unreadable),
) -> Option<Event<K>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let gone = |metadata: &ObjectMeta| {
        let name = metadata.name.clone().unwrap_or_default();
        let namespace = metadata.namespace.clone().unwrap_or_default();
        let found = known.get(&ObjectRef::new(&name).within(&namespace));
        found.map(|found| Event::Delete(Arc::unwrap_or_clone(found)))
    };
    match event {
        Event::Init => Some(Event::Init),
        Event::InitDone => Some(Event::InitDone),
        Event::Apply(guarded) => match guarded.object {
            Ok(object) => Some(Event::Apply(object)),
            Err(ref unreadable) => {
                on_unreadable(guarded.meta(), unreadable);
                gone(guarded.meta())
            }
        },
        // What a list lacks is gone when the list is whole.
        Event::InitApply(guarded) => match guarded.object {
            Ok(object) => Some(Event::InitApply(object)),
            Err(ref unreadable) => {
                on_unreadable(guarded.meta(), unreadable);
                None
            }
        },
        Event::Delete(guarded) => match guarded.object {
            Ok(object) => Some(Event::Delete(object)),
            Err(_) => gone(guarded.meta()),
        },
    }
}

/// What Kubernetes itself writes can be read; where it cannot, it is as if it were not there.
fn ignored(_: &ObjectMeta, _: &Unreadable) {}

fn touched<K>(event: &Event<K>) -> Option<&K> {
    match event {
        Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) => Some(object),
        Event::Init | Event::InitDone => None,
    }
}

/// Whom an event of a Job or a pod concerns. A part that went away while its watch began anew is missed by its trial.
fn wake_trials<K: ResourceExt>(event: &Event<K>, stores: &Stores, wake: &Wake) {
    if let Some(part) = touched(event) {
        wake.trial_of(part);
    } else if matches!(event, Event::InitDone) {
        wake.trials.wake_all(stores.trials.store().state());
    }
}

/// A changed specification may let trials start that were held.
fn wake_held_trials(job: &TuningJob, stores: &Stores, wake: &Wake) {
    let observed = job
        .status
        .as_ref()
        .and_then(|status| status.observed_generation);
    if observed == job.metadata.generation {
        return;
    }
    let name = job.name_any();
    let of_job = |trial: &Trial| trial.labels().get(TUNING_JOB_LABEL) == Some(&name);
    let namespace = job.namespace().unwrap_or_default();
    wake.trials.wake_all(stores.trials.list(&namespace, of_job));
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_api::TrialSpec;
    use std::collections::BTreeMap;

    #[test]
    fn a_list_wakes_the_trials_whose_parts_it_lacks() {
        let metrics = Arc::new(Metrics::default());
        let (tuning_jobs, _searches) = Queue::new("TuningJob", &metrics);
        let (trials, mut woken) = Queue::new("Trial", &metrics);
        let wake = Wake {
            tuning_jobs,
            trials,
        };
        let (store, mut writer) = reflector::store();
        let stores = Stores {
            tuning_jobs: Seen::new(reflector::store().0),
            trials: Seen::new(store),
            jobs: Seen::new(reflector::store().0),
            pods: Seen::new(reflector::store().0),
            refusals: Seen::new(reflector::store().0),
        };
        let spec = TrialSpec {
            index: 1,
            parameters: BTreeMap::new(),
            seed: 0,
            origin: String::new(),
        };
        let mut trial = Trial::new("forest-1", spec);
        trial.metadata.namespace = Some("team".to_string());
        writer.apply_watcher_event(&Event::Apply(trial));
        for event in [Event::<Job>::Init, Event::InitDone] {
            wake_trials(&event, &stores, &wake);
        }
        let names = std::iter::from_fn(|| woken.try_recv().ok()).map(|trial| trial.name);
        assert_eq!(names.collect::<Vec<_>>(), ["forest-1"]);
    }
}
