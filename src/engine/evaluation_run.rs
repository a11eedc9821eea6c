//! The runs of one comparison: each was ordered before it begins, is looked at, and is recorded once it has ended.

use super::evaluation::{
    COMPARED, EVIDENCE_MISSING, EVIDENCE_REFUSED, EVIDENCE_UNREADABLE, FAILED, FINISHED, Lack,
    PENDING, WAITING, again_status, compared_status, failed_status, missing_files, ordered_status,
    running_status, runs_of, told_lack, unreadable_files, uri_of,
};
use super::status_writes::is_refusal;
use super::trial::is_deleted;
use super::{Engine, Requeue, evaluation_events};
use crate::ports::{
    Cluster, EvaluationRun, EvaluationState, Evaluator, Events, PortError, Ports, Wait,
};
use kube::{Resource, ResourceExt};
use podium_api::champion_policy::ChampionPolicySpec;
use podium_api::convert::{
    policy as settings_of, settled_condition, stalled_conditions, to_time, with_conditions,
};
use podium_api::evaluation::EvaluationStatus;
use podium_api::schema::OpenObject;
use podium_api::{ChampionPolicy, Evaluation};
use podium_core::evaluation::{EvidenceFile, Follows, MOST_LOST, Place, Runs, Said, is_over};
use podium_core::time::Timestamp;
use podium_core::tuning::trial::{are_alike, refusal_words};

/// A run that goes on is looked at again after this time: what keeps it from starting may have become known.
const LOOK_AGAIN_SECONDS: u64 = 15;
/// The reason of a run whose image cannot be pulled, which its node words in turns.
const IMAGE_PULL_FAILED: &str = "ImagePullFailed";

impl<P: Ports> Engine<P> {
    /// Takes a comparison one step further: its run, or a look at its files that was asked for. Nothing runs that no policy ordered.
    ///
    /// # Errors
    /// A port could not do what it was asked.
    pub async fn reconcile_evaluation(&self, name: &str) -> Result<Requeue, PortError> {
        let found = self.ports.cluster().get::<Evaluation>(name).await?;
        let Some(evaluation) = found.filter(|evaluation| !is_deleted(evaluation)) else {
            return Ok(Requeue::default());
        };
        let Some(policy) = self.policy_that_asks(&evaluation).await? else {
            return self.report_not_asked(evaluation).await;
        };
        let status = evaluation.status.as_ref();
        let phase = status.and_then(|status| status.phase.clone());
        match phase.as_deref() {
            Some(PENDING) => self.take_run_further(&evaluation, &policy).await,
            Some(COMPARED | FINISHED) => {
                self.end_leftovers(&evaluation).await?;
                self.confirm_files(evaluation, &policy).await
            }
            // It waits for an order, or has failed.
            Some(WAITING | FAILED) => {
                self.end_leftovers(&evaluation).await?;
                Ok(Requeue::default())
            }
            _ => Ok(Requeue::default()),
        }
    }

    /// The end of the last run is recorded, and a container beside it would hold its place until the deadline of the pod.
    async fn end_leftovers(&self, evaluation: &Evaluation) -> Result<(), PortError> {
        let last = runs_of(evaluation).begun;
        self.ports.evaluator().end(evaluation, last).await
    }

    /// The policy that controls a comparison.
    async fn policy_that_asks(
        &self,
        evaluation: &Evaluation,
    ) -> Result<Option<ChampionPolicy>, PortError> {
        let kind = ChampionPolicy::kind(&());
        let mut owners = evaluation.owner_references().iter();
        let asks = owners.find(|owner| owner.controller == Some(true) && owner.kind == kind);
        let Some(owner) = asks else {
            return Ok(None);
        };
        let cluster = self.ports.cluster();
        let policy = cluster.get::<ChampionPolicy>(&owner.name).await?;
        Ok(policy.filter(|policy| policy.metadata.uid.as_ref() == Some(&owner.uid)))
    }

