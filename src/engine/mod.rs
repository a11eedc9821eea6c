//! The only step list: observe, convert, plan, carry out, report.
//!
//! One engine drives a cluster and a laptop; they differ in their [`Ports`].

mod approval;
mod champion_policy;
pub mod evaluation;
mod evaluation_confirmation;
mod evaluation_events;
mod evaluation_report;
mod evaluation_run;
mod events;
mod failure;
mod model_registry;
mod pauses;
mod registration;
mod retraining;
mod search_end;
mod search_settings;
mod search_view;
mod status_writes;
mod tracking;
mod trial;
mod trial_request;
mod tuning_job;
mod tuning_status;

use crate::ports::{Clock, PortError, Ports};
use champion_policy::{Cause, Denial, PublicationCause};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;
use pauses::{Pauses, Turns};
use podium_api::TuningJob;
use podium_core::time::Timestamp;
use retraining::CheckedTemplate;
use search_settings::CachedSettings;
use search_view::SearchView;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use tracking::TrackingMemory;
use trial::is_deleted;

/// How eagerly an engine writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WritePolicy {
    /// Seconds that a trial must have been queued or running before that is recorded.
    pub debounce_seconds: u64,
    /// Seconds between two writes of a search's status that only move counts.
    pub status_interval_seconds: u64,
    /// Whether `ttlSecondsAfterFinished` is carried out.
    pub delete_expired: bool,
    /// Seconds for which a run that ended well is kept once its result is recorded; `None` to keep it for ever.
    pub keep_recorded_runs_seconds: Option<u64>,
}

impl WritePolicy {
    /// On this machine a write costs little, and what a manifest says is kept until the manifest goes.
    pub const LOCAL: Self = Self {
        debounce_seconds: 0,
        status_interval_seconds: 1,
        delete_expired: false,
        keep_recorded_runs_seconds: None,
    };
    /// In a cluster everybody pays for a write.
    pub const CLUSTER: Self = Self {
        debounce_seconds: 2,
        status_interval_seconds: 5,
        delete_expired: true,
        keep_recorded_runs_seconds: Some(600),
    };
}

/// Seconds after which a right that was denied is asked for again without a change of any object.
const DENIED_SECONDS: u64 = 3600;

/// Reconciles objects through its ports.
#[derive(Debug)]
pub struct Engine<P> {
    ports: P,
    write_policy: WritePolicy,
    /// When this engine was made: a failure before is one of an earlier run.
    started: Timestamp,
    /// Versions whose predictions this engine had made, by policy: nothing is scored twice for one cause that cannot be mended so.
    scored: Mutex<HashSet<String>>,
    // By name of the search. Lost with the process, which costs one early write.
    reports: Mutex<HashMap<String, Reported>>,
    // By name of the search: since when its reconciles have failed.
    failing: Mutex<HashMap<String, Timestamp>>,
    // By name of the search.
    settings: Mutex<HashMap<String, CachedSettings>>,
    // By name of the search. Lost with the process, which costs one look at all of its trials.
    views: Mutex<HashMap<String, SearchView>>,
    // Of policies.
    pauses: Pauses<Cause>,
    // Of policies.
    turns: Turns,
    // Of policies whose alias for the previous champion may not be moved.
    denials: Pauses<Denial>,
    // Of policies whose champion could not be published.
    publications: Pauses<PublicationCause>,
    // Of searches whose winner could not be registered.
    registrations: Pauses<registration::Cause>,
    // Of searches that are logged to MLflow.
    tracking: TrackingMemory,
    // By name of the policy. Lost with the process, which costs two dry runs.
    templates: Mutex<HashMap<String, CheckedTemplate>>,
    // Of policies whose retraining loop could not be carried out.
    retrainings: Pauses<retraining::Cause>,
}

/// When a search's status was last written, and when it was first seen to differ since.
#[derive(Clone, Debug)]
struct Reported {
    /// Of the search; one made anew under its name was not reported yet.
    uid: Option<String>,
    at: Timestamp,
    differs_since: Option<Timestamp>,
}

/// What a reconcile left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requeue {
    /// Something was done: other objects may have something to do now.
    pub changed: bool,
    /// Something goes on elsewhere, and its end will have to be looked at.
    pub pending: bool,
    /// When to look again without any event.
    pub at: Option<Timestamp>,
}

impl Requeue {
    /// What two reconciles left together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            changed: self.changed || other.changed,
            pending: self.pending || other.pending,
            at: match (self.at, other.at) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
        }
    }
}

impl<P: Ports> Engine<P> {
    /// An engine on these ports.
    pub fn new(ports: P, write_policy: WritePolicy) -> Self {
        Self {
            started: ports.clock().now(),
            scored: Mutex::default(),
            ports,
            write_policy,
            reports: Mutex::default(),
            failing: Mutex::default(),
            settings: Mutex::default(),
            views: Mutex::default(),
            pauses: Pauses::default(),
            turns: Turns::default(),
            denials: Pauses::of_seconds(DENIED_SECONDS, DENIED_SECONDS),
            publications: Pauses::default(),
            registrations: Pauses::default(),
            tracking: TrackingMemory::default(),
            templates: Mutex::default(),
            retrainings: Pauses::default(),
        }
    }

    /// Its ports.
    pub fn ports(&self) -> &P {
        &self.ports
    }

    fn now(&self) -> Timestamp {
        self.ports.clock().now()
    }

    /// When counts that differ from the written ones are to be written.
    fn counts_due(&self, job: &TuningJob, now: Timestamp) -> Timestamp {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let reported = reports.get_mut(&job.name_any());
        let Some(reported) = reported.filter(|reported| reported.uid == job.uid()) else {
            return now;
        };
        let since = *reported.differs_since.get_or_insert(now);
        let pause = reported
            .at
            .plus_seconds(self.write_policy.status_interval_seconds);
        pause.max(since.plus_seconds(self.write_policy.debounce_seconds))
    }

    fn reported(&self, job: &TuningJob, now: Timestamp) {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let reported = Reported {
            uid: job.uid(),
            at: now,
            differs_since: None,
        };
        reports.insert(job.name_any(), reported);
    }

    /// A search has ended or is gone.
    pub fn forget(&self, name: &str) {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        reports.remove(name);
        self.succeeded(name);
        self.registrations.forget(name);
        self.tracking.forget(name);
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        views.remove(name);
        let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        settings.remove(name);
    }

    /// A trial is gone.
    pub fn forget_trial(&self, name: &str) {
        self.tracking.forget_trial(name);
    }

    /// A policy is gone.
    pub fn forget_policy(&self, name: &str) {
        self.pauses.forget(name);
        self.denials.forget(name);
        self.turns.forget(name);
        self.publications.forget(name);
        self.retrainings.forget(name);
        let mut templates = self
            .templates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        templates.remove(name);
    }

    /// What is kept of a search; one object is never reconciled twice at once, so it is taken out meanwhile.
    fn take_view(&self, name: &str) -> SearchView {
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        views.remove(name).unwrap_or_default()
    }

    fn keep_view(&self, name: &str, view: SearchView) {
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        views.insert(name.to_string(), view);
    }
}

/// Nothing waits for children when an owner is deleted in the foreground; asking for it would need a right of its own.
fn without_block(owner: OwnerReference) -> OwnerReference {
    OwnerReference {
        block_owner_deletion: None,
        ..owner
    }
}

/// An object that must be there for a plan to be carried out.
fn missing(kind: &str, name: &str) -> PortError {
    PortError::missing(format!(
        "the {kind} `{name}` does not exist; it must stand in the same namespace"
    ))
}
