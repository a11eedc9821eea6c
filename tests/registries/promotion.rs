//! What tests of promotions share: models, a look at where a policy is, and what must hold in the end.

use super::world::{NAME, Objects, Process, ready, reason};
use podium_operator::adapters::mlflow::registry::MlflowRegistry;
use podium_operator::engine::Engine;
use podium_operator::ports::{ModelRegistry, NewVersion};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// After this time it is given up that a policy settles.
const PATIENCE: Duration = Duration::from_secs(60);

/// A model with so many versions; version 1 is champion if somebody is.
pub async fn make_model(registry: &MlflowRegistry, model: &str, versions: usize, champion: bool) {
    for key in 1..=versions {
        let new = NewVersion {
            model,
            key: &key.to_string(),
            source: "s3://models/fraud",
            tags: BTreeMap::new(),
        };
        registry.register(new).await.unwrap();
    }
    if champion {
        let moved = registry.move_alias(model, "champion", None, Some("1"));
        moved.await.unwrap();
    }
}

/// Where the alias `champion` of a model points.
pub async fn champion(registry: &MlflowRegistry, model: &str) -> Option<String> {
    let view = registry.view(model).await.unwrap()?;
    view.aliases.get("champion").cloned()
}

/// Whether a policy has nothing left to do, for one of these reasons. A move stays begun while the registry is one that was set back.
pub fn is_settled(objects: &Objects, reasons: &[&str]) -> bool {
    let policy = objects.policy();
    let reason = reason(&policy);
    let status = policy.status.unwrap_or_default();
    let is_moving = status.in_flight.is_some() && reason != "RegistrySetBack";
    !is_moving && reasons.contains(&reason.as_str())
}

/// Reconciles the policy until it has nothing left to do.
pub async fn until_settled(engine: &Engine<Process>, objects: &Objects, reasons: &[&str]) {
    let mut last = None;
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let left = engine.reconcile_champion_policy(NAME).await;
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

/// The registers of a kind for the alias `champion`, by their numbers.
pub async fn registers(registry: &MlflowRegistry, model: &str, kind: &str) -> Vec<String> {
    let all = registry.registers(model).await.unwrap();
    let prefix = format!("{kind}/champion/");
    let found = all.into_iter().filter(|(key, _)| key.starts_with(&prefix));
    found.map(|(_, text)| text).collect()
}

/// Each epoch of the ledger has a claim and an outcome; the outcomes.
pub async fn outcomes(registry: &MlflowRegistry, model: &str) -> Vec<String> {
    let claims = registers(registry, model, "claim").await;
    let outcomes = registers(registry, model, "outcome").await;
    assert_eq!(
        claims.len(),
        outcomes.len(),
        "{model}: {claims:?} {outcomes:?}"
    );
    outcomes
}

/// The ledger tells of one promotion.
pub async fn tells_of_one_promotion(registry: &MlflowRegistry, model: &str) {
    let outcomes = outcomes(registry, model).await;
    let promoted = outcomes.iter().filter(|text| text.contains("Promoted"));
    assert_eq!(promoted.count(), 1, "{model}: {outcomes:?}");
}