    /// Whoever may create an Evaluation must not have files read with the account of a policy.
    async fn report_not_asked(&self, evaluation: Evaluation) -> Result<Requeue, PortError> {
        let message = "no policy of this namespace asked for it, so nothing is compared: Podium makes the Evaluations of its policies itself; delete this one";
        let generation = evaluation.metadata.generation;
        let before = evaluation.status.clone().unwrap_or_default();
        let desired = stalled_conditions("NotAsked", message);
        let conditions = with_conditions(&before.conditions, &desired, generation, self.now());
        let reported = Evaluation {
            status: Some(EvaluationStatus {
                observed_generation: generation,
                conditions,
                ..before
            }),
            ..evaluation
        };
        self.ports.cluster().write_status(&reported).await?;
        Ok(Requeue::default())
    }

    async fn take_run_further(
        &self,
        evaluation: &Evaluation,
        policy: &ChampionPolicy,
    ) -> Result<Requeue, PortError> {
        let (now, runs) = (self.now(), runs_of(evaluation));
        let settings = settings_of(&policy.spec, self.ports.world()).ok();
        let deadline = settings
            .as_ref()
            .map_or(u64::MAX, |settings| settings.missing_deadline_seconds);
        match runs.place() {
            Place::Pauses(at) if !is_over(at, now) => return Ok(later(at)),
            Place::Pauses(_) => {
                let next = runs.with_next_run();
                let lack = missing_files(&evaluation.spec, &next, deadline);
                let generation = policy.metadata.generation;
                let status = ordered_status(evaluation, &next, lack, generation, now);
                return self.store_evaluation(evaluation, status).await;
            }
            Place::Waits(_) => return Ok(Requeue::default()),
            Place::Counts => {}
        }
        let run = EvaluationRun {
            evaluation,
            number: runs.begun.max(1),
            pod_template: pod_template(&policy.spec),
            reports: reports_folder(&policy.spec),
            may_begin: settings.is_some() && may_begin(policy),
        };
        let found = match self.ports.evaluator().evaluate(&run).await {
            // Nothing but a change by somebody helps, so it stands where people look.
            Err(error) if !error.is_transient() => EvaluationState::Refused(error.message),
            found => found?,
        };
        let recorded = self.record_run((evaluation, policy), &runs, found, (deadline, run.page()));
        recorded.await
    }

    async fn record_run(
        &self,
        (evaluation, policy): (&Evaluation, &ChampionPolicy),
        runs: &Runs,
        found: EvaluationState,
        (deadline, page): (u64, Option<String>),
    ) -> Result<Requeue, PortError> {
        let now = self.now();
        if found == EvaluationState::Begun {
            let begun = evaluation_events::run_begun(evaluation, policy, runs.begun);
            self.ports.events().publish(begun).await;
        }
        let status = match (runs.follow(&said(&found), deadline, now), found) {
            (Follows::Again(next), EvaluationState::Missing(_)) => {
                let lack = missing_files(&evaluation.spec, &next, deadline);
                let lack = lack.unwrap_or_else(|| lost(runs.begun, "it named no file"));
                again_status(evaluation, &next, &lack, now)
            }
            (Follows::Again(next), EvaluationState::Unreadable(why)) => {
                let lack = unreadable_files(&why, &next, deadline);
                again_status(evaluation, &next, &lack, now)
            }
            (Follows::Again(next), EvaluationState::Lost(why)) => {
                again_status(evaluation, &next, &lost(runs.begun, &why), now)
            }
            (Follows::GivenUp(since), EvaluationState::Missing(files)) => {
                let why = given_up(evaluation, &files, since, deadline);
                failed_status(evaluation, EVIDENCE_MISSING, &why, now)
            }
            (Follows::GivenUp(since), EvaluationState::Unreadable(why)) => {
                let why = format!("{why}; it was tried since {}", to_time(since).0);
                failed_status(evaluation, EVIDENCE_UNREADABLE, &why, now)
            }
            (Follows::LostTooOften(why), _) => {
                let count = MOST_LOST + 1;
                let why = format!("{count} runs in a row were lost; the last one: {why}");
                failed_status(evaluation, "TooManyInfrastructureFailures", &why, now)
            }
            (Follows::Compared, EvaluationState::Finished(result)) => {
                compared_status(evaluation, *result, page.as_deref(), now)?
            }
            (Follows::Failed, EvaluationState::Refused(why)) => {
                failed_status(evaluation, EVIDENCE_REFUSED, &why, now)
            }
            (Follows::Failed, EvaluationState::Failed { reason, why }) => {
                failed_status(evaluation, reason, &why, now)
            }
            (_, goes_on) => {
                let wait = match goes_on {
                    EvaluationState::Pending(wait) => wait,
                    _ => None,
                };
                return self.tell_of_wait(evaluation, runs, deadline, wait).await;
            }
        };
        let told = [
            evaluation_events::changed(evaluation, policy, &status),
            evaluation_events::report_not_written(evaluation, policy, &status),
        ];
        let stored = self.store_evaluation(evaluation, status).await?;
        for told in told.into_iter().flatten() {
            self.ports.events().publish(told).await;
        }
        Ok(stored)
    }

