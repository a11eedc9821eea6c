//! A policy: the registry, its ledger and the evidence are looked at, the next step is planned, carried out and reported.

mod carry_out;
mod cloud_event;
mod comparisons;
mod confirmation;
mod deliveries;
mod events;
mod loaded_evaluation;
mod notifications;
mod observe;
mod orders;
mod overwritten;
mod predictions;
mod publication;
mod scorer_attempts;
mod scoring;
mod status;
mod undelivered;

pub(super) use publication::Cause as PublicationCause;

use super::pauses::{Generation, generation_of};
use super::trial::is_deleted;
use super::{Engine, Requeue};
use crate::ports::{Cluster, Events, PortError, PortErrorKind, Ports};
use kube::ResourceExt;
use loaded_evaluation::views;
use observe::{Observed, TAKE_OVER};
use podium_api::convert::{
    PolicySettings, World, memory_of, needs_somebody_who_stays, policy as settings_of,
    settled_condition, window_at,
};
use podium_api::{ChampionPolicy, ModelRegistry};
use podium_core::champion::{Freshness, Memory, Plan, plan};
use podium_core::problem::in_one_line;
use podium_core::time::Timestamp;
use status::StatusInput;

/// What people can change to mend a policy that failed. As long as none of it changes, it is tried again after growing pauses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    policy: Generation,
    take_over: Option<String>,
    registry: Option<Generation>,
    /// Uids of the approvals of the policy.
    approvals: Vec<String>,
}

/// What people can change so that an alias may be moved that was denied: policy and registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Denial([Generation; 2]);

impl Denial {
    fn of(policy: &ChampionPolicy, registry: &ModelRegistry) -> Self {
        Self([generation_of(policy), generation_of(registry)])
    }
}

/// What a step of a policy failed at.
enum Failure {
    /// The registry did not do what it was asked.
    Registry(PortError),
    /// Something else failed.
    Elsewhere(PortError),
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        Self::Elsewhere(error)
    }
}

impl Failure {
    fn error(&self) -> &PortError {
        match self {
            Self::Registry(error) | Self::Elsewhere(error) => error,
        }
    }
}

/// A plan, what it was made of, and what is to be shown of it.
struct Planned {
    observed: Observed,
    plan: Plan,
    shown: StatusInput,
}

