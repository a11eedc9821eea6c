//! Where a policy is, and waiting until it has nothing left to do.

use super::ledger_of_model::champion;
use super::world::{NAME, Objects, Process, ready, reason};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use podium_operator::adapters::mlflow::registry::MlflowRegistry;
use podium_operator::engine::{Engine, Requeue};
use podium_operator::ports::PortError;
use std::time::{Duration, Instant};

/// After this time it is given up that a policy settles.
const PATIENCE: Duration = Duration::from_secs(240);
/// More steps than anything takes that nobody disturbs.
const MOST_STEPS: usize = 100;

/// Whether a policy has nothing left to do, for one of these reasons. A move stays begun while the registry is one that was set back.
pub fn is_settled(objects: &Objects, reasons: &[&str]) -> bool {
    let policy = objects.policy();
    let reason = reason(&policy);
    let status = policy.status.unwrap_or_default();
    let is_moving = status.in_flight.is_some() && reason != "RegistrySetBack";
    !is_moving && reasons.contains(&reason.as_str())
}

/// Takes the policy one step further, and its comparisons.
async fn reconcile(engine: &Engine<Process>, objects: &Objects) -> Result<Requeue, PortError> {
    let mut left = Requeue::default();
    for comparison in objects.names("Evaluation") {
        left = left.and(engine.reconcile_evaluation(&comparison).await?);
    }
    Ok(left.and(engine.reconcile_champion_policy(NAME).await?))
}

/// Reconciles the policy until it does nothing more by itself: its condition `Ready` then.
pub async fn at_rest(engine: &Engine<Process>, objects: &Objects) -> Condition {
    for _ in 0..MOST_STEPS {
        let left = reconcile(engine, objects).await;
        if left.is_ok_and(|left| !left.changed) {
            return ready(&objects.policy()).cloned().unwrap();
        }
    }
    let policy = objects.policy();
    panic!("{} does not come to rest: {policy:#?}", policy.spec.model);
}

/// Reconciles the policy until it has nothing left to do.
pub async fn until_settled(engine: &Engine<Process>, objects: &Objects, reasons: &[&str]) {
    let mut last = None;
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let left = reconcile(engine, objects).await;
        let is_at_rest = left.as_ref().is_ok_and(|left| !left.changed);
        if is_at_rest && is_settled(objects, reasons) {
            return;
        }
        if !left.as_ref().is_ok_and(|left| left.changed) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        last = Some(left);
    }
    let policy = objects.policy();
    let ready = ready(&policy);
    panic!(
        "{}: waited in vain for {reasons:?}: {last:?}, {ready:?}",
        policy.spec.model
    );
}

/// Reconciles until the status names the champion that MLflow has: what happened during a look is found out by one of the next polls.
pub async fn until_in_sync(
    engine: &Engine<Process>,
    objects: &Objects,
    registry: &MlflowRegistry,
    model: &str,
) {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let left = engine.reconcile_champion_policy(NAME).await;
        let status = objects.policy().status.unwrap_or_default();
        let shown = status.champion.map(|champion| champion.version);
        let is_at_rest = left.is_ok_and(|left| !left.changed) && status.in_flight.is_none();
        if is_at_rest && shown == champion(registry, model).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{model}: waited in vain until the status says what is");
}
