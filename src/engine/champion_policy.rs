//! A policy: the registry and the evidence are looked at, the next step is planned, carried out and reported.

use super::champion_status::{Shown, status_of};
use super::evaluation::view_of;
use super::{Engine, Left, in_words, missing};
use crate::ports::{
    Cluster, ModelRegistry as _, ObjectStore, PortError, Ports, RunId, RunRequest, Started,
    TrialRunner,
};
use crate::trials::expansion::expand;
use kube::{Resource, ResourceExt};
use podium_api::approval::ApprovalVerdict;
use podium_api::champion_policy::{ChampionPolicyStatus, EvidenceSpec};
use podium_api::convert::{from_time, job_spec, memory_of, policy as policy_of};
use podium_api::evaluation::{EvaluatedVersion, EvaluationSpec};
use podium_api::{Approval, ChampionPolicy, Evaluation, ModelRegistry};
use podium_core::champion::{
    Action, Approvals, ChampionInput, EvaluationView, InFlight, Policy, Predictions, RegistryView,
    plan,
};
use podium_core::time::Timestamp;
use podium_core::tuning::trial::{Exit, Run};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What the plan of a policy depends on, and what its actions need.
struct Observed {
    object: ChampionPolicy,
    registry: Option<RegistryView>,
    predictions: BTreeMap<String, Predictions>,
    evaluation: Option<(EvaluationView, Evaluation)>,
    approvals: Approvals,
    evaluations_made: u32,
}

impl<P: Ports> Engine<P> {
    /// Takes a policy one step further.
    ///
    /// # Errors
    /// A port could not do what it was asked; what was stored is true.
    pub async fn reconcile_champion_policy(&self, name: &str) -> Result<Left, PortError> {
        let Some(object) = self.ports.cluster().get::<ChampionPolicy>(name).await? else {
            return Ok(Left::default());
        };
        let now = self.now();
        let policy = match policy_of(&object.spec) {
            Ok(policy) => policy,
            Err(problems) => {
                let shown = Shown::invalid(&in_words(&problems));
                self.write_policy_status(&object, status_of(&object, &shown, now))
                    .await?;
                return Ok(Left::default());
            }
        };
        let registry = self.registry_of(&object).await?;
        let observed = self.observe_policy(object, &policy, &registry, now).await?;
        let mut memory = memory_of(observed.object.status.as_ref());
        memory.holdout_evaluations = observed.evaluations_made;
        let plan = plan(
            &ChampionInput {
                policy: &policy,
                registry: observed.registry.as_ref(),
                memory: &memory,
                predictions: &observed.predictions,
                evaluation: observed.evaluation.as_ref().map(|(view, _)| view),
                approvals: observed.approvals,
            },
            now,
        );
        let shown = Shown::planned(
            &policy,
            &plan,
            observed.registry.as_ref(),
            observed.evaluation.as_ref().map(|(_, e)| e),
        );
        self.write_policy_status(&observed.object, status_of(&observed.object, &shown, now))
            .await?;
        for action in &plan.actions {
            self.act(&observed, &policy, &registry, action).await?;
        }
        let scoring = observed
            .predictions
            .values()
            .any(|p| *p == Predictions::InProgress);
        Ok(Left {
            acted: plan.again || !plan.actions.is_empty(),
            waiting: scoring,
            look_again_at: None,
        })
    }

    async fn registry_of(&self, object: &ChampionPolicy) -> Result<P::Registry, PortError> {
        let reference = &object.spec.registry_ref.name;
        let found = self.ports.cluster().get::<ModelRegistry>(reference).await?;
        let registry = found.ok_or_else(|| missing("ModelRegistry", reference))?;
        self.ports.registry(&registry.spec)
    }

    async fn observe_policy(
        &self,
        object: ChampionPolicy,
        policy: &Policy,
        registry: &P::Registry,
        now: Timestamp,
    ) -> Result<Observed, PortError> {
        let view = registry.view(&policy.model).await?;
        let alias = |name: &str| view.as_ref().and_then(|v| v.aliases.get(name).cloned());
        let pair = alias(&policy.aliases.champion).zip(alias(&policy.aliases.challenger));
        let mut predictions = BTreeMap::new();
        let mut evaluation = None;
        if let Some((champion, challenger)) = pair.filter(|(a, b)| a != b) {
            for version in [&champion, &challenger] {
                let found = self.predictions_of(&object, version).await?;
                predictions.insert(version.clone(), found);
            }
            if let Some(spec) =
                evaluation_spec(&object, policy, &predictions, &champion, &challenger)
            {
                let found = self
                    .ports
                    .cluster()
                    .get::<Evaluation>(&evaluation_name(&object, &spec))
                    .await?;
                evaluation = found.map(|e| (view_of(&e), e));
            }
        }
        let decision = evaluation.as_ref().map(|(view, _)| view.clone());
        let approvals = self.approvals_of(&object, decision.as_ref(), now).await?;
        let made = self.ports.cluster().list::<Evaluation>().await?;
        let made = made
            .iter()
            .filter(|e| e.spec.policy_ref.name == object.name_any())
            .count();
        Ok(Observed {
            registry: view,
            predictions,
            evaluation,
            approvals,
            evaluations_made: u32::try_from(made).unwrap_or(u32::MAX),
            object,
        })
    }

