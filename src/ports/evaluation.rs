//! Comparisons: what is asked of the world, and what it answers.

use super::PortError;
use crate::report::{Mark, mark_of, page_of};
use kube::ResourceExt;
use podium_api::Evaluation;
use podium_api::evaluation::EvidenceStatus;
use podium_api::schema::OpenObject;
use podium_core::comparison::Statistics;
use podium_core::evaluation::EvidenceFile;
use podium_core::time::Timestamp;
use std::future::Future;

/// A run for a comparison.
#[derive(Clone, Copy, Debug)]
pub struct EvaluationRun<'a> {
    /// The comparison.
    pub evaluation: &'a Evaluation,
    /// Which of its runs, from 1. Beginning a run twice begins it once.
    pub number: u32,
    /// What its policy says of the pod, where there are pods.
    pub pod_template: Option<&'a OpenObject>,
    /// The folder that its policy has reports written to, if any.
    pub reports: Option<&'a str>,
    /// Whether it may begin; one that goes on or has ended is looked at all the same.
    pub may_begin: bool,
}

impl EvaluationRun<'_> {
    /// Where the page of its report is to lie.
    #[must_use]
    pub fn page(&self) -> Option<String> {
        let policy = &self.evaluation.spec.policy_ref.name;
        let evaluation = self.evaluation.name_any();
        self.reports
            .map(|folder| page_of(folder, policy, &evaluation))
    }
}

/// What a run waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// One CamelCase word of a closed list.
    pub reason: &'static str,
    /// The same in the world's own words.
    pub why: String,
}

/// How far a comparison is.
#[derive(Clone, Debug, PartialEq)]
pub enum EvaluationState {
    /// Its run was begun now.
    Begun,
    /// Its run has not ended; what that waits for, where it does not go on.
    Pending(Option<Wait>),
    /// It is finished.
    Finished(Box<EvaluationResult>),
    /// These files are not there.
    Missing(Vec<EvidenceFile>),
    /// Files cannot be read for now; why. That may change without a change of what is asked.
    Unreadable(String),
    /// The evidence cannot be used; why.
    Refused(String),
    /// The machine under its run went away; how. Another run may end well.
    Lost(String),
    /// Its run ended without a result, and another one would do the same.
    Failed {
        /// One CamelCase word of a closed list.
        reason: &'static str,
        /// What happened, and what mends it where that is known.
        why: String,
    },
}

/// What was read, and what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluationResult {
    /// What was read.
    pub evidence: EvidenceStatus,
    /// What the rows say.
    pub statistics: Statistics,
    /// Names of the parts of the statistics that did not get here.
    pub left_out: Vec<String>,
    /// What became of the report; `None` where none was asked for.
    pub report: Option<ReportState>,
}

/// What became of the report of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportState {
    /// It lies at the address with this mark.
    Written(Mark),
    /// It could not be written; why.
    NotWritten(String),
}

impl ReportState {
    /// What became of a report that was to be written to this address.
    #[must_use]
    pub fn of(address: &str, written: Result<(), String>) -> Self {
        match written {
            Ok(()) => Self::Written(mark_of(address)),
            Err(why) => Self::NotWritten(why),
        }
    }
}

/// What a look at the files of a comparison found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfirmationState {
    /// It has not ended.
    Pending,
    /// The files are what was read.
    Unchanged {
        /// When they were looked at, or a little before.
        seen: Timestamp,
    },
    /// This one is gone, or is not what was read any more.
    Changed(EvidenceFile),
    /// The files could not be looked at; why.
    Unknown(String),
}

/// Compares two versions on their predictions: a Job in a cluster, in process on this machine.
pub trait Evaluator: Send + Sync {
    /// Begins a run of a comparison, or says how far it is; asking twice begins it once.
    fn evaluate(
        &self,
        run: &EvaluationRun<'_>,
    ) -> impl Future<Output = Result<EvaluationState, PortError>> + Send;
    /// Looks whether the files of a comparison are still what its status says was read; the number is that of the look.
    fn confirm(
        &self,
        run: &EvaluationRun<'_>,
    ) -> impl Future<Output = Result<ConfirmationState, PortError>> + Send;
    /// Ends what goes on of a run whose end is recorded, such as a container beside the one that decided.
    fn end(
        &self,
        evaluation: &Evaluation,
        number: u32,
    ) -> impl Future<Output = Result<(), PortError>> + Send {
        let _ = (evaluation, number);
        async { Ok(()) }
    }
}
