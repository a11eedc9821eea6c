//! A trial is a Job.

use super::job_manifest::{
    ATTEMPT_LABEL, OWNER_LABEL, RUN_LABEL, digest_of_inputs, job_manifest, job_name,
};
use super::job_start::{PATIENCE, Starts};
use super::job_status::{Refusal, RunObservation, goes_on, has_ended, lacks_the_end, run_of};
use super::last_pod::LastPodRecord;
use super::observed::{ObservedJob, ObservedPod};
use super::ownership::{is_job_of, is_owned, is_pod_of};
use super::wait_cause::WaitCauses;
use crate::adapters::kubernetes::cache::{Cache, IndexKey};
use crate::adapters::kubernetes::caches::Caches;
use crate::adapters::kubernetes::clock::ServerClock;
use crate::adapters::kubernetes::raw_object::{RawObject, Unreadable};
use crate::adapters::kubernetes::{
    Precondition, cluster::FIELD_MANAGER, delete, get, in_words, list, may_pass, port_error,
};
use crate::ports::{Clock, PortError, Run, RunId, RunRequest, StartOutcome, TrialRunner};
use k8s_openapi::api::core::v1::{Event, Secret};
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, ResourceExt};
use podium_api::convert::from_time;
use podium_core::time::Timestamp;
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A refusal that is not known in this time is left to the trials, which say what they wait for.
const DRY_RUN_PATIENCE: Duration = Duration::from_secs(10);

/// Runs trials as Jobs of one namespace.
#[derive(Clone)]
pub struct JobRunner {
    client: Client,
    namespace: String,
    clock: ServerClock,
    jobs: Arc<Cache<ObservedJob>>,
    pods: Arc<Cache<ObservedPod>>,
    failed_create_events: Arc<Cache<Event>>,
    /// By the uid of their Job. Lost with the process, which costs one more run of a trial that failed meanwhile.
    last_pods: Arc<Mutex<HashMap<String, LastPodRecord>>>,
    /// Uids of Jobs by their name and the uid of their owner, kept beyond the Job: its pods outlive it for a while.
    job_uids: Arc<Mutex<HashMap<(String, String), String>>>,
    wait_causes: WaitCauses,
    starts: Arc<Starts>,
}

impl JobRunner {
    /// Jobs through this client, as the caches of Jobs, their pods and the events about them show them.
    #[must_use]
    pub fn new(client: Client, namespace: String, caches: &Caches, clock: ServerClock) -> Self {
        Self {
            client,
            namespace,
            clock,
            jobs: caches.of().unwrap_or_default(),
            pods: caches.of().unwrap_or_default(),
            failed_create_events: caches.of().unwrap_or_default(),
            last_pods: Arc::default(),
            job_uids: Arc::default(),
            wait_causes: WaitCauses::default(),
            starts: Arc::default(),
        }
    }

    /// What was seen of a Job's newest pod, with this look at its pods.
    fn last_pod_of(
        &self,
        job: &ObservedJob,
        pods: &[ObservedPod],
        now: Timestamp,
    ) -> Option<LastPodRecord> {
        let uid = job.uid()?;
        let mut last_pods = self
            .last_pods
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let before = last_pods.get(&uid);
        let is_first = before.is_none();
        let seen = LastPodRecord::seen(before, job, pods, now)?;
        if is_first {
            let jobs = self.jobs.list(&self.namespace, |_| true);
            let known: HashSet<_> = jobs.iter().filter_map(|job| job.uid()).collect();
            last_pods.retain(|uid, _| known.contains(uid));
            self.forget_gone_jobs(&known);
        }
        last_pods.insert(uid, seen.clone());
        Some(seen)
    }

