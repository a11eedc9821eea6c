//! What the plan of a policy depends on.

use super::Failure;
use super::comparisons::Question;
use super::loaded_evaluation::LoadedEvaluation;
use super::predictions::{Scored, Sighted};
use super::scoring::Round;
use crate::engine::model_registry::LEDGER_AVAILABLE;
use crate::engine::{Engine, missing};
use crate::ports::{Cluster, ModelRegistry as _, PortError, Ports};
use kube::ResourceExt;
use podium_api::approval::{ApprovalSpec, ApprovalVerdict};
use podium_api::champion_policy::ChampionPolicySpec;
use podium_api::convert::{PolicySettings, from_time, settled_condition};
use podium_api::{Approval, ChampionPolicy, ModelRegistry, TuningJob};
use podium_core::champion::{
    ApprovalView, ChampionInput, EvaluationView, Exclusivity, Freshness, Identity, Ledger, Memory,
    Policy, Predictions, RegistryView, WindowView, challengers,
};
use podium_core::time::Timestamp;
use std::collections::BTreeMap;

/// Names the epoch of the ledger up to which the alias is taken over from another owner.
pub(super) const TAKE_OVER: &str = "podium.dev/take-over";

/// What the plan of a policy depends on, and what its actions need.
pub(super) struct Observed {
    /// What is asked for, as far as the registry's account may carry it out.
    policy: Policy,
    /// Why the account may keep no ledger.
    ledger_denied: Option<String>,
    /// Whether the account was denied the last move of the alias of the previous champion.
    previous_denied: bool,
    pub(super) identity: Identity,
    pub(super) registry: Option<RegistryView>,
    /// How new registry and ledger are.
    pub(super) freshness: Freshness,
    pub(super) ledger: Result<Ledger, String>,
    pub(super) registered: Vec<String>,
    pub(super) predictions: BTreeMap<String, [Predictions; 2]>,
    /// What is asked of the pair of each challenger whose predictions may be there.
    pub(super) questions: BTreeMap<String, AskedQuestion>,
    pub(super) evaluations: Vec<LoadedEvaluation>,
    pub(super) approvals: Vec<ApprovalView>,
    /// Whether a scorer runs.
    pub(super) scoring: bool,
}

/// What is asked of a pair, and the runs of scorers that had ended well by then.
pub(super) struct AskedQuestion {
    pub(super) question: Question,
    pub(super) scorer_runs: Vec<String>,
}

impl<P: Ports> Engine<P> {
    /// The registry that a policy names.
    pub(super) async fn registry_of(
        &self,
        object: &ChampionPolicy,
    ) -> Result<ModelRegistry, PortError> {
        let reference = &object.spec.registry_ref.name;
        let found = self.ports.cluster().get::<ModelRegistry>(reference).await?;
        found.ok_or_else(|| missing("ModelRegistry", reference))
    }

    pub(super) async fn observe_policy(
        &self,
        object: &ChampionPolicy,
        settings: &PolicySettings,
        (named, registry): (&ModelRegistry, &P::Registry),
        memory: &Memory,
        freshness: Freshness,
    ) -> Result<Observed, Failure> {
        let policy = &settings.policy;
        let look = registry.look(&policy.model, freshness).await;
        let look = look.map_err(Failure::Registry)?;
        let ledger = Ledger::read(&look.registers, &policy.aliases).map_err(|e| e.to_string());
        let ledger_denied = ledger_denied(named);
        let mut observed = Observed {
            policy: Policy {
                // Where others keep a ledger, nothing goes past it.
                exclusivity: match ledger_denied {
                    Some(_) if look.registers.is_empty() => Exclusivity::Guarded,
                    _ => policy.exclusivity,
                },
                ..policy.clone()
            },
            ledger_denied,
            previous_denied: self.is_denied_previous(object, named),
            identity: self.identity(object, named, registry).await?,
            registry: look.view,
            freshness: look.freshness,
            ledger,
            registered: self.registered_by_searches(settings).await?,
            predictions: BTreeMap::new(),
            questions: BTreeMap::new(),
            evaluations: Vec::new(),
            approvals: self
                .approvals_of(object)
                .await?
                .iter()
                .map(view_of)
                .collect(),
            scoring: false,
        };
        let champion = observed
            .registry
            .as_ref()
            .and_then(|view| view.aliases.get(&policy.aliases.champion).cloned());
        let Some(champion) = champion.filter(|_| !policy.suspend) else {
            return Ok(observed);
        };
        for challenger in observed.challengers(memory) {
            let registry = observed.registry.clone();
            let round = Round {
                object,
                settings,
                named,
                registry: registry.as_ref(),
                pair: [&champion, &challenger],
            };
            self.observe_round(&round, memory, &mut observed).await?;
        }
        Ok(observed)
    }

