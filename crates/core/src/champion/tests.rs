//! Decisions on champions, each on a hand-made situation; the whole promotion by planning until nothing is left.

use std::collections::BTreeMap;

use super::gates::{Approvals, FirstChampion, Mode};
use super::*;

const NOW: Timestamp = Timestamp(1_000_000_000);

fn mk_policy() -> Policy {
    Policy {
        model: "fraud".to_string(),
        aliases: Aliases {
            champion: "champion".to_string(),
            challenger: "challenger".to_string(),
            previous: "previous-champion".to_string(),
        },
        suspend: false,
        mode: Mode::Automatic,
        first_champion: FirstChampion::Automatic,
        approvals_required: 1,
        cooldown_seconds: 0,
        on_external_change: OnExternalChange::Adopt,
        pin: None,
        max_evaluations: None,
        rows_noun: "transactions".to_string(),
    }
}

/// A world that carries out every action at once.
struct World {
    policy: Policy,
    registry: RegistryView,
    memory: Memory,
    predictions: BTreeMap<String, Predictions>,
    evaluation: Option<EvaluationView>,
    approvals: Approvals,
}

impl World {
    fn with(versions: &[&str], champion: Option<&str>, challenger: Option<&str>) -> Self {
        let mut registry = RegistryView::default();
        for version in versions {
            registry
                .versions
                .insert((*version).to_string(), format!("models/{version}"));
        }
        for (alias, version) in [("champion", champion), ("challenger", challenger)] {
            registry
                .aliases
                .extend(version.map(|v| (alias.to_string(), v.to_string())));
        }
        Self {
            policy: mk_policy(),
            registry,
            memory: Memory::default(),
            predictions: BTreeMap::new(),
            evaluation: None,
            approvals: Approvals::default(),
        }
    }

    fn plan(&self) -> Plan {
        plan(
            &ChampionInput {
                policy: &self.policy,
                registry: Some(&self.registry),
                memory: &self.memory,
                predictions: &self.predictions,
                evaluation: self.evaluation.as_ref(),
                approvals: self.approvals,
            },
            NOW,
        )
    }

    fn carry_out(&mut self, plan: &Plan, outcome: Outcome) {
        self.memory = plan.memory.clone();
        for action in &plan.actions {
            match action {
                Action::Score { version, .. } => {
                    let digest = format!("sha256:{version}");
                    self.predictions
                        .insert(version.clone(), Predictions::Present { digest });
                }
                Action::Evaluate { .. } => {
                    self.evaluation = Some(EvaluationView {
                        name: "fraud-1-2".to_string(),
                        evidence: "sha256:1".to_string(),
                        state: EvaluationState::Finished {
                            outcome,
                            sentence: "v2 is as found.".to_string(),
                        },
                    });
                }
                Action::MoveAlias { alias, from, to } => {
                    assert_eq!(self.registry.aliases.get(alias), from.as_ref());
                    self.registry.aliases.insert(alias.clone(), to.clone());
                }
                Action::TagVersion { .. } => {}
            }
        }
    }

    /// Plans and acts until nothing changes; returns the last plan and every decision taken.
    fn settle(&mut self, outcome: Outcome) -> (Plan, Vec<Decision>) {
        let mut decisions = Vec::new();
        for _ in 0..20 {
            let plan = self.plan();
            decisions.extend(plan.decision.clone());
            if plan.actions.is_empty() && !plan.again && plan.memory == self.memory {
                return (plan, decisions);
            }
            self.carry_out(&plan, outcome);
        }
        panic!("the plan does not settle");
    }

    fn champion(&self) -> Option<&str> {
        self.registry.aliases.get("champion").map(String::as_str)
    }
}

#[test]
fn a_superior_challenger_becomes_champion_and_the_old_one_is_remembered() {
    let mut world = World::with(&["1", "2"], Some("1"), Some("2"));
    let (last, decisions) = world.settle(Outcome::Superior);
    assert_eq!(world.champion(), Some("2"));
    assert_eq!(world.registry.aliases["previous-champion"], "1");
    assert_eq!(
        decisions,
        [Decision::Promote {
            sentence: "v2 is as found. Promoted.".to_string()
        }]
    );
    assert_eq!(
        (last.phase, world.memory.in_flight),
        (Phase::Watching, None)
    );
    assert_eq!(world.memory.champion.unwrap().origin, Origin::Promoted);
}

#[test]
fn anything_but_superior_holds() {
    for outcome in [
        Outcome::Inferior,
        Outcome::Inconclusive,
        Outcome::NotComparable,
    ] {
        let mut world = World::with(&["1", "2"], Some("1"), Some("2"));
        let (last, _) = world.settle(outcome);
        assert_eq!((world.champion(), last.phase), (Some("1"), Phase::Held));
        assert_eq!(last.message, "v2 is as found. Held.");
    }
}