    /// Whose Job and pods are gone is not asked for any more.
    fn forget_gone_jobs(&self, jobs: &HashSet<String>) {
        let pods = self.pods.list(&self.namespace, |_| true);
        let owners = pods.iter().flat_map(|pod| pod.owner_references());
        let owners: HashSet<_> = owners.map(|owner| owner.uid.clone()).collect();
        let mut seen = self.job_uids.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, uid| jobs.contains(uid) || owners.contains(uid));
    }

    /// The Job of a run, unless another object's Job has its name.
    fn job_of(&self, run: RunId<'_>) -> Option<Arc<ObservedJob>> {
        let name = job_name(run.name, run.attempt);
        let found = self.jobs.get(&self.namespace, &name);
        found.filter(|job| is_owned(job, run.owner))
    }

    /// Whether this process has seen the Job of a run. Pods of one that it has not seen may be anybody's.
    #[must_use]
    pub fn has_seen(&self, run: RunId<'_>) -> bool {
        let job = self.job_of(run);
        self.job_uid(run, job.as_deref()).is_some()
    }

    fn pods_of(&self, run: RunId<'_>, job: Option<&ObservedJob>) -> Vec<ObservedPod> {
        let uid = self.job_uid(run, job);
        let attempt = run.attempt.to_string();
        let owner = run.owner.unwrap_or_default();
        let of_owner = IndexKey::label(&self.namespace, OWNER_LABEL, owner);
        let of_owner = self.pods.find(&of_owner);
        let of_run = of_owner.iter().filter(|pod| {
            pod.labels().get(ATTEMPT_LABEL) == Some(&attempt) && is_pod_of(pod, run, uid.as_deref())
        });
        of_run.map(|pod| pod.as_ref().clone()).collect()
    }

    /// The uid of a run's Job, also of one that was seen and is gone; `None` where none was seen.
    fn job_uid(&self, run: RunId<'_>, job: Option<&ObservedJob>) -> Option<String> {
        let key = (
            job_name(run.name, run.attempt),
            run.owner.unwrap_or_default().to_string(),
        );
        let mut seen = self.job_uids.lock().unwrap_or_else(PoisonError::into_inner);
        match job.and_then(|job| job.uid()) {
            Some(uid) => {
                seen.insert(key, uid.clone());
                Some(uid)
            }
            None => seen.get(&key).cloned(),
        }
    }

    /// The pods of a Job as the API server has them now.
    async fn read_pods(
        &self,
        run: RunId<'_>,
        job: &ObservedJob,
    ) -> Result<Vec<ObservedPod>, PortError> {
        let RunId { name, attempt, .. } = run;
        let owner = run.owner.unwrap_or_default();
        let selector =
            format!("{RUN_LABEL}={name},{ATTEMPT_LABEL}={attempt},{OWNER_LABEL}={owner}");
        let selection = ListParams::default().labels(&selector);
        let mut pods: Vec<ObservedPod> = list(&self.client, &self.namespace, &selection).await?;
        pods.retain(|pod| is_pod_of(pod, run, job.metadata.uid.as_deref()));
        Ok(pods)
    }

    /// What the Job controller last said of why the Job has no pod.
    fn refusal_of(&self, job: &ObservedJob) -> Option<Refusal> {
        let about = IndexKey::about(job.metadata.uid.as_deref()?);
        let events = self.failed_create_events.find(&about);
        let refusals = events.iter().filter_map(|event| {
            Some(Refusal {
                at: event.last_timestamp.as_ref().map(from_time)?,
                why: event.message.clone()?,
            })
        });
        refusals.max_by_key(|refusal| refusal.at)
    }

    /// A Job is created as JSON and not as a typed one: fields that this build does not know must reach the API server, which refuses those
    /// that it does not know either.
    fn create(
        &self,
        request: &RunRequest<'_>,
        dry_run: bool,
    ) -> impl Future<Output = Result<ObservedJob, kube::Error>> + Send + use<> {
        let manifest = job_manifest(request, &self.namespace);
        let parameters = PostParams {
            dry_run,
            field_manager: Some(FIELD_MANAGER.to_string()),
        };
        let path = <ObservedJob as kube::Resource>::url_path(&(), Some(&self.namespace));
        let asked = kube::core::Request::new(path)
            .create(&parameters, manifest.to_string().into_bytes())
            .map_err(kube::Error::BuildRequest);
        let client = self.client.clone();
        async move {
            let mut asked = asked?;
            let strict = format!("{}&fieldValidation=Strict", asked.uri());
            *asked.uri_mut() = strict
                .parse()
                .map_err(|error| kube::Error::Service(Box::new(error)))?;
            let created: RawObject = client.request(asked).await?;
            let unreadable = |unreadable: Unreadable| kube::Error::Service(unreadable.why.into());
            created.into_kubernetes().map_err(unreadable)
        }
    }

    /// Why the containers would run without the account that they are to get. Nothing of its Secret is read but that it is there, and who may
    /// not look says nothing.
    async fn lacks_account(&self, request: &RunRequest<'_>) -> Option<String> {
        let access = request.tracking.as_ref()?;
        let name = access.credentials_secret.as_deref()?;
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let found = secrets.get_metadata_opt(name).await;
        matches!(found, Ok(None)).then(|| {
            format!(
                "the Secret `{name}` that spec.mlflow.trialCredentialsSecretRef of the search's ModelRegistry names does not exist"
            )
        })
    }

    /// A Job of that name is there: it counts as started if it is this trial's.
    async fn adopt(&self, request: &RunRequest<'_>) -> Result<StartOutcome, PortError> {
        let name = job_name(&request.name, request.attempt);
        match get::<ObservedJob>(&self.client, &self.namespace, &name).await? {
            Some(job) if is_job_of(&job, request.id()) => {
                self.jobs.observe_write(job);
                Ok(StartOutcome::AlreadyStarted)
            }
            None => Err(PortError::unavailable(format!(
                "the Job `{name}` was there and is gone; it is created anew"
            ))),
            Some(_) => Ok(StartOutcome::Rejected(format!(
                "the Job `{name}` exists and belongs to something else; it is waited for until it is gone"
            ))),
        }
    }
}