    /// Consent that counts: to this decision, on this evidence, not expired.
    async fn approvals_of(
        &self,
        object: &ChampionPolicy,
        decision: Option<&EvaluationView>,
        now: Timestamp,
    ) -> Result<Approvals, PortError> {
        let Some(decision) = decision else {
            return Ok(Approvals::default());
        };
        let lasts = object
            .spec
            .promotion
            .approval
            .as_ref()
            .map_or(259_200, |a| a.expire_seconds);
        let lasts = u64::try_from(lasts).unwrap_or(0);
        let mut approvals = Approvals::default();
        for approval in self.ports.cluster().list::<Approval>().await? {
            let spec = &approval.spec;
            let given = approval.creation_timestamp().map_or(now, |t| from_time(&t));
            let counts = spec.policy_ref.name == object.name_any()
                && spec.decision_id == decision.name
                && spec.evidence_digest == decision.evidence
                && now < given.plus_seconds(lasts);
            match spec.verdict {
                ApprovalVerdict::Approve if counts => approvals.given += 1,
                ApprovalVerdict::Reject if counts => approvals.rejected = true,
                _ => {}
            }
        }
        Ok(approvals)
    }

    async fn predictions_of(
        &self,
        object: &ChampionPolicy,
        version: &str,
    ) -> Result<Predictions, PortError> {
        let evidence = &object.spec.evidence;
        let uri = predictions_uri(evidence, version);
        if let Some(digest) = self.ports.store().digest(&uri).await? {
            return Ok(Predictions::Present { digest });
        }
        if evidence.scorer.is_none() {
            let why = format!(
                "there are no predictions of v{version} at {uri}, and no `evidence.scorer` to make them"
            );
            return Ok(Predictions::Unavailable(why));
        }
        let (_, run) = self.scorer_run(object, version).await?;
        Ok(match run {
            Run::Absent => Predictions::Missing,
            Run::Queued { .. } | Run::Running { .. } => Predictions::InProgress,
            Run::Ended(run) if run.exit == Exit::Code(0) => Predictions::Unavailable(format!(
                "the scorer of v{version} ended well but left no predictions at {uri}"
            )),
            Run::Ended(run) => Predictions::Unavailable(format!(
                "the scorer of v{version} failed: {}; its last lines: {}",
                run.exit,
                run.log_tail.trim()
            )),
        })
    }

    /// The attempt at scoring a version that counts: those lost with the machine do not.
    async fn scorer_run(
        &self,
        object: &ChampionPolicy,
        version: &str,
    ) -> Result<(u32, Run), PortError> {
        let name = scorer_name(object, version);
        let mut attempt = 1;
        loop {
            let run = self.ports.runner().observe(RunId {
                name: &name,
                attempt,
                owner: object.metadata.uid.as_deref(),
            });
            match run.await? {
                Run::Ended(ended) if matches!(ended.exit, Exit::Infrastructure(_)) => attempt += 1,
                other => return Ok((attempt, other)),
            }
        }
    }

    async fn act(
        &self,
        observed: &Observed,
        policy: &Policy,
        registry: &P::Registry,
        action: &Action,
    ) -> Result<(), PortError> {
        match action {
            Action::Score { version, source } => {
                self.score(&observed.object, version, source).await
            }
            Action::Evaluate {
                champion,
                challenger,
            } => {
                let spec = evaluation_spec(
                    &observed.object,
                    policy,
                    &observed.predictions,
                    champion,
                    challenger,
                );
                if let Some(spec) = spec {
                    let name = evaluation_name(&observed.object, &spec);
                    self.ports
                        .cluster()
                        .create(&Evaluation::new(&name, spec))
                        .await?;
                }
                Ok(())
            }
            // One that was contended is seen, and judged, by the next plan.
            Action::MoveAlias { alias, from, to } => registry
                .move_alias(&policy.model, alias, from.as_deref(), to)
                .await
                .map(drop),
            Action::TagVersion { version, change } => {
                registry.tag(&policy.model, version, tags_of(change)).await
            }
        }
    }

