//! The only step list: observe, convert, plan, carry out, report.
//!
//! One engine drives a cluster and a laptop; they differ in their [`Ports`].

mod champion_policy;
pub mod evaluation;
mod registration;
mod search_view;
mod story;
mod trial;
mod tuning_job;
mod tuning_status;

use crate::ports::{Clock, PortError, Ports};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;
use podium_api::TuningJob;
use podium_core::problem::SpecProblem;
use podium_core::time::Timestamp;
use search_view::SearchView;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

/// How eagerly an engine writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conduct {
    /// Seconds that a trial must have been queued or running before that is recorded.
    pub settle_seconds: u64,
    /// Seconds between two writes of a search's status that only move counts.
    pub report_seconds: u64,
    /// Whether `ttlSecondsAfterFinished` is carried out.
    pub delete_expired: bool,
}

impl Conduct {
    /// On this machine a write costs little, and what a manifest says is kept until the manifest goes.
    pub const LOCAL: Self = Self {
        settle_seconds: 0,
        report_seconds: 1,
        delete_expired: false,
    };
    /// In a cluster everybody pays for a write.
    pub const CLUSTER: Self = Self {
        settle_seconds: 2,
        report_seconds: 5,
        delete_expired: true,
    };
}

/// Reconciles objects through its ports.
#[derive(Debug)]
pub struct Engine<P> {
    ports: P,
    conduct: Conduct,
    /// When this engine was made: a failure before is one of an earlier run.
    started: Timestamp,
    /// Versions whose predictions this engine had made, by policy: nothing is scored twice for one cause that cannot be mended so.
    scored: Mutex<HashSet<String>>,
    // By name of the search. Lost with the process, which costs one early write.
    reports: Mutex<HashMap<String, Reported>>,
    // By name of the search. Lost with the process, which costs one look at all of its trials.
    views: Mutex<HashMap<String, SearchView>>,
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
pub struct Left {
    /// Something was done: other objects may have something to do now.
    pub acted: bool,
    /// Something goes on elsewhere, and its end will have to be looked at.
    pub waiting: bool,
    /// When to look again without any event.
    pub look_again_at: Option<Timestamp>,
}

impl Left {
    /// What two reconciles left together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            acted: self.acted || other.acted,
            waiting: self.waiting || other.waiting,
            look_again_at: match (self.look_again_at, other.look_again_at) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
        }
    }
}

impl<P: Ports> Engine<P> {
    /// An engine on these ports.
    pub fn new(ports: P, conduct: Conduct) -> Self {
        Self {
            started: ports.clock().now(),
            scored: Mutex::default(),
            ports,
            conduct,
            reports: Mutex::default(),
            views: Mutex::default(),
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
        let pause = reported.at.plus_seconds(self.conduct.report_seconds);
        pause.max(since.plus_seconds(self.conduct.settle_seconds))
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
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        views.remove(name);
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

/// All problems in one line, each with its path.
fn in_words(problems: &[SpecProblem]) -> String {
    problems
        .iter()
        .map(SpecProblem::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// An object that must be there for a plan to be carried out.
fn missing(kind: &str, name: &str) -> PortError {
    PortError::Permanent(format!(
        "the {kind} `{name}` does not exist; it must stand in the same namespace"
    ))
}