/// What pods are found by: their Job, which may be gone, and whose run they are.
#[must_use]
pub fn pod_index_keys(pod: &ObservedPod) -> Vec<IndexKey> {
    let mut keys = IndexKey::owners(pod);
    let namespace = pod.namespace().unwrap_or_default();
    if let Some(owner) = pod.labels().get(OWNER_LABEL) {
        keys.push(IndexKey::label(&namespace, OWNER_LABEL, owner));
    }
    keys
}

/// What events are found by: the object that they are about.
#[must_use]
pub fn event_index_keys(event: &Event) -> Vec<IndexKey> {
    let about = event.involved_object.uid.as_deref();
    about.map(IndexKey::about).into_iter().collect()
}

impl TrialRunner for JobRunner {
    async fn dry_run(&self, request: &RunRequest<'_>) -> Result<Option<String>, PortError> {
        let asked = tokio::time::timeout(DRY_RUN_PATIENCE, self.create(request, true)).await;
        let Ok(asked) = asked else {
            return Ok(None);
        };
        match asked {
            Ok(_) => Ok(None),
            // Where it stays so, the trials wait for it and say so.
            Err(kube::Error::Api(status)) if may_pass(&status) => Ok(None),
            Err(kube::Error::Api(status)) if matches!(status.code, 400 | 403 | 422) => {
                Ok(Some(in_words(&status)))
            }
            Err(error) => Err(port_error(&error)),
        }
    }

    async fn observe(&self, run: RunId<'_>) -> Result<Run, PortError> {
        let job = self.job_of(run);
        let mut pods = self.pods_of(run, job.as_deref());
        // Jobs and pods are watched apart: the end of a Job may be seen before that of its pod.
        if let Some(job) = job.as_ref().filter(|job| lacks_the_end(job, &pods)) {
            pods = self.read_pods(run, job).await?;
        }
        let now = self.clock.now();
        let of_job = job.as_deref();
        let refusal = of_job.and_then(|job| self.refusal_of(job));
        let last_pod = of_job.and_then(|job| self.last_pod_of(job, &pods, now));
        let run = run_of(RunObservation {
            job: of_job,
            pods: &pods,
            refusal: refusal.as_ref(),
            last_pod: last_pod.as_ref(),
            now,
        });
        let explained = self
            .wait_causes
            .explain(run, &pods, now, async |selection| {
                list(&self.client, &self.namespace, &selection).await.ok()
            });
        Ok(explained.await)
    }

    /// Files of a volume or a store cannot be seen from here.
    async fn inputs(&self, request: &RunRequest<'_>) -> Result<String, PortError> {
        Ok(digest_of_inputs(request.job, &request.variables))
    }

    async fn start(&self, request: &RunRequest<'_>) -> Result<StartOutcome, PortError> {
        if let Some(why) = self.lacks_account(request).await {
            return Ok(StartOutcome::Rejected(why));
        }
        let key = (
            job_name(&request.name, request.attempt),
            request.id().owner.unwrap_or_default().to_string(),
        );
        let asked = self.create(request, false);
        let answered = self.starts.answer(&key, asked, PATIENCE).await;
        let answered = answered.map_err(PortError::unavailable)?;
        match answered.answer {
            Ok(_) if answered.is_late => self.adopt(request).await,
            Ok(job) => {
                self.jobs.observe_write(job);
                Ok(StartOutcome::Started)
            }
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                self.adopt(request).await
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 400 | 403 | 422) => {
                Ok(StartOutcome::Rejected(in_words(&status)))
            }
            Err(error) => {
                let error = port_error(&error);
                self.starts.failed(&key, error.to_string());
                Err(error)
            }
        }
    }

    async fn remove(&self, run: RunId<'_>) -> Result<(), PortError> {
        match self.job_of(run).filter(|job| has_ended(job)) {
            Some(job) => {
                let job = job.as_ref();
                delete(&self.client, &self.namespace, job, Precondition::Uid).await
            }
            None => Ok(()),
        }
    }

    async fn end_leftovers(&self, run: RunId<'_>) -> Result<(), PortError> {
        // Most Jobs are over when this is asked, and need no look at all pods.
        let Some(job) = self.job_of(run).filter(|job| !has_ended(job)) else {
            return Ok(());
        };
        let pods = self.pods_of(run, Some(&job));
        if !goes_on(&job, &pods) {
            return Ok(());
        }
        delete(
            &self.client,
            &self.namespace,
            job.as_ref(),
            Precondition::Uid,
        )
        .await
    }

    async fn stop(&self, run: RunId<'_>) -> Result<(), PortError> {
        match self.job_of(run) {
            Some(job) => {
                let job = job.as_ref();
                delete(&self.client, &self.namespace, job, Precondition::Uid).await
            }
            None => Ok(()),
        }
    }
}