    /// Looks at the predictions of a pair, and at its comparison once they may be there.
    async fn observe_round(
        &self,
        round: &Round<'_>,
        memory: &Memory,
        observed: &mut Observed,
    ) -> Result<(), PortError> {
        let [champion, challenger] = round.pair;
        let sighted = [
            self.sighted(round, champion).await?,
            self.sighted(round, challenger).await?,
        ];
        let measured = self.measured_before(round, &sighted).await?;
        let measured = measured.as_ref();
        let scored = self.both_scored((round, memory), &sighted, measured, None);
        let mut predictions = scored.each_ref().map(|it| it.predictions.clone());
        if predictions.iter().all(|it| *it == Predictions::Present) {
            let numbers = scored.map(|it| it.measurements);
            let question = self.question(round, &sighted, &numbers).await?;
            let mut loaded = self
                .load_evaluation(round.object, &question, &sighted)
                .await?;
            if let Some(loaded) = &mut loaded {
                let why = self.overwritten(round, &sighted[0], &loaded.object);
                loaded.overwritten = why.await?;
            }
            // What runs alone can see is known by what they missed.
            let scored = self.both_scored((round, memory), &sighted, measured, loaded.as_ref());
            predictions = scored.map(|it| it.predictions);
            // An operator that starts again must not run every such scorer again.
            let are_made_anew = !question.is_seen_by_runs_only();
            if are_made_anew && loaded.as_ref().is_some_and(LoadedEvaluation::failed) {
                self.after_failed_comparison(round, &mut predictions)
                    .await?;
            }
            observed.evaluations.extend(loaded);
            let asked = AskedQuestion {
                question,
                scorer_runs: sighted.iter().filter_map(Sighted::ended_run).collect(),
            };
            observed.questions.insert(challenger.to_string(), asked);
        }
        observed.scoring |= predictions.iter().any(Predictions::is_being_made);
        observed
            .predictions
            .insert(challenger.to_string(), predictions);
        Ok(())
    }

