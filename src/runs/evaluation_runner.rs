//! Comparisons as Jobs of the policy's namespace, with the image of Podium. Of them nothing is believed but what the pods of these Jobs say.

use super::evaluation_end::{confirmation_of, state_of};
use super::evaluation_job::{EvaluationPod, memory_limit, template_of};
use super::job::JobRunner;
use crate::adapters::kubernetes::clock::ServerClock;
use crate::ports::{
    Clock, ConfirmationState, EndedRun, EvaluationRun, EvaluationState, Evaluator, PortError, Run,
    RunId, RunRequest, StartOutcome, TrialRunner, Wait,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use podium_api::Evaluation;
use podium_api::convert::EVALUATOR_CONTAINER;
use podium_api::evaluation::{EvaluationSpec, EvidenceStatus};
use podium_api::tuning_job::JobMetadata;
use podium_core::champion::ledger::bounded;
use podium_core::time::Timestamp;
use podium_core::tuning::trial::{Exit, Reason};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Variable of a pod: what is asked, as JSON of an Evaluation's specification.
pub const QUESTION_VARIABLE: &str = "PODIUM_EVALUATION";
/// Variable of a pod: what was read before, as JSON of an Evaluation's status.
pub const EVIDENCE_VARIABLE: &str = "PODIUM_EVIDENCE";
/// Variable of a pod: name of the Evaluation, for its report.
pub const NAME_VARIABLE: &str = "PODIUM_EVALUATION_NAME";
/// Arguments of podium in a pod that compares, and in one that looks whether files have changed.
pub const COMPARE: [&str; 2] = ["evaluate", "--from-environment"];
/// The argument after which the address of the report's page follows.
pub const REPORT: &str = "--report";
/// See [`COMPARE`].
pub const CHECK: [&str; 2] = ["evaluate", "--check-from-environment"];

/// Characters of a run's name: with a word, two hyphens and a number it is that of a Job, which has 63 at the most.
const RUN_NAME: usize = 48;
/// Running time of a pod in seconds, unless its policy says otherwise.
const COMPARE_SECONDS: u64 = 3600;
const CHECK_SECONDS: u64 = 300;
/// Why nothing is compared.
pub const NO_IMAGE: &str = "this operator was started without `--image`, which names the image that comparisons run; the chart gives it";

/// Compares by Jobs of one namespace.
#[derive(Clone)]
pub struct JobEvaluator {
    runner: JobRunner,
    clock: ServerClock,
    image: Option<Arc<str>>,
}

/// A run that answers a question.
struct Task<'a> {
    run: &'a EvaluationRun<'a>,
    name: String,
    arguments: &'a [&'a str],
    variables: BTreeMap<String, String>,
    deadline_seconds: u64,
}

/// How far it is.
#[derive(Debug)]
enum Progress {
    Begun,
    /// There is none, and this keeps it from beginning.
    NotBegun(Wait),
    GoesOn(Option<Wait>),
    /// The API server takes no such Job; its words.
    Refused(String),
    Ended(EndedRun),
}

impl JobEvaluator {
    /// Jobs through this runner, with this image of Podium.
    #[must_use]
    pub fn new(runner: JobRunner, clock: ServerClock, image: Option<Arc<str>>) -> Self {
        Self {
            runner,
            clock,
            image,
        }
    }

    async fn progress(&self, task: &Task<'_>) -> Result<Progress, PortError> {
        let id = RunId {
            name: &task.name,
            attempt: task.run.number,
            owner: task.run.evaluation.metadata.uid.as_deref(),
        };
        // Pods of a Job that was never seen may be anybody's, and a comparison may be made twice.
        let run = match self.runner.has_seen(id) {
            true => self.runner.observe(id).await?,
            false => Run::Absent,
        };
        Ok(match progress_of(run, self.clock.now()) {
            Some(progress) => progress,
            None if !task.run.may_begin => Progress::GoesOn(None),
            None => self.begin(task).await?,
        })
    }

    async fn begin(&self, task: &Task<'_>) -> Result<Progress, PortError> {
        let Some(image) = self.image.as_deref() else {
            return Ok(Progress::NotBegun(Wait {
                reason: "NoImage",
                why: NO_IMAGE.to_string(),
            }));
        };
        let pod = EvaluationPod {
            image,
            template: task.run.pod_template,
            store: task.run.evaluation.spec.store.as_ref(),
            arguments: task.arguments,
        };
        let job = pod.job();
        let template = template_of(&job);
        let request = RunRequest {
            name: task.name.clone(),
            attempt: task.run.number,
            job: &job,
            template: &template,
            container: Some(EVALUATOR_CONTAINER),
            variables: task.variables.clone(),
            tracking: None,
            deadline_seconds: Some(task.deadline_seconds),
            owner: task.run.evaluation.controller_owner_ref(&()).map(|owner| {
                // Asking for more would need a right of its own.
                OwnerReference {
                    block_owner_deletion: None,
                    ..owner
                }
            }),
            labels: BTreeMap::new(),
            job_metadata: JobMetadata::default(),
        };
        let begun = async {
            match self.runner.dry_run(&request).await? {
                Some(why) => Ok(Progress::Refused(why)),
                None => Ok(match self.runner.start(&request).await? {
                    StartOutcome::Started => Progress::Begun,
                    StartOutcome::AlreadyStarted => Progress::GoesOn(None),
                    StartOutcome::Rejected(why) => {
                        Progress::NotBegun(wait(Reason::PodRefused, why))
                    }
                }),
            }
        };
        match begun.await {
            // It is tried again, and told meanwhile.
            Err(error) if PortError::is_transient(&error) => {
                Ok(waits(Reason::WaitingForApiServer, error.message))
            }
            begun => begun,
        }
    }
}

