//! The reasons of a `TuningJob`, one closed list with a sentence each.

use super::trial;
use serde::{Deserialize, Serialize};

/// Why a search is where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// Accepted; no trial exists yet.
    Accepted,
    /// Trials run or are about to.
    TrialsRunning,
    /// `spec.suspend` is set.
    SuspendedByUser,
    /// The specification cannot be carried out.
    InvalidSpec,
    /// The world refuses the trials' template.
    TrialRefused,
    /// The winner is trained once more on all rows.
    RefittingWinner,
    /// The winner is being registered.
    RegisteringWinner,
    /// As many trials as asked for have ended.
    MaxTrialsReached,
    /// The best trial reached `spec.objective.target`.
    TargetReached,
    /// The space has no further configuration.
    SpaceExhausted,
    /// `spec.activeDeadlineSeconds` has passed.
    DeadlineExceeded,
    /// More than `spec.maxFailedTrials` have failed.
    TooManyFailedTrials,
    /// Every trial ended, none with a usable objective.
    NoSuccessfulTrial,
    /// The winner could not be trained once more.
    RefitFailed,
    /// No trial runs: no node has room.
    Unschedulable,
    /// No trial runs: an image cannot be pulled.
    ImagePullFailed,
    /// No trial runs: a pod is refused, by a quota or an admission rule.
    PodRefused,
    /// No trial runs: the API server does not answer whether a run may be created, or fails to.
    #[serde(rename = "WaitingForAPIServer")]
    WaitingForApiServer,
    /// No trial runs: a container lacks something, such as a ConfigMap.
    ContainerNotCreated,
    /// No trial runs: a run in MLflow, into which a trial is to log, cannot be made now.
    WaitingForTracking,
    /// No trial runs: a Job is suspended.
    JobSuspended,
    /// Something that the search needs cannot be reached or is busy; it is tried again.
    Unavailable,
    /// Podium's account has no right to something that the search needs.
    Forbidden,
    /// Something that the search needs is refused or missing.
    CannotCarryOut,
    /// The search is being deleted.
    Deleted,
}

impl Reason {
    /// The name as it stands in conditions and events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::TrialsRunning => "TrialsRunning",
            Self::SuspendedByUser => "SuspendedByUser",
            Self::InvalidSpec => "InvalidSpec",
            Self::TrialRefused => "TrialRefused",
            Self::RefittingWinner => "RefittingWinner",
            Self::RegisteringWinner => "RegisteringWinner",
            Self::MaxTrialsReached => "MaxTrialsReached",
            Self::TargetReached => "TargetReached",
            Self::SpaceExhausted => "SpaceExhausted",
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::TooManyFailedTrials => "TooManyFailedTrials",
            Self::NoSuccessfulTrial => "NoSuccessfulTrial",
            Self::RefitFailed => "RefitFailed",
            Self::Unschedulable => "Unschedulable",
            Self::ImagePullFailed => "ImagePullFailed",
            Self::PodRefused => "PodRefused",
            Self::WaitingForApiServer => "WaitingForAPIServer",
            Self::ContainerNotCreated => "ContainerNotCreated",
            Self::WaitingForTracking => "WaitingForTracking",
            Self::JobSuspended => "JobSuspended",
            Self::Unavailable => "Unavailable",
            Self::Forbidden => "Forbidden",
            Self::CannotCarryOut => "CannotCarryOut",
            Self::Deleted => "Deleted",
        }
    }

    /// Whether the search itself is over: no trial is to be started any more.
    #[must_use]
    pub fn is_ending(self) -> bool {
        matches!(
            self,
            Self::RefittingWinner
                | Self::RegisteringWinner
                | Self::MaxTrialsReached
                | Self::TargetReached
                | Self::SpaceExhausted
                | Self::DeadlineExceeded
                | Self::TooManyFailedTrials
                | Self::NoSuccessfulTrial
                | Self::RefitFailed
                | Self::Deleted
        )
    }

    /// What a waiting trial means for a search in which nothing else runs.
    pub(super) fn of_waiting(trial: trial::Reason) -> Option<Self> {
        match trial {
            trial::Reason::Unschedulable => Some(Self::Unschedulable),
            trial::Reason::ImagePullFailed => Some(Self::ImagePullFailed),
            trial::Reason::PodRefused => Some(Self::PodRefused),
            trial::Reason::WaitingForApiServer => Some(Self::WaitingForApiServer),
            trial::Reason::ContainerNotCreated => Some(Self::ContainerNotCreated),
            trial::Reason::WaitingForTracking => Some(Self::WaitingForTracking),
            trial::Reason::JobSuspended => Some(Self::JobSuspended),
            _ => None,
        }
    }

    /// Reads a name back, as it stands in a stored condition.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        serde_json::from_value(serde_json::Value::String(name.to_string())).ok()
    }
}