    fn both_scored(
        &self,
        (round, memory): (&Round<'_>, &Memory),
        sighted: &[Sighted; 2],
        measured: Option<&[BTreeMap<String, f64>; 2]>,
        comparison: Option<&LoadedEvaluation>,
    ) -> [Scored; 2] {
        [0, 1].map(|place| {
            let measured = measured.map(|both| &both[place]);
            self.scored(round, memory, &sighted[place], measured, comparison)
        })
    }

    /// The policy as an owner of its alias.
    async fn identity(
        &self,
        object: &ChampionPolicy,
        named: &ModelRegistry,
        registry: &P::Registry,
    ) -> Result<Identity, PortError> {
        let location = self.ports.location(&named.spec);
        Ok(Identity {
            uid: object.uid().unwrap_or_default(),
            owner: format!("{location}/{}", object.name_any()),
            take_over: object
                .annotations()
                .get(TAKE_OVER)
                .and_then(|epoch| epoch.trim().parse().ok()),
            older: self.older_policy(object, registry).await?,
        })
    }

    /// The oldest other policy of this namespace that writes one of the same aliases, if it is older than `object`.
    async fn older_policy(
        &self,
        object: &ChampionPolicy,
        registry: &P::Registry,
    ) -> Result<Option<String>, PortError> {
        let age = |policy: &ChampionPolicy| (policy.creation_timestamp(), policy.name_any());
        let mut older: Option<ChampionPolicy> = None;
        for other in self.ports.cluster().list::<ChampionPolicy>().await? {
            let earlier = age(&other) < older.as_ref().map_or_else(|| age(object), &age);
            if !earlier
                || other.uid() == object.uid()
                || !write_one_alias(&object.spec, &other.spec)
            {
                continue;
            }
            let of_other = async {
                let named = self.registry_of(&other).await?;
                self.ports.registry(&named).await
            };
            match of_other.await {
                Ok(of_other) if of_other.identity() == registry.identity() => older = Some(other),
                // Nobody knows for now whether it is the same.
                Err(error) if error.is_transient() => return Err(error),
                // A registry that cannot be opened is none that is written.
                Ok(_) | Err(_) => {}
            }
        }
        Ok(older.map(|policy| format!("`{}`", policy.name_any())))
    }

    /// Versions of the model that the selected searches registered.
    async fn registered_by_searches(
        &self,
        settings: &PolicySettings,
    ) -> Result<Vec<String>, PortError> {
        let Some(labels) = &settings.searches else {
            return Ok(Vec::new());
        };
        let jobs = self.ports.cluster().list::<TuningJob>().await?;
        let selected = jobs.into_iter().filter(|job| {
            labels
                .iter()
                .all(|(key, value)| job.labels().get(key) == Some(value))
        });
        let registered = selected.filter_map(|job| job.status?.registered);
        Ok(registered
            .filter(|registered| registered.model == settings.policy.model)
            .map(|registered| registered.version)
            .collect())
    }

    pub(super) async fn approvals_of(
        &self,
        object: &ChampionPolicy,
    ) -> Result<Vec<Approval>, PortError> {
        let mut approvals = self.ports.cluster().list::<Approval>().await?;
        approvals.retain(|approval| approval.spec.policy_ref.name == object.name_any());
        Ok(approvals)
    }
}

/// Why the account of a registry may keep no ledger, as its preflight found.
fn ledger_denied(registry: &ModelRegistry) -> Option<String> {
    let conditions = &registry.status.as_ref()?.conditions;
    let (status, reason, message) = settled_condition(conditions, LEDGER_AVAILABLE)?;
    (status == "False" && reason == "MissingRights").then(|| message.to_string())
}

/// Whether two policies write one alias of one model.
fn write_one_alias(left: &ChampionPolicySpec, right: &ChampionPolicySpec) -> bool {
    let written =
        |spec: &ChampionPolicySpec| [spec.aliases.champion.clone(), spec.aliases.previous.clone()];
    let of_right = written(right);
    left.model == right.model && written(left).iter().any(|alias| of_right.contains(alias))
}

fn view_of(approval: &Approval) -> ApprovalView {
    let ApprovalSpec {
        policy_ref: _, // selected by it
        decision_id,
        evidence_digest,
        verdict,
        approver,
        comment,
    } = &approval.spec;
    ApprovalView {
        decision: decision_id.clone(),
        evidence: evidence_digest.clone(),
        approves: *verdict == ApprovalVerdict::Approve,
        approver: approver.clone(),
        comment: comment.clone(),
        // An object without a time was created before anything that has one, and so is expired.
        at: approval
            .creation_timestamp()
            .map_or(Timestamp(0), |time| from_time(&time)),
    }
}

impl Observed {
    /// What the plan is made of.
    pub(super) fn input<'a>(
        &'a self,
        memory: &'a Memory,
        evaluations: &'a [EvaluationView<'a>],
        window: WindowView,
    ) -> ChampionInput<'a> {
        ChampionInput {
            policy: &self.policy,
            identity: &self.identity,
            // Whoever may not write is stopped at every single write.
            leads: true,
            registry: self.registry.as_ref(),
            ledger: self.ledger.as_ref().map_err(String::as_str),
            ledger_denied: self.ledger_denied.as_deref(),
            previous_denied: self.previous_denied,
            memory,
            registered: &self.registered,
            predictions: &self.predictions,
            evaluations,
            approvals: &self.approvals,
            window,
        }
    }

    /// The versions that want to be champion, whatever is known of them and whenever it is.
    fn challengers(&self, memory: &Memory) -> Vec<String> {
        challengers(&self.input(memory, &[], WindowView::ALWAYS))
    }
}