    /// Says what a run waits for, where that is news.
    async fn tell_of_wait(
        &self,
        evaluation: &Evaluation,
        runs: &Runs,
        deadline: u64,
        wait: Option<Wait>,
    ) -> Result<Requeue, PortError> {
        let now = self.now();
        let lack = missing_files(&evaluation.spec, runs, deadline);
        let lack = lack.or_else(|| told_lack(evaluation));
        let status = running_status(evaluation, runs, lack, wait.as_ref(), now);
        if is_news(evaluation, &status) {
            self.store_evaluation(evaluation, status).await?;
        }
        Ok(Requeue {
            pending: true,
            ..later(now.plus_seconds(LOOK_AGAIN_SECONDS))
        })
    }

    /// Stores a status. One that the cluster refuses is stored as a failure with its words, so that no refusal keeps a comparison where it is.
    pub(super) async fn store_evaluation(
        &self,
        evaluation: &Evaluation,
        status: EvaluationStatus,
    ) -> Result<Requeue, PortError> {
        let with = |status: EvaluationStatus| Evaluation {
            status: Some(status),
            ..evaluation.clone()
        };
        let cluster = self.ports.cluster();
        match cluster.replace_status(&with(status)).await {
            Err(error) if is_refusal(&error) => {
                let words = refusal_words(&error.message);
                let why = format!("what is known of it cannot be stored: {words}");
                let failed = failed_status(evaluation, "StatusRefused", &why, self.now());
                cluster.replace_status(&with(failed)).await?;
            }
            stored => stored?,
        }
        Ok(Requeue {
            changed: true,
            ..Requeue::default()
        })
    }
}

/// What a policy says of the pods of its comparisons.
pub(super) fn pod_template(spec: &ChampionPolicySpec) -> Option<&OpenObject> {
    let evaluator = spec.evidence.evaluator.as_ref();
    evaluator.map(|evaluator| &evaluator.pod_template)
}

/// The folder that a policy has reports written to.
fn reports_folder(spec: &ChampionPolicySpec) -> Option<&str> {
    let reports = spec.reports.as_ref();
    reports.map(|reports| reports.uri.as_str())
}

/// Whether a policy has anything run.
pub(super) fn may_begin(policy: &ChampionPolicy) -> bool {
    !policy.spec.suspend && !is_deleted(policy)
}

pub(super) fn later(at: Timestamp) -> Requeue {
    Requeue {
        at: Some(at),
        ..Requeue::default()
    }
}

/// What the core needs to know of a run.
fn said(found: &EvaluationState) -> Said {
    match found {
        EvaluationState::Begun | EvaluationState::Pending(_) => Said::GoesOn,
        EvaluationState::Finished(_) => Said::Compared,
        EvaluationState::Missing(files) => Said::Missing(files.clone()),
        EvaluationState::Unreadable(_) => Said::Missing(Vec::new()),
        EvaluationState::Lost(why) => Said::Lost(why.clone()),
        EvaluationState::Refused(_) | EvaluationState::Failed { .. } => Said::Failed,
    }
}

fn lost(number: u32, why: &str) -> Lack {
    Lack {
        reason: "InfrastructureLost",
        words: format!("run {number} was lost: {why}; the next one follows"),
    }
}

fn given_up(
    evaluation: &Evaluation,
    files: &[EvidenceFile],
    since: Timestamp,
    deadline: u64,
) -> String {
    let uris = files.iter();
    let uris: Vec<&str> = uris
        .filter_map(|file| uri_of(&evaluation.spec, *file))
        .collect();
    format!(
        "{} did not come: missing since {}, for longer than the {deadline} seconds of `evidence.predictions.onMissing.deadlineSeconds`",
        uris.join(" and "),
        to_time(since).0
    )
}

