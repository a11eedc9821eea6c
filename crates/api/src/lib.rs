//! The kinds of Podium (`podium.dev/v1alpha1`): types, schemas with bounds, defaults and CEL rules,
//! and their conversion into what the core plans with.

// kube's `printcolumn` repeats its keys for every column.
#![allow(clippy::duplicated_attributes)]

pub mod approval;
pub mod champion_policy;
pub mod convert;
pub mod crd;
pub mod evaluation;
pub mod model_registry;
pub mod schema;
pub mod trial;
pub mod tuning_job;

pub use approval::{Approval, ApprovalSpec};
pub use champion_policy::{ChampionPolicy, ChampionPolicySpec, ChampionPolicyStatus};
pub use crd::{crd_files, crd_of, crds};
pub use evaluation::{Evaluation, EvaluationSpec, EvaluationStatus};
pub use model_registry::{ModelRegistry, ModelRegistrySpec, ModelRegistryStatus};
pub use trial::{Trial, TrialSpec, TrialStatus};
pub use tuning_job::{TuningJob, TuningJobSpec, TuningJobStatus};

/// API group of all kinds.
pub const GROUP: &str = "podium.dev";
/// Their version.
pub const VERSION: &str = "v1alpha1";
/// Label of a trial that names its job.
pub const TUNING_JOB_LABEL: &str = "podium.dev/tuning-job";
/// Label of a Job and its pods that names their trial.
pub const TRIAL_LABEL: &str = "podium.dev/trial";
/// Label of a search that names the policy which started it.
pub const CHAMPION_POLICY_LABEL: &str = "podium.dev/champion-policy";
/// Annotation of a search that holds the time of the schedule for which it was started.
pub const SCHEDULED_TIME_ANNOTATION: &str = "podium.dev/scheduled-time";
/// Annotation of a policy by which somebody asks for a search at once, and of that search. Each value starts one.
pub const RUN_NOW_ANNOTATION: &str = "podium.dev/run-now";