#[test]
fn a_crash_between_any_two_steps_ends_in_the_same_place() {
    for crash_after in 0..12 {
        let mut world = World::with(&["1", "2"], Some("1"), Some("2"));
        for step in 0..20 {
            let plan = world.plan();
            let before = world.memory.clone();
            world.carry_out(&plan, Outcome::Superior);
            if step == crash_after {
                // The memory was stored, some of the actions were done, the rest of the step was lost.
                world.memory = if plan.actions.is_empty() {
                    before
                } else {
                    world.memory
                };
            }
        }
        assert_eq!(
            world.champion(),
            Some("2"),
            "crash after step {crash_after}"
        );
        assert_eq!(world.memory.in_flight, None);
    }
}

#[test]
fn a_move_by_somebody_else_in_the_middle_is_not_fought() {
    let mut world = World::with(&["1", "2", "3"], Some("1"), Some("2"));
    loop {
        let plan = world.plan();
        world.carry_out(&plan, Outcome::Superior);
        if world.memory.in_flight.is_some() {
            break;
        }
    }
    world
        .registry
        .aliases
        .insert("champion".to_string(), "3".to_string());
    let plan = world.plan();
    assert_eq!((plan.reason, plan.actions.len()), ("AliasMovedByOthers", 0));
    world.carry_out(&plan, Outcome::Inconclusive);
    world.evaluation = None;
    let _ = world.settle(Outcome::Inconclusive);
    assert_eq!(world.champion(), Some("3"));
    assert_eq!(world.memory.champion.unwrap().origin, Origin::Adopted);
}

#[test]
fn external_changes_are_adopted_held_or_reverted() {
    for (policy, champion) in [
        (OnExternalChange::Adopt, "2"),
        (OnExternalChange::Hold, "2"),
        (OnExternalChange::Revert, "1"),
    ] {
        let mut world = World::with(&["1", "2"], Some("1"), None);
        let _ = world.settle(Outcome::Inconclusive);
        world
            .registry
            .aliases
            .insert("champion".to_string(), "2".to_string());
        world.policy.on_external_change = policy;
        let (last, _) = world.settle(Outcome::Inconclusive);
        assert_eq!(world.champion(), Some(champion), "{policy:?}");
        assert_eq!(
            last.phase == Phase::Blocked,
            policy == OnExternalChange::Hold
        );
    }
}

#[test]
fn an_alias_that_points_at_nothing_blocks_and_says_which_versions_exist() {
    let world = World::with(&["1", "2"], Some("9"), Some("2"));
    let plan = world.plan();
    assert_eq!(
        (plan.phase, plan.reason),
        (Phase::Blocked, "VersionNotFound")
    );
    assert_eq!(
        plan.message,
        "the alias `champion` of fraud points at version 9, which does not exist; point it at one of v1, v2"
    );
}

#[test]
fn a_pin_wins_and_an_unknown_pin_blocks() {
    let mut world = World::with(&["1", "2"], Some("2"), None);
    world.policy.pin = Some(Pin {
        version: "1".to_string(),
        reason: "rollback".to_string(),
    });
    let _ = world.settle(Outcome::Inconclusive);
    assert_eq!(world.champion(), Some("1"));
    world.policy.pin = Some(Pin {
        version: "7".to_string(),
        reason: "typo".to_string(),
    });
    assert_eq!(world.plan().phase, Phase::Blocked);
}

#[test]
fn the_first_champion_needs_what_the_policy_says() {
    for (first, phase, champion) in [
        (FirstChampion::Automatic, Phase::Watching, Some("1")),
        (FirstChampion::Approval, Phase::AwaitingApproval, None),
        (FirstChampion::Never, Phase::Held, None),
    ] {
        let mut world = World::with(&["1"], None, Some("1"));
        world.policy.first_champion = first;
        let (last, _) = world.settle(Outcome::Inconclusive);
        assert_eq!(
            (last.phase, world.champion()),
            (phase, champion),
            "{first:?}"
        );
    }
}

#[test]
fn closed_gates_hold_a_superior_challenger() {
    let closed = |change: fn(&mut World)| {
        let mut world = World::with(&["1", "2"], Some("1"), Some("2"));
        change(&mut world);
        let (last, _) = world.settle(Outcome::Superior);
        assert_eq!(world.champion(), Some("1"));
        (last.phase, last.message)
    };
    let (phase, message) = closed(|w| w.policy.mode = Mode::DryRun);
    assert_eq!(
        (phase, message.as_str()),
        (
            Phase::Held,
            "v2 is as found. Held: `promotion.mode` is DryRun."
        )
    );
    let (phase, message) = closed(|w| w.policy.mode = Mode::Approval);
    assert_eq!(phase, Phase::AwaitingApproval);
    assert!(
        message.ends_with("once 1 approve; 0 did so far."),
        "{message}"
    );
    let (phase, _) = closed(|w| w.approvals.rejected = true);
    assert_eq!(phase, Phase::Held);
    let (phase, message) = closed(|w| w.policy.cooldown_seconds = 60);
    assert_eq!(phase, Phase::Held);
    assert!(
        message.contains("`promotion.cooldownSeconds` 60"),
        "{message}"
    );
}