/// Whether what is said of a run is not said already. The world words one cause differently from look to look.
fn is_news(evaluation: &Evaluation, status: &EvaluationStatus) -> bool {
    let ready = |status: &EvaluationStatus| {
        let ready = settled_condition(&status.conditions, "Ready");
        ready.map(|(_, reason, message)| (reason.to_string(), message.to_string()))
    };
    let before = evaluation.status.as_ref().and_then(ready);
    match (before, ready(status)) {
        (Some((before, said)), Some((reason, message))) if before == reason => {
            reason != IMAGE_PULL_FAILED && !are_alike(&said, &message)
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn evaluation() -> Evaluation {
        serde_json::from_value(json!({
            "metadata": {"name": "fraud-1-2", "generation": 1},
            "spec": {
                "policyRef": {"name": "fraud"}, "model": "fraud",
                "champion": {"version": "1", "predictions": "s3://b/1"},
                "challenger": {"version": "2", "predictions": "s3://b/2"},
                "columns": {"id": "id", "label": "y"}, "test": {"primary": {"metric": "rocAuc"}}, "rowsNoun": "rows",
            },
        }))
        .unwrap()
    }

    fn wait(reason: &'static str, why: &str) -> Wait {
        Wait {
            reason,
            why: why.to_string(),
        }
    }

    #[test]
    fn the_runs_are_read_back_from_the_status() {
        let runs = Runs {
            begun: 7,
            lost: 2,
            missing: vec![EvidenceFile::Challenger],
            missing_since: Some(Timestamp(1_764_000_000_000)),
            next: Some(Timestamp(1_764_000_015_000)),
        };
        let now = Timestamp(1_764_000_001_000);
        let mut stored = evaluation();
        stored.status = Some(again_status(&stored, &runs, &lost(7, "why"), now));
        assert_eq!(runs_of(&stored), runs);
        let waits = Runs {
            lost: 0,
            ..runs.clone()
        };
        let lack = missing_files(&stored.spec, &waits, 60).unwrap();
        let status = again_status(&stored, &waits, &lack, now);
        assert_eq!(status.phase.as_deref(), Some("Waiting"));
        assert_eq!(status.missing, ["s3://b/2"]);
        assert_eq!(runs_of(&evaluation()), Runs::default());
    }

    #[test]
    fn what_is_missing_is_said_with_its_times() {
        let mut runs = Runs {
            missing: vec![EvidenceFile::Challenger],
            missing_since: Some(Timestamp(1_764_000_000_000)),
            ..Runs::default()
        };
        let words = |runs: &Runs| missing_files(&evaluation().spec, runs, 60).map(|it| it.words);
        assert_eq!(
            words(&runs).unwrap(),
            "s3://b/2 has been missing since 2025-11-24T16:00:00Z; it is waited for until 2025-11-24T16:01:00Z"
        );
        runs.missing.push(EvidenceFile::Champion);
        let both = words(&runs).unwrap();
        assert!(
            both.starts_with("s3://b/2 and s3://b/1 have been"),
            "{both}"
        );
        assert_eq!(words(&Runs::default()), None);
    }

    #[test]
    fn a_wait_is_told_once_and_its_end_too() {
        let (runs, now) = (Runs::default(), Timestamp(0));
        let mut stored = evaluation();
        let mut told = Vec::new();
        for wait in [
            None,
            Some(wait("Unschedulable", "0/3 nodes are available")),
            Some(wait("Unschedulable", "0/4 nodes are available")),
            Some(wait("ContainerNotCreated", "secret \"s3\" not found")),
            None,
            None,
            Some(wait("ImagePullFailed", "ErrImagePull: no such host")),
            Some(wait("ImagePullFailed", "ImagePullBackOff: back-off")),
        ] {
            let status = running_status(&stored, &runs, None, wait.as_ref(), now);
            let is_told = is_news(&stored, &status);
            if is_told {
                stored.status = Some(status);
            }
            told.push(is_told);
        }
        let expected = [true, true, false, true, true, false, true, false];
        assert_eq!(told, expected);
    }
}
