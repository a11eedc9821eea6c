//! The reasons of a trial, one closed list with a sentence each.

use serde::{Deserialize, Serialize};

/// Why a trial or one of its attempts ended; a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// Metrics were reported and judged.
    Completed,
    /// A constraint of the objective does not hold.
    ConstraintViolated,
    /// The container's exit code was not 0.
    NonZeroExit,
    /// A signal ended the container.
    Signalled,
    /// The container could not be started.
    CannotStart,
    /// The container used more memory than it may.
    OutOfMemory,
    /// It ran longer than `trial.activeDeadlineSeconds`.
    DeadlineExceeded,
    /// It waited longer than `trial.queueDeadlineSeconds`.
    QueueDeadlineExceeded,
    /// It ended well, without any report.
    MetricsMissing,
    /// Its report cannot be read, or lacks what the objective needs.
    MetricsInvalid,
    /// The machine under it went away; it is run again and this does not count.
    InfrastructureLost,
    /// The machine under it went away too often.
    TooManyInfrastructureFailures,
    /// The search ended before it did.
    SearchEnded,
    /// A rule of `trial.failureRules` decided.
    FailureRule,
    /// Its pod is about to start.
    Starting,
    /// No node has room for its pod.
    Unschedulable,
    /// The image of its pod cannot be pulled.
    ImagePullFailed,
    /// Its pod is refused: by a quota, by an admission rule.
    PodRefused,
    /// The API server has not answered whether its run may be created, or failed to.
    #[serde(rename = "WaitingForAPIServer")]
    WaitingForApiServer,
    /// Its container lacks something, such as a ConfigMap that does not exist.
    ContainerNotCreated,
    /// Its container is to log into a run in MLflow, which cannot be made now.
    WaitingForTracking,
    /// Its Job is suspended, by a queue or by hand.
    JobSuspended,
    /// Its pod has scheduling gates, which a queue or somebody else removes.
    SchedulingGated,
    /// Its run should have ended, and its node does not answer.
    NodeUnreachable,
    /// Its container ended well, and its metrics are awaited.
    WaitingForMetrics,
    /// The cluster refuses to store what is known of it.
    StatusRefused,
}

impl Reason {
    /// Whether somebody holds the run on purpose, which may last as long as it does.
    #[must_use]
    pub fn is_held_by_a_queue(self) -> bool {
        matches!(self, Self::JobSuspended | Self::SchedulingGated)
    }

    /// The name as it stands in the trial's status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "Completed",
            Self::ConstraintViolated => "ConstraintViolated",
            Self::NonZeroExit => "NonZeroExit",
            Self::Signalled => "Signalled",
            Self::CannotStart => "CannotStart",
            Self::OutOfMemory => "OutOfMemory",
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::QueueDeadlineExceeded => "QueueDeadlineExceeded",
            Self::MetricsMissing => "MetricsMissing",
            Self::MetricsInvalid => "MetricsInvalid",
            Self::InfrastructureLost => "InfrastructureLost",
            Self::TooManyInfrastructureFailures => "TooManyInfrastructureFailures",
            Self::SearchEnded => "SearchEnded",
            Self::FailureRule => "FailureRule",
            Self::Starting => "Starting",
            Self::Unschedulable => "Unschedulable",
            Self::ImagePullFailed => "ImagePullFailed",
            Self::PodRefused => "PodRefused",
            Self::WaitingForApiServer => "WaitingForAPIServer",
            Self::ContainerNotCreated => "ContainerNotCreated",
            Self::WaitingForTracking => "WaitingForTracking",
            Self::JobSuspended => "JobSuspended",
            Self::SchedulingGated => "SchedulingGated",
            Self::NodeUnreachable => "NodeUnreachable",
            Self::WaitingForMetrics => "WaitingForMetrics",
            Self::StatusRefused => "StatusRefused",
        }
    }
}