#[test]
fn consent_opens_the_gate() {
    let mut world = World::with(&["1", "2"], Some("1"), Some("2"));
    world.policy.mode = Mode::Approval;
    world.approvals.given = 1;
    let _ = world.settle(Outcome::Superior);
    assert_eq!(world.champion(), Some("2"));
}

#[test]
fn missing_evidence_and_a_used_up_holdout_hold() {
    let mut world = World::with(&["1", "2"], Some("1"), Some("2"));
    let why = "v2 has no predictions".to_string();
    world
        .predictions
        .insert("2".to_string(), Predictions::Unavailable(why));
    let (last, _) = world.settle(Outcome::Superior);
    assert_eq!(
        (last.reason, world.champion()),
        ("EvidenceMissing", Some("1"))
    );

    let mut world = World::with(&["1", "2"], Some("1"), Some("2"));
    world.policy.max_evaluations = Some(20);
    world.memory.holdout_evaluations = 20;
    let (last, _) = world.settle(Outcome::Superior);
    assert_eq!(
        (last.reason, world.champion()),
        ("HoldoutUsedUp", Some("1"))
    );
}

#[test]
fn nothing_to_decide_is_said_so() {
    let mut world = World::with(&["1"], Some("1"), Some("1"));
    assert_eq!(world.settle(Outcome::Superior).0.reason, "UpToDate");
    let mut world = World::with(&["1"], Some("1"), None);
    assert_eq!(world.settle(Outcome::Superior).0.reason, "NoChallenger");
    let mut world = World::with(&["1", "2"], Some("1"), Some("2"));
    world.policy.suspend = true;
    assert_eq!(world.settle(Outcome::Superior).0.phase, Phase::Suspended);
}

mod retraining {
    use super::super::retrain::{Action, ConcurrencyPolicy, Retrain, ScheduledSearch, plan};
    use crate::time::Timestamp;

    fn mk_retrain(concurrency: ConcurrencyPolicy) -> Retrain {
        Retrain {
            policy: "fraud".to_string(),
            concurrency,
            successful_history_limit: 1,
            failed_history_limit: 1,
            suspend: false,
        }
    }

    fn mk_search(minute: i64, succeeded: Option<bool>) -> ScheduledSearch {
        ScheduledSearch {
            name: format!("fraud-{minute}"),
            due: Timestamp(minute * 60_000),
            succeeded,
        }
    }

    fn create(minute: i64) -> Action {
        Action::Create {
            name: format!("fraud-{minute}"),
            due: Timestamp(minute * 60_000),
        }
    }

    #[test]
    fn starts_one_search_per_due_time() {
        let retrain = mk_retrain(ConcurrencyPolicy::Forbid);
        assert_eq!(plan(&retrain, &[], None), []);
        assert_eq!(plan(&retrain, &[], Some(Timestamp(600_000))), [create(10)]);
        assert_eq!(
            plan(
                &retrain,
                &[mk_search(10, Some(true))],
                Some(Timestamp(600_000))
            ),
            []
        );
    }

    #[test]
    fn a_running_search_forbids_allows_or_is_replaced() {
        let running = [mk_search(10, None)];
        let due = Some(Timestamp(1_200_000));
        assert_eq!(
            plan(&mk_retrain(ConcurrencyPolicy::Forbid), &running, due),
            []
        );
        assert_eq!(
            plan(&mk_retrain(ConcurrencyPolicy::Allow), &running, due),
            [create(20)]
        );
        let delete = Action::Delete {
            name: "fraud-10".to_string(),
        };
        assert_eq!(
            plan(&mk_retrain(ConcurrencyPolicy::Replace), &running, due),
            [delete, create(20)]
        );
    }

    #[test]
    fn old_searches_beyond_the_limits_are_deleted() {
        let searches = [1, 2, 3].map(|minute| mk_search(minute, Some(true)));
        let deleted = plan(&mk_retrain(ConcurrencyPolicy::Forbid), &searches, None);
        let names = ["fraud-2", "fraud-1"].map(|name| Action::Delete {
            name: name.to_string(),
        });
        assert_eq!(deleted, names);
    }
}
