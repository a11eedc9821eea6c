//! `ChampionPolicy` to the policy that the core decides with.

use super::{Problems, below_spec, count, evaluation, seconds, tuning_job};
use crate::champion_policy::{
    ChampionPolicySpec, FirstChampionSpec, ModeSpec, OnExternalChangeSpec,
};
use podium_core::champion::{Aliases, FirstChampion, Mode, OnExternalChange, Pin, Policy};
use podium_core::problem::SpecProblem;

/// The policy that the core decides with.
///
/// # Errors
/// All problems, with their paths from the object's root.
pub fn policy(spec: &ChampionPolicySpec) -> Result<Policy, Vec<SpecProblem>> {
    let mut problems = Problems::default();
    refuse_what_is_not_carried_out(spec, &mut problems);
    problems.take(evaluation::check(&spec.test, &spec.evidence.slices));
    if let Some(scorer) = &spec.evidence.scorer {
        problems.take(tuning_job::pod_template(&scorer.job, "evidence.scorer.job"));
    }
    if !problems.0.is_empty() {
        return Err(below_spec(problems.0));
    }
    let holdout = spec.evidence.holdout.as_ref();
    let promotion = &spec.promotion;
    Ok(Policy {
        model: spec.model.clone(),
        aliases: Aliases {
            champion: spec.aliases.champion.clone(),
            challenger: spec.aliases.challenger.clone(),
            previous: spec.aliases.previous.clone(),
        },
        suspend: spec.suspend,
        mode: match promotion.mode {
            ModeSpec::Automatic => Mode::Automatic,
            ModeSpec::Approval => Mode::Approval,
            ModeSpec::DryRun => Mode::DryRun,
        },
        first_champion: match promotion.first_champion {
            FirstChampionSpec::Approval => FirstChampion::Approval,
            FirstChampionSpec::Automatic => FirstChampion::Automatic,
            FirstChampionSpec::Never => FirstChampion::Never,
        },
        approvals_required: promotion.approval.as_ref().map_or(1, |a| count(a.required)),
        cooldown_seconds: seconds(promotion.cooldown_seconds),
        on_external_change: match promotion.on_external_change {
            OnExternalChangeSpec::Adopt => OnExternalChange::Adopt,
            OnExternalChangeSpec::Hold => OnExternalChange::Hold,
            OnExternalChangeSpec::Revert => OnExternalChange::Revert,
        },
        pin: spec.pin.as_ref().map(|pin| Pin {
            version: pin.version.clone(),
            reason: pin.reason.clone(),
        }),
        max_evaluations: holdout.map(|h| count(h.max_evaluations)),
        rows_noun: holdout.map_or_else(|| "rows".to_string(), |h| h.rows_noun.clone()),
    })
}

fn refuse_what_is_not_carried_out(spec: &ChampionPolicySpec, problems: &mut Problems) {
    problems.unsupported("challengers.versions", spec.challengers.versions.as_ref());
    problems.unsupported(
        "challengers.tuningJobs",
        spec.challengers.tuning_jobs.as_ref(),
    );
    problems.unsupported("publish", spec.publish.as_ref());
    problems.unsupported("reports", spec.reports.as_ref());
    problems.unsupported("test.reuse", spec.test.reuse.as_ref());
    problems.unsupported("promotion.windows[0]", spec.promotion.windows.first());
    problems.unsupported(
        "evidence.predictions.onMissing",
        spec.evidence.predictions.on_missing.as_ref(),
    );
}