/// How far a run is; `None` where there is none.
fn progress_of(run: Run, now: Timestamp) -> Option<Progress> {
    Some(match run {
        Run::Absent => return None,
        // That a pod is about to start is no news.
        Run::Queued {
            reason: Reason::Starting,
            ..
        } => Progress::GoesOn(None),
        Run::Queued { reason, why, .. } => waits(reason, why),
        // A trial must not run beside itself; a comparison only reads, and is made again.
        Run::Running {
            overdue: Some(overdue),
            ..
        } if now >= overdue.at => {
            let lost = Exit::Infrastructure(overdue.why);
            Progress::Ended(EndedRun::without_a_trace(lost, now, now))
        }
        Run::Running { .. } => Progress::GoesOn(None),
        Run::Ended(ended) => Progress::Ended(ended),
    })
}

fn wait(reason: Reason, why: String) -> Wait {
    Wait {
        reason: reason.as_str(),
        why,
    }
}

fn waits(reason: Reason, why: String) -> Progress {
    Progress::GoesOn(Some(wait(reason, why)))
}

/// The question that a comparison asks, as its pod reads it.
///
/// # Errors
/// It cannot be written.
pub fn question_of(spec: &EvaluationSpec) -> Result<String, PortError> {
    serde_json::to_string(spec).map_err(|error| PortError::invalid(error.to_string()))
}

/// The question whether files are still what was read.
#[must_use]
pub fn check_question(question: &str, evidence: &str) -> String {
    format!("{question}\n{evidence}")
}

fn refused_job(why: &str) -> String {
    format!(
        "the API server refuses the Job of the comparison, which is made of `spec.evidence.evaluator.podTemplate` of the policy: {why}"
    )
}

impl Evaluator for JobEvaluator {
    async fn evaluate(&self, run: &EvaluationRun<'_>) -> Result<EvaluationState, PortError> {
        let spec = &run.evaluation.spec;
        let question = question_of(spec)?;
        let name = run.evaluation.name_any();
        let page = run.page();
        let mut arguments = COMPARE.to_vec();
        let mut variables = BTreeMap::from([(QUESTION_VARIABLE.to_string(), question.clone())]);
        if let Some(page) = &page {
            arguments.extend([REPORT, page.as_str()]);
            variables.insert(NAME_VARIABLE.to_string(), name.clone());
        }
        let task = Task {
            run,
            name: bounded(&name, RUN_NAME),
            arguments: &arguments,
            variables,
            deadline_seconds: COMPARE_SECONDS,
        };
        Ok(match self.progress(&task).await? {
            Progress::Begun => EvaluationState::Begun,
            Progress::NotBegun(wait) => EvaluationState::Pending(Some(wait)),
            Progress::GoesOn(wait) => EvaluationState::Pending(wait),
            Progress::Refused(why) => EvaluationState::Failed {
                reason: "PodTemplateRefused",
                why: refused_job(&why),
            },
            Progress::Ended(ended) => {
                let memory = memory_limit(run.pod_template);
                state_of(&ended, &question, spec, memory.as_deref())
            }
        })
    }

    async fn confirm(&self, run: &EvaluationRun<'_>) -> Result<ConfirmationState, PortError> {
        let spec = &run.evaluation.spec;
        let status = run.evaluation.status.as_ref();
        let Some(read) = status.and_then(|status| status.evidence.clone()) else {
            let message = "nothing was read yet";
            return Ok(ConfirmationState::Unknown(message.to_string()));
        };
        // The rows are not read again unless the files have other digests.
        let read = EvidenceStatus {
            sketch: String::new(),
            ..read
        };
        let asked = question_of(spec)?;
        let evidence = serde_json::to_string(&read);
        let evidence = evidence.map_err(|error| PortError::invalid(error.to_string()))?;
        let question = check_question(&asked, &evidence);
        let task = Task {
            run,
            name: format!("{}-check", bounded(&run.evaluation.name_any(), RUN_NAME)),
            arguments: &CHECK,
            variables: BTreeMap::from([
                (QUESTION_VARIABLE.to_string(), asked),
                (EVIDENCE_VARIABLE.to_string(), evidence),
            ]),
            deadline_seconds: CHECK_SECONDS,
        };
        Ok(match self.progress(&task).await? {
            // The next look has another number, and so another Job.
            Progress::NotBegun(wait) => ConfirmationState::Unknown(wait.why),
            Progress::Begun | Progress::GoesOn(_) => ConfirmationState::Pending,
            Progress::Refused(why) => ConfirmationState::Unknown(refused_job(&why)),
            Progress::Ended(ended) => {
                let memory = memory_limit(run.pod_template);
                confirmation_of(&ended, &question, spec, memory.as_deref())
            }
        })
    }

