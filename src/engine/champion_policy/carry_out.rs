//! Carries out the actions of a plan, in their order.

use super::loaded_evaluation::LoadedEvaluation;
use super::observe::Observed;
use super::scoring::Round;
use super::{Denial, Engine, Failure, events};
use crate::engine::evaluation::judged_status;
use crate::ports::{
    AliasUpdate, Cluster, Events, ModelRegistry as _, PortError, PortErrorKind, Ports,
    RegisterWrite,
};
use kube::ResourceExt;
use podium_api::convert::{PolicySettings, name_of};
use podium_api::{ChampionPolicy, ModelRegistry};
use podium_core::champion::{Action, InFlight, LookTaken, MovePhase, Plan};
use std::collections::BTreeMap;

impl<P: Ports> Engine<P> {
    pub(super) async fn carry_out_plan(
        &self,
        (object, named): (&ChampionPolicy, &ModelRegistry),
        settings: &PolicySettings,
        registry: &P::Registry,
        observed: &Observed,
        plan: &Plan,
    ) -> Result<(), Failure> {
        let model = &settings.policy.model;
        for action in &plan.actions {
            match action {
                Action::Score {
                    version,
                    challenger,
                    source: _, // stands in the registry that was looked at
                    inputs: _, // remembered by the plan
                } => {
                    let champion = observed.champion(settings);
                    let round = Round {
                        object,
                        settings,
                        named,
                        registry: observed.registry.as_ref(),
                        pair: [champion.unwrap_or_default(), challenger.as_str()],
                    };
                    self.score(&round, version).await?;
                }
                Action::Evaluate {
                    champion: _, // of the policy, whose questions were made with it
                    challenger,
                } => {
                    if let Some(asked) = observed.questions.get(challenger) {
                        self.ask(object, asked).await?;
                    }
                }
                Action::LookAgain { evaluation } => {
                    if let Some(loaded) = observed.evaluation(evaluation) {
                        self.look_again(object, loaded).await?;
                    }
                }
                Action::Judge { evaluation, look } => {
                    self.judge(observed, evaluation, look.as_ref()).await?;
                }
                Action::Confirm { evaluation, number } => {
                    self.ask_for_look(observed, evaluation, *number).await?;
                }
                Action::Write(register) => {
                    let written = registry.write_register(model, register).await;
                    // Another text is somebody else's: what follows was planned without it.
                    if written.map_err(Failure::Registry)? == RegisterWrite::Taken {
                        return Ok(());
                    }
                }
                Action::MoveAlias {
                    alias,
                    from,
                    to,
                    in_flight,
                } => {
                    let (from, to) = (from.as_deref(), to.as_deref());
                    let moved = registry.move_alias(model, alias, from, to).await;
                    if *in_flight {
                        let moved = moved.map_err(Failure::Registry)?;
                        self.record_move(object, plan, &moved).await?;
                    } else {
                        self.tell_of_denied_alias((object, named), alias, moved)
                            .await?;
                    }
                }
                Action::TagVersion { version, change } => {
                    let tagged = registry.tag(model, version, tags_of(change)).await;
                    tagged.map_err(Failure::Registry)?;
                }
            }
        }
        Ok(())
    }

    /// An alias for people's convenience, which some accounts may set and not remove, holds nothing up.
    async fn tell_of_denied_alias(
        &self,
        (object, named): (&ChampionPolicy, &ModelRegistry),
        alias: &str,
        moved: Result<AliasUpdate, PortError>,
    ) -> Result<(), Failure> {
        match moved {
            Err(error) if error.kind == PortErrorKind::Forbidden => {
                let denial = Denial::of(object, named);
                self.denials.failed(&object.name_any(), denial, self.now());
                let denied = events::alias_denied(object, alias, &error);
                self.ports.events().publish(denied).await;
                Ok(())
            }
            moved => moved.map(drop).map_err(Failure::Registry),
        }
    }

    /// Whether the account was denied it lately.
    pub(super) fn is_denied_previous(
        &self,
        object: &ChampionPolicy,
        named: &ModelRegistry,
    ) -> bool {
        let denial = Denial::of(object, named);
        let until = self.denials.until(&object.name_any(), &denial, self.now());
        until.is_some()
    }

    /// Stores the verdict of a comparison that waits for it.
    async fn judge(
        &self,
        observed: &Observed,
        name: &str,
        look: Option<&LookTaken>,
    ) -> Result<(), PortError> {
        let loaded = observed.evaluation(name);
        let Some(mut evaluation) = loaded.map(|loaded| loaded.object.clone()) else {
            return Ok(());
        };
        evaluation.status = Some(judged_status(&evaluation, look, self.now())?);
        self.ports.cluster().replace_status(&evaluation).await
    }

    /// Once the registry confirmed the move of a plan, an alias that is elsewhere was moved by somebody else.
    async fn record_move(
        &self,
        object: &ChampionPolicy,
        plan: &Plan,
        moved: &AliasUpdate,
    ) -> Result<(), PortError> {
        match moved {
            AliasUpdate::Done | AliasUpdate::MovedOn { .. } => {}
            AliasUpdate::Contended { .. } => return Ok(()),
        }
        let name = object.name_any();
        let Some(mut stored) = self.ports.cluster().get::<ChampionPolicy>(&name).await? else {
            return Ok(());
        };
        let begun = plan.memory.in_flight.as_ref();
        let in_flight = stored
            .status
            .as_mut()
            .and_then(|status| status.in_flight.as_mut())
            // Whoever leads by now may have begun another move, of which this says nothing.
            .filter(|stored| begun.is_some_and(|begun| begun.decision == stored.decision_id));
        let Some(in_flight) = in_flight else {
            return Ok(());
        };
        in_flight.phase = name_of(MovePhase::Applied);
        self.ports.cluster().replace_status(&stored).await
    }
}

impl Observed {
    /// The comparison of this name.
    fn evaluation(&self, name: &str) -> Option<&LoadedEvaluation> {
        let mut evaluations = self.evaluations.iter();
        evaluations.find(|loaded| loaded.object.name_any() == name)
    }

    fn champion(&self, settings: &PolicySettings) -> Option<&str> {
        let aliases = &self.registry.as_ref()?.aliases;
        aliases
            .get(&settings.policy.aliases.champion)
            .map(String::as_str)
    }
}

fn tags_of(change: &InFlight) -> BTreeMap<String, String> {
    let evidence = change
        .evidence
        .as_ref()
        .map(|evidence| evidence.digest.clone());
    [
        ("decision", change.decision.clone()),
        (
            "evidence",
            evidence.unwrap_or_else(|| name_of(change.cause)),
        ),
        ("compared-with", change.from.clone().unwrap_or_default()),
    ]
    .map(|(key, value)| (format!("podium.dev/{key}"), value))
    .into()
}
