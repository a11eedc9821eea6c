//! What the plan of a policy depends on.

use super::comparisons::LoadedEvaluation;
use crate::engine::{Engine, missing};
use crate::ports::{Cluster, ModelRegistry as _, PortError, Ports};
use kube::ResourceExt;
use podium_api::approval::{ApprovalSpec, ApprovalVerdict};
use podium_api::champion_policy::ChampionPolicySpec;
use podium_api::convert::{PolicySettings, from_time};
use podium_api::{Approval, ChampionPolicy, ModelRegistry, TuningJob};
use podium_core::champion::{
    ApprovalView, ChampionInput, Identity, Ledger, Memory, Predictions, RegistryView, WindowView,
    challengers,
};
use std::collections::BTreeMap;

/// Names the epoch of the ledger up to which the alias is taken over from another owner.
const TAKE_OVER: &str = "podium.dev/take-over";

/// What the plan of a policy depends on, and what its actions need.
pub(super) struct Observed {
    pub(super) identity: Identity,
    pub(super) registry: Option<RegistryView>,
    pub(super) ledger: Result<Ledger, String>,
    pub(super) registered: Vec<String>,
    pub(super) predictions: BTreeMap<String, [Predictions; 2]>,
    /// What the scorers of champion and challenger measured, by challenger.
    pub(super) measurements: BTreeMap<String, Vec<BTreeMap<String, f64>>>,
    pub(super) evaluations: Vec<LoadedEvaluation>,
    pub(super) approvals: Vec<ApprovalView>,
    /// Whether a scorer runs.
    pub(super) scoring: bool,
}

impl<P: Ports> Engine<P> {
    pub(super) async fn registry_of(
        &self,
        object: &ChampionPolicy,
    ) -> Result<P::Registry, PortError> {
        let reference = &object.spec.registry_ref.name;
        let found = self.ports.cluster().get::<ModelRegistry>(reference).await?;
        let registry = found.ok_or_else(|| missing("ModelRegistry", reference))?;
        self.ports.registry(&registry).await
    }

    pub(super) async fn observe_policy(
        &self,
        object: &ChampionPolicy,
        settings: &PolicySettings,
        registry: &P::Registry,
        memory: &Memory,
    ) -> Result<Observed, PortError> {
        let policy = &settings.policy;
        let view = registry.view(&policy.model).await?;
        let registers = registry.registers(&policy.model).await?;
        let ledger = Ledger::read(&registers, &policy.aliases).map_err(|e| e.to_string());
        let mut observed = Observed {
            identity: self.identity(object, registry).await?,
            registry: view,
            ledger,
            registered: self.registered_by_searches(settings).await?,
            predictions: BTreeMap::new(),
            measurements: BTreeMap::new(),
            evaluations: Vec::new(),
            approvals: self.approvals_of(object).await?,
            scoring: false,
        };
        let champion = observed
            .registry
            .as_ref()
            .and_then(|view| view.aliases.get(&policy.aliases.champion).cloned());
        let Some(champion) = champion.filter(|_| !policy.suspend) else {
            return Ok(observed);
        };
        for challenger in observed.challengers(settings, memory) {
            self.observe_pair(
                object,
                settings,
                memory,
                &champion,
                &challenger,
                &mut observed,
            )
            .await?;
        }
        Ok(observed)
    }

    async fn observe_pair(
        &self,
        object: &ChampionPolicy,
        settings: &PolicySettings,
        memory: &Memory,
        champion: &str,
        challenger: &str,
        observed: &mut Observed,
    ) -> Result<(), PortError> {
        let pair = [champion, challenger];
        let mut predictions = Vec::new();
        let mut measurements = Vec::new();
        for version in pair {
            let scored = self
                .scored(
                    object,
                    settings,
                    memory,
                    version,
                    &pair,
                    observed.registry.as_ref(),
                )
                .await?;
            observed.scoring |= scored.predictions == Predictions::InProgress;
            predictions.push(scored.predictions);
            measurements.push(scored.measurements);
        }
        let (Some(of_challenger), Some(of_champion)) = (predictions.pop(), predictions.pop())
        else {
            return Ok(());
        };
        let present = of_champion == Predictions::Present && of_challenger == Predictions::Present;
        let mut both = [of_champion, of_challenger];
        if present {
            let registry = observed.registry.as_ref();
            let asked = self
                .question(object, settings, registry, pair, &measurements)
                .await?;
            let loaded = self.load_evaluation(asked).await?;
            if loaded.as_ref().is_some_and(LoadedEvaluation::failed) {
                self.after_failed_comparison(object, settings, &pair, registry, &mut both)
                    .await?;
            }
            observed.evaluations.extend(loaded);
        }
        observed.predictions.insert(challenger.to_string(), both);
        observed
            .measurements
            .insert(challenger.to_string(), measurements);
        Ok(())
    }

    /// The policy as an owner of its alias.
    async fn identity(
        &self,
        object: &ChampionPolicy,
        registry: &P::Registry,
    ) -> Result<Identity, PortError> {
        let found = self
            .ports
            .cluster()
            .get::<ModelRegistry>(&object.spec.registry_ref.name)
            .await?;
        let location = found.map(|found| self.ports.location(&found.spec));
        Ok(Identity {
            uid: object.uid().unwrap_or_default(),
            owner: format!("{}/{}", location.unwrap_or_default(), object.name_any()),
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
            // A registry that cannot be looked up is none that is written.
            let same = match self.registry_of(&other).await {
                Ok(of_other) => of_other.identity() == registry.identity(),
                Err(_) => false,
            };
            if same {
                older = Some(other);
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

    async fn approvals_of(&self, object: &ChampionPolicy) -> Result<Vec<ApprovalView>, PortError> {
        let approvals = self.ports.cluster().list::<Approval>().await?;
        let of_policy = approvals
            .into_iter()
            .filter(|approval| approval.spec.policy_ref.name == object.name_any());
        Ok(of_policy.map(|approval| view_of(&approval)).collect())
    }
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
            .map_or(podium_core::time::Timestamp(0), |time| from_time(&time)),
    }
}

impl Observed {
    /// The versions that want to be champion.
    fn challengers(&self, settings: &PolicySettings, memory: &Memory) -> Vec<String> {
        challengers(&ChampionInput {
            policy: &settings.policy,
            identity: &self.identity,
            leads: true,
            registry: self.registry.as_ref(),
            ledger: self.ledger.as_ref().map_err(String::as_str),
            memory,
            registered: &self.registered,
            predictions: &BTreeMap::new(),
            evaluations: &[],
            approvals: &[],
            window: WindowView::ALWAYS,
        })
    }
}