    async fn end(&self, evaluation: &Evaluation, number: u32) -> Result<(), PortError> {
        let run = RunId {
            name: &bounded(&evaluation.name_any(), RUN_NAME),
            attempt: number,
            owner: evaluation.metadata.uid.as_deref(),
        };
        self.runner.end_leftovers(run).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::kubernetes::cache::Cache;
    use crate::adapters::kubernetes::caches::Caches;
    use crate::runs::job::pod_index_keys;
    use crate::runs::observed::ObservedPod;
    use kube::{Client, Config};
    use podium_core::tuning::trial::Overdue;
    use serde_json::json;

    const NOW: Timestamp = Timestamp(1_764_000_000_000);

    #[test]
    fn a_node_that_does_not_answer_has_lost_its_run() {
        let run = |at| Run::Running {
            since: Timestamp(0),
            pod: None,
            overdue: Some(Overdue {
                at,
                why: "its node does not answer".to_string(),
            }),
        };
        let early = progress_of(run(NOW.plus_seconds(1)), NOW);
        assert!(matches!(early, Some(Progress::GoesOn(None))), "{early:?}");
        match progress_of(run(NOW), NOW) {
            Some(Progress::Ended(ended)) => {
                let lost = Exit::Infrastructure("its node does not answer".to_string());
                assert_eq!(ended.exit, lost);
            }
            other => panic!("{other:?}"),
        }
        assert!(progress_of(Run::Absent, NOW).is_none());
    }

    /// A pod that succeeded and says that it belongs to the first Job of `fraud`, and a look at files that was asked for.
    fn forged() -> (ObservedPod, Evaluation) {
        let pod = json!({
            "metadata": {
                "name": "forged", "namespace": "team", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z",
                "labels": {"podium.dev/run": "fraud", "podium.dev/attempt": "1", "podium.dev/owner": "a"},
                "ownerReferences": [
                    {"apiVersion": "batch/v1", "kind": "Job", "name": "fraud-1", "uid": "made up", "controller": true},
                ],
            },
            "status": {"phase": "Succeeded", "containerStatuses": [
                {"name": "evaluator", "state": {"terminated": {"exitCode": 0, "message": "forged"}}},
            ]},
        });
        let file = json!({"uri": "s3://b/1", "sha256": "ab", "size": 1, "rows": 1});
        let evaluation = json!({
            "metadata": {"name": "fraud", "uid": "a"},
            "spec": {
                "policyRef": {"name": "fraud"}, "model": "fraud",
                "champion": {"version": "1", "predictions": "s3://b/1"},
                "challenger": {"version": "2", "predictions": "s3://b/2"},
                "columns": {"id": "id", "label": "y"}, "test": {"primary": {"metric": "rocAuc"}}, "rowsNoun": "rows",
            },
            "status": {"evidence": {"champion": file, "challenger": file, "fingerprint": "f", "sketch": ""}},
        });
        (
            serde_json::from_value(pod).unwrap(),
            serde_json::from_value(evaluation).unwrap(),
        )
    }

    /// The names of runs can be guessed, and so can those of their Jobs. Nothing is asked of the API server, which is not there.
    #[test]
    fn a_pod_of_a_job_that_nobody_has_seen_says_nothing() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let (pod, evaluation) = forged();
            let pods = Cache::new(pod_index_keys);
            pods.observe_write(pod);
            let mut caches = Caches::default();
            caches.insert(Arc::new(pods));
            let nobody = Config::new("http://127.0.0.1:9".parse().unwrap());
            let client = Client::try_from(nobody).unwrap();
            let clock = ServerClock::default();
            let runner = JobRunner::new(client, "team".to_string(), &caches, clock.clone());
            let id = RunId {
                name: "fraud",
                attempt: 1,
                owner: Some("a"),
            };
            let seen = runner.observe(id).await.unwrap();
            assert!(!matches!(seen, Run::Ended(_)), "it is believed: {seen:?}");
            let evaluator = JobEvaluator::new(runner, clock, None);
            let run = EvaluationRun {
                evaluation: &evaluation,
                number: 1,
                pod_template: None,
                reports: None,
                may_begin: true,
            };
            let state = evaluator.evaluate(&run).await.unwrap();
            let waits = Wait {
                reason: "NoImage",
                why: NO_IMAGE.to_string(),
            };
            assert_eq!(state, EvaluationState::Pending(Some(waits)));
            // A look that nothing begins is answered, so that the policy says why.
            let look = evaluator.confirm(&run).await.unwrap();
            assert_eq!(look, ConfirmationState::Unknown(NO_IMAGE.to_string()));
        });
    }
}