fn unverified(required: u32) -> String {
    format!(
        "spec.promotion.approval.required: must be 1 and not {required} as long as nothing makes sure that an Approval names whoever created it, \
         since one person could be two; the chart's value `approvers.verify` installs an admission policy for that"
    )
}

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
        // Whatever keeps the policy from being planned keeps nobody from hearing of what was decided.
        let (object, undelivered) = self.deliver_notifications(object, now).await?;
        let left = self.take_policy_further(object, now).await?;
        Ok(left.and(undelivered))
    }

    async fn take_policy_further(
        &self,
        object: ChampionPolicy,
        now: Timestamp,
    ) -> Result<Requeue, PortError> {
        let left_out = match self.ports.stays() {
            true => Vec::new(),
            false => needs_somebody_who_stays(&object.spec),
        };
        let settings = match settings_of(&object.spec, self.ports.world()) {
            Ok(settings) if left_out.is_empty() => settings,
            converted => {
                let mut problems = converted.err().unwrap_or_default();
                problems.extend(left_out);
                let invalid = StatusInput::failed("InvalidSpec", &in_one_line(&problems));
                self.report_failed_policy(&object, invalid, now).await?;
                return Ok(Requeue::default());
            }
        };
        let required = settings.policy.approvals_required;
        if required > 1 && !self.ports.approvers_are_verified() {
            let unverified = StatusInput::failed("ApproversUnverified", &unverified(required));
            self.report_failed_policy(&object, unverified, now).await?;
            return Ok(Requeue::default());
        }
        let kept = self.keep_champion(&object, &settings, now).await?;
        let retrained = self.retrain(&object, settings.retraining.as_ref());
        Ok(kept.and(retrained.await?))
    }

    /// Takes the care of the champion one step further.
    async fn keep_champion(
        &self,
        object: &ChampionPolicy,
        settings: &PolicySettings,
        now: Timestamp,
    ) -> Result<Requeue, PortError> {
        let name = &object.name_any();
        let next_poll = self.next_poll(object, now);
        let cause = self.cause_of_failures(object).await?;
        if let Some(at) = self.pauses.until(name, &cause, now) {
            return Ok(Requeue {
                at: Some(at),
                ..Requeue::default()
            });
        }
        let failure = match self.plan_and_carry_out_policy(object, settings, now).await {
            Ok(left) => {
                self.pauses.forget(name);
                return Ok(left.and(next_poll));
            }
            Err(failure) => failure,
        };
        // Somebody wrote meanwhile, and what was planned may not hold any more.
        if failure.error().kind == PortErrorKind::Conflict {
            return Err(failure.error().clone());
        }
        let pause = self.pause_after_failure(name, cause, self.now());
        // The status may have been written before the failure, so it is read again.
        let object = self.ports.cluster().get::<ChampionPolicy>(name).await?;
        if let Some(object) = object {
            let failed = StatusInput::of_failure(&failure);
            self.report_failed_policy(&object, failed, now).await?;
        }
        Ok(pause.and(next_poll))
    }

    async fn cause_of_failures(&self, object: &ChampionPolicy) -> Result<Cause, PortError> {
        let reference = &object.spec.registry_ref.name;
        let registry = self.ports.cluster().get::<ModelRegistry>(reference).await?;
        let approvals = self.approvals_of(object).await?;
        Ok(Cause {
            policy: generation_of(object),
            take_over: object.annotations().get(TAKE_OVER).cloned(),
            registry: registry.as_ref().map(generation_of),
            approvals: approvals.iter().filter_map(ResourceExt::uid).collect(),
        })
    }

    /// A run that ends when nothing is left to do leaves it to the next one.
    fn pause_after_failure(&self, name: &str, cause: Cause, now: Timestamp) -> Requeue {
        let stays = self.ports.stays();
        Requeue {
            at: stays.then(|| self.pauses.failed(name, cause, now)),
            ..Requeue::default()
        }
    }

    /// Who stays looks at the registry again and again.
    fn next_poll(&self, object: &ChampionPolicy, now: Timestamp) -> Requeue {
        let seconds = u64::try_from(object.spec.poll_seconds).unwrap_or(60);
        let at = self.ports.stays().then(|| now.plus_seconds(seconds));
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
    ) -> Result<Requeue, Failure> {
        let named = self.registry_of(object).await?;
        let registry = self.ports.registry(&named).await?;
        let memory = memory_of(object.status.as_ref());
        let Planned {
            observed,
            plan,
            shown,
        } = self
            .plan_policy(object, settings, (&named, &registry), &memory, now)
            .await?;
        let published = self.publish_champion(object, &observed, &plan, now).await;
        let announced = [published.condition, self.receivers_condition(object)];
        let shown = shown.saying(announced.into_iter().flatten());
        let is_written = self.report_policy(object, &shown, now).await?;
        // A write of the status compares; without one, an operator that has just begun to lead could go by a status of before.
        if !is_written && !plan.actions.is_empty() {
            self.ports.cluster().confirm(object).await?;
        }
        self.carry_out_plan((object, &named), settings, &registry, &observed, &plan)
            .await?;
        let left = Requeue {
            changed: plan.again,
            pending: observed.scoring,
            at: plan.look_again_at,
        };
        let next_turn = self.next_turn(object, plan.again && !is_written);
        let published = Requeue {
            at: published.again_at,
            ..Requeue::default()
        };
        Ok(left.and(next_turn).and(published))
    }

    /// In a cluster a write of the status calls for the next turn by itself; what is done in the registry alone does not.
    fn next_turn(&self, object: &ChampionPolicy, is_uncalled: bool) -> Requeue {
        let name = object.name_any();
        let at = match self.ports.world() {
            World::Cluster if is_uncalled => Some(self.turns.next(&name, self.now())),
            World::Cluster | World::Local => {
                self.turns.forget(&name);
                None
            }
        };
        Requeue {
            at,
            ..Requeue::default()
        }
    }

    /// Looks at what the plan depends on, and plans; once more, if what would be done demands a newer look at the registry.
    async fn plan_policy(
        &self,
        object: &ChampionPolicy,
        settings: &PolicySettings,
        registry: (&ModelRegistry, &P::Registry),
        memory: &Memory,
        now: Timestamp,
    ) -> Result<Planned, Failure> {
        // Whoever changed the specification waits for an answer, and may have changed the registry for it.
        let observed_generation = object.status.as_ref().and_then(|s| s.observed_generation);
        let mut freshness = match object.metadata.generation == observed_generation {
            true => Freshness::Polled,
            false => Freshness::Now,
        };
        let said = object
            .status
            .as_ref()
            .and_then(|status| settled_condition(&status.conditions, "Ready"))
            .map(|(_, reason, _)| reason);
        loop {
            let observed = self
                .observe_policy(object, settings, registry, memory, freshness)
                .await?;
            let clock = (self.ports.world(), now);
            let evaluations = views(&observed.evaluations, settings, clock);
            let window = window_at(&settings.windows, now);
            let input = observed.input(memory, &evaluations, window);
            let plan = plan(&input, now);
            let demanded = plan.demanded_freshness(memory, said);
            if observed.freshness >= demanded {
                let shown = StatusInput::planned(&input, &plan, object);
                // They borrow what is returned.
                drop(evaluations);
                return Ok(Planned {
                    observed,
                    plan,
                    shown,
                });
            }
            // A look that is older than it was asked for must not be asked for again and again.
            freshness = match freshness < demanded {
                true => demanded,
                false => Freshness::Now,
            };
        }
    }

    /// Says why a policy is not planned, or not carried out. Its receivers hear of what was decided all the same.
    async fn report_failed_policy(
        &self,
        object: &ChampionPolicy,
        failed: StatusInput,
        now: Timestamp,
    ) -> Result<(), PortError> {
        let shown = failed.saying(self.receivers_condition(object));
        self.report_policy(object, &shown, now).await?;
        Ok(())
    }

    /// Whether the status had to be written. It remembers what was begun, so it replaces nothing but what was read.
    async fn report_policy(
        &self,
        object: &ChampionPolicy,
        input: &StatusInput,
        now: Timestamp,
    ) -> Result<bool, PortError> {
        let mut updated = object.clone();
        let before = object.status.clone().unwrap_or_default();
        let mut after = input.status_of(object, now);
        // What is owed to receivers is stored in the write that it follows from.
        let uid = object.uid().unwrap_or_default();
        let news = notifications::changes(&uid, &before, &after, now);
        let receivers = &object.spec.notify;
        let kept = undelivered::with_news(&before.notifications, news, receivers, now);
        after.notifications = kept.notifications;
        updated.status = Some(after.clone());
        self.ports.cluster().replace_status(&updated).await?;
        for change in events::changes(object, &before, &after) {
            self.ports.events().publish(change).await;
        }
        for dropped in &kept.dropped {
            let text = deliveries::words_of_dropped(dropped);
            let event = events::notification_given_up(object, &text);
            self.ports.events().publish(event).await;
        }
        Ok(object.status.as_ref() != Some(&after))
    }
}
