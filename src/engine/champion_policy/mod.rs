//! A policy: the registry, its ledger and the evidence are looked at, the next step is planned, carried out and reported.

mod carry_out;
mod comparisons;
mod observe;
mod scoring;
mod status;

use super::trial::is_deleted;
use super::{Engine, Requeue};
use crate::ports::{Cluster, PortError, PortErrorKind, Ports};
use comparisons::views;
use podium_api::ChampionPolicy;
use podium_api::convert::{PolicySettings, World, memory_of, policy as settings_of, window_at};
use podium_core::champion::{ChampionInput, plan};
use podium_core::problem::in_one_line;
use podium_core::time::Timestamp;
use status::StatusInput;

impl<P: Ports> Engine<P> {
    /// Takes a policy one step further. Whatever keeps it from that is said in its status, and touches no other object.
    ///
    /// # Errors
    /// The status cannot be read or written.
    pub async fn reconcile_champion_policy(&self, name: &str) -> Result<Requeue, PortError> {
        let found = self.ports.cluster().get::<ChampionPolicy>(name).await?;
        let Some(object) = found.filter(|object| !is_deleted(object)) else {
            return Ok(Requeue::default());
        };
        let now = self.now();
        let settings = match settings_of(&object.spec, self.ports.world()) {
            Ok(settings) => settings,
            Err(problems) => {
                let invalid = StatusInput::failed("InvalidSpec", &in_one_line(&problems));
                self.report_policy(&object, &invalid, now).await?;
                return Ok(Requeue::default());
            }
        };
        let next_poll = self.next_poll(&object, now);
        match self
            .plan_and_carry_out_policy(&object, &settings, now)
            .await
        {
            Ok(left) => Ok(left.and(next_poll)),
            // Somebody wrote meanwhile, and what was planned may not hold any more.
            Err(error) if error.kind == PortErrorKind::Conflict => Err(error),
            Err(error) => {
                // The status may have been written before the failure, so it is read again.
                let object = self.ports.cluster().get::<ChampionPolicy>(name).await?;
                if let Some(object) = object {
                    let failed = StatusInput::of_failure(&error);
                    self.report_policy(&object, &failed, now).await?;
                }
                Ok(next_poll)
            }
        }
    }

    /// In a cluster the registry is looked at on a schedule; a run on this machine ends when nothing is left to do.
    fn next_poll(&self, object: &ChampionPolicy, now: Timestamp) -> Requeue {
        let seconds = u64::try_from(object.spec.poll_seconds).unwrap_or(60);
        let at = (self.ports.world() == World::Cluster).then(|| now.plus_seconds(seconds));
        Requeue {
            at,
            ..Requeue::default()
        }
    }

    async fn plan_and_carry_out_policy(
        &self,
        object: &ChampionPolicy,
        settings: &PolicySettings,
        now: Timestamp,
    ) -> Result<Requeue, PortError> {
        let registry = self.registry_of(object).await?;
        let memory = memory_of(object.status.as_ref());
        let observed = self
            .observe_policy(object, settings, &registry, &memory)
            .await?;
        let evaluations = views(&observed.evaluations, settings);
        let input = ChampionInput {
            policy: &settings.policy,
            identity: &observed.identity,
            // Whoever may not write is stopped at every single write.
            leads: true,
            registry: observed.registry.as_ref(),
            ledger: observed.ledger.as_ref().map_err(String::as_str),
            memory: &memory,
            registered: &observed.registered,
            predictions: &observed.predictions,
            evaluations: &evaluations,
            approvals: &observed.approvals,
            window: window_at(&settings.windows, now),
        };
        let plan = plan(&input, now);
        let shown = StatusInput::planned(&input, &plan, object);
        self.report_policy(object, &shown, now).await?;
        self.carry_out_plan(object, settings, &registry, &observed, &plan)
            .await?;
        Ok(Requeue {
            changed: plan.again,
            pending: observed.scoring,
            at: plan.look_again_at,
        })
    }

    async fn report_policy(
        &self,
        object: &ChampionPolicy,
        input: &StatusInput,
        now: Timestamp,
    ) -> Result<(), PortError> {
        let mut updated = object.clone();
        updated.status = Some(input.status_of(object, now));
        self.ports.cluster().write_status(&updated).await
    }
}