    async fn score(
        &self,
        object: &ChampionPolicy,
        version: &str,
        source: &str,
    ) -> Result<(), PortError> {
        let evidence = &object.spec.evidence;
        let Some(scorer) = &evidence.scorer else {
            return Ok(());
        };
        let template =
            serde_json::from_value(serde_json::Value::Object(scorer.job.template.0.clone()))
                .map_err(|e| {
                    PortError::Permanent(format!("spec.evidence.scorer.job.template: {e}"))
                })?;
        let (attempt, _) = self.scorer_run(object, version).await?;
        let request = RunRequest {
            name: scorer_name(object, version),
            attempt,
            job: &job_spec(&scorer.job),
            template: &template,
            container: None,
            variables: BTreeMap::from([
                ("MODEL_URI".to_string(), source.to_string()),
                ("MODEL_VERSION".to_string(), version.to_string()),
                ("OUTPUT_URI".to_string(), predictions_uri(evidence, version)),
            ]),
            deadline_seconds: scorer
                .active_deadline_seconds
                .and_then(|s| u64::try_from(s).ok()),
            owner: object.controller_owner_ref(&()).map(super::without_block),
            labels: BTreeMap::new(),
        };
        if let Some(why) = self.ports.runner().refusal(&request).await? {
            return Err(PortError::Permanent(format!(
                "spec.evidence.scorer.job: {why}"
            )));
        }
        match self.ports.runner().start(&request).await? {
            Started::Now | Started::Already => Ok(()),
            Started::Refused(why) => Err(PortError::Transient(why)),
        }
    }

    async fn write_policy_status(
        &self,
        object: &ChampionPolicy,
        status: ChampionPolicyStatus,
    ) -> Result<(), PortError> {
        let mut updated = object.clone();
        updated.status = Some(status);
        self.ports.cluster().write_status(&updated).await
    }
}

fn predictions_uri(evidence: &EvidenceSpec, version: &str) -> String {
    let variables = BTreeMap::from([("version".to_string(), version.to_string())]);
    expand(&evidence.predictions.uri, &variables)
}

/// A changed scorer is another one: its run starts anew.
fn scorer_name(object: &ChampionPolicy, version: &str) -> String {
    let template = object
        .spec
        .evidence
        .scorer
        .as_ref()
        .map(|s| &s.job.template.0);
    let text = serde_json::to_string(&template).unwrap_or_default();
    format!(
        "{}-score-{version}-{}",
        object.name_any(),
        short_hash(&text)
    )
}

/// The comparison of a pair whose predictions are there; `None` while they are not.
fn evaluation_spec(
    object: &ChampionPolicy,
    policy: &Policy,
    predictions: &BTreeMap<String, Predictions>,
    champion: &str,
    challenger: &str,
) -> Option<EvaluationSpec> {
    let evidence = &object.spec.evidence;
    let judged = |version: &str| match predictions.get(version) {
        Some(Predictions::Present { digest }) => Some(EvaluatedVersion {
            version: version.to_string(),
            predictions: predictions_uri(evidence, version),
            digest: digest.clone(),
        }),
        _ => None,
    };
    let (champion, challenger) = (judged(champion)?, judged(challenger)?);
    // The same evidence gives the same resamples, wherever and whenever it is compared.
    let seed = Sha256::digest(format!("{} {}", champion.digest, challenger.digest));
    let seed = seed
        .iter()
        .take(6)
        .fold(0_i64, |seed, byte| seed << 8 | i64::from(*byte));
    Some(EvaluationSpec {
        policy_ref: podium_api::schema::LocalReference {
            name: object.name_any(),
        },
        model: object.spec.model.clone(),
        columns: evidence.predictions.columns.clone(),
        slices: evidence.slices.clone(),
        test: object.spec.test.clone(),
        rows_noun: policy.rows_noun.clone(),
        seed,
        champion,
        challenger,
    })
}

/// Other evidence or other settings make another comparison.
fn evaluation_name(object: &ChampionPolicy, spec: &EvaluationSpec) -> String {
    let text = serde_json::to_string(spec).unwrap_or_default();
    format!(
        "{}-{}-{}-{}",
        object.name_any(),
        spec.champion.version,
        spec.challenger.version,
        short_hash(&text)
    )
}

fn short_hash(text: &str) -> String {
    Sha256::digest(text)
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn tags_of(change: &InFlight) -> BTreeMap<String, String> {
    let compared = change.from.clone().unwrap_or_default();
    [
        ("decision", &change.decision),
        ("evidence", &change.evidence),
        ("compared-with", &compared),
    ]
    .map(|(key, value)| (format!("podium.dev/{key}"), value.clone()))
    .into()
}
