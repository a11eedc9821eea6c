//! Consent: an object that says whose policy hears it.

use super::trial::is_deleted;
use super::{Engine, Requeue};
use crate::ports::{Cluster, PortError, Ports};
use podium_api::approval::ApprovalStatus;
use podium_api::convert::{stalled_conditions, with_conditions};
use podium_api::{Approval, ChampionPolicy};
use podium_core::tuning::conditions::{Condition, Status};

impl<P: Ports> Engine<P> {
    /// Says on an approval whether there is a policy that hears it. What it did stands in the history of the policy.
    ///
    /// # Errors
    /// A port could not do what it was asked.
    pub async fn reconcile_approval(&self, name: &str) -> Result<Requeue, PortError> {
        let found = self.ports.cluster().get::<Approval>(name).await?;
        let Some(object) = found.filter(|object| !is_deleted(object)) else {
            return Ok(Requeue::default());
        };
        let policy = &object.spec.policy_ref.name;
        let heard = self.ports.cluster().get::<ChampionPolicy>(policy).await?;
        let desired = if heard.is_some() {
            let message = format!("the ChampionPolicy `{policy}` takes it into account");
            vec![Condition {
                kind: "Ready",
                status: Status::True,
                reason: "Recorded".to_string(),
                message,
            }]
        } else {
            let message = format!(
                "the ChampionPolicy `{policy}` does not exist; it must stand in the same namespace"
            );
            stalled_conditions("PolicyNotFound", &message)
        };
        let generation = object.metadata.generation;
        let before = object.status.clone().unwrap_or_default();
        let mut updated = object;
        updated.status = Some(ApprovalStatus {
            observed_generation: generation,
            conditions: with_conditions(&before.conditions, &desired, generation, self.now()),
        });
        self.ports.cluster().write_status(&updated).await?;
        Ok(Requeue::default())
    }
}
