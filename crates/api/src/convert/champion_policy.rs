//! `ChampionPolicy` to the policy that the core decides with.

use super::retraining::{self, RetrainingSettings};
use super::schedule::{BadSchedule, Window};
use super::{
    Problems, below_spec, count, environment, evaluation, evaluator, reports as places, seconds,
    tuning_job, tuning_refusals,
};
use crate::champion_policy::{
    AliasNames, ApprovalPolicy, ChallengerAlias, ChallengerTuningJobs, ChallengerVersions,
    Challengers as ChallengersSpec, ChampionPolicySpec, EvidenceSpec,
    Exclusivity as ExclusivitySpec, FirstChampionSpec, HoldoutSpec, LabelSelectorSpec, ModeSpec,
    NotifySpec, OnExternalChangeSpec, OnMissing, PinSpec, PredictionsSpec, PromotionSpec,
    PublishSpec, ReuseSpec, ScorerSpec, StoreSpec,
};
use podium_core::champion::{
    Aliases, Challengers, Exclusivity, FirstChampion, Mode, OnExternalChange, Pin, Policy, Reuse,
};
use podium_core::problem::SpecProblem;
use std::collections::{BTreeMap, BTreeSet};

/// Seconds for which missing predictions are waited for where a policy says nothing.
const MISSING_SECONDS: u64 = 86_400;
/// Variables that every scorer is given.
const SCORER_VARIABLES: [&str; 3] = ["MODEL_URI", "MODEL_VERSION", "OUTPUT_URI"];

/// What a `ChampionPolicy` asks for, after conversion.
#[derive(Clone, Debug)]
pub struct PolicySettings {
    /// What the core decides with.
    pub policy: Policy,
    /// When the champion may change.
    pub windows: Vec<Window>,
    /// Labels of the searches whose winners are challengers.
    pub searches: Option<BTreeMap<String, String>>,
    /// Measurements that guardrails name, with the increase in percent that each allows.
    pub measurements: BTreeMap<String, f64>,
    /// What the rows of the holdout are called in a sentence.
    pub rows_noun: String,
    /// Seconds for which predictions may be missing before a version is given up.
    pub missing_deadline_seconds: u64,
    /// The retraining loop, if it is asked for.
    pub retraining: Option<RetrainingSettings>,
}

/// Which world a policy is to be carried out in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// `podium run` on a directory.
    Local,
    /// A cluster.
    Cluster,
}

/// The settings of a policy.
///
/// # Errors
/// All problems, with their paths from the object's root.
pub fn policy(spec: &ChampionPolicySpec, world: World) -> Result<PolicySettings, Vec<SpecProblem>> {
    let mut problems = Problems::default();
    let settings = convert(spec, world, &mut problems);
    if problems.0.is_empty() {
        Ok(settings)
    } else {
        Err(below_spec(problems.0))
    }
}

fn convert(spec: &ChampionPolicySpec, world: World, problems: &mut Problems) -> PolicySettings {
    // Every field is named, so that a new one does not compile until it is carried out or refused.
    let ChampionPolicySpec {
        suspend,
        registry_ref: _, // the engine looks it up
        model,
        aliases,
        poll_seconds: _, // the engine looks so often, where it stays
        challengers,
        retrain,
        evidence,
        test,
        promotion,
        pin,
        reconsider,
        acknowledged_epoch,
        publish,
        notify,
        reports,
    } = spec;
    let AliasNames {
        champion,
        challenger,
        previous,
    } = aliases;
    let retraining = retrain
        .as_ref()
        .and_then(|retrain| retraining::convert(retrain, *suspend, challengers, problems));
    if world == World::Local {
        refuse_announcements(publish.as_ref(), notify, problems);
    }
    if let Some(reports) = reports {
        places::check(reports, world, problems);
    }
    let holdout = check_evidence(evidence, world, problems);
    problems.take(evaluation::check(test, &evidence.slices));
    let measurements = evaluation::measurements(test);
    if world == World::Cluster && !measurements.is_empty() {
        evaluator::keep_measurements(evidence.scorer.as_ref(), problems);
    }
    let (challengers, searches) = convert_challengers(challengers);
    let (mut policy, windows) = convert_promotion(promotion, problems);
    policy.model.clone_from(model);
    policy.aliases = Aliases {
        champion: champion.clone(),
        challenger: challenger.clone(),
        previous: previous.clone(),
    };
    policy.suspend = *suspend;
    policy.challengers = challengers;
    policy.pin = pin.as_ref().map(|PinSpec { version, reason }| Pin {
        version: version.clone(),
        reason: reason.clone(),
    });
    policy.reconsider.clone_from(reconsider);
    policy.acknowledged_epoch = acknowledged_epoch.map_or(0, seconds);
    policy.reuse = Reuse {
        spending: evaluation::spending(test),
        total_error: 0.5 * (1.0 - test.confidence),
        max_evaluations: holdout.as_ref().map(|holdout| holdout.max_evaluations),
    };
    PolicySettings {
        policy,
        windows,
        searches,
        measurements,
        rows_noun: holdout.map_or_else(|| "rows".to_string(), |holdout| holdout.rows_noun),
        missing_deadline_seconds: missing_deadline(evidence.predictions.on_missing.as_ref()),
        retraining,
    }
}

/// The engine publishes and notifies from the specification itself, in a cluster.
fn refuse_announcements(
    publish: Option<&PublishSpec>,
    notify: &[NotifySpec],
    problems: &mut Problems,
) {
    if let Some(PublishSpec { config_map: _ }) = publish {
        let message = "must be left out here: nobody follows a ConfigMap here; the alias stands in the registry's directory, in `MODEL/aliases`";
        problems.add("publish", message);
    }
    if !notify.is_empty() {
        let message = "must be left out here: receivers are notified by the operator alone; whoever calls `podium run` can tell others what it printed";
        problems.add("notify", message);
    }
}

pub(super) fn bad_schedule(bad: BadSchedule, path: &str, problems: &mut Problems) {
    match bad {
        BadSchedule::Pattern(message) => problems.add(&format!("{path}.schedule"), message),
        BadSchedule::TimeZone(message) => problems.add(&format!("{path}.timeZone"), message),
    }
}

fn missing_deadline(on_missing: Option<&OnMissing>) -> u64 {
    on_missing.map_or(MISSING_SECONDS, |OnMissing { deadline_seconds }| {
        seconds(*deadline_seconds)
    })
}

struct Holdout {
    max_evaluations: u32,
    rows_noun: String,
}

fn check_evidence(
    evidence: &EvidenceSpec,
    world: World,
    problems: &mut Problems,
) -> Option<Holdout> {
    let EvidenceSpec {
        predictions,
        holdout,
        store,
        scorer,
        evaluator: pods,
        slices: _, // checked with the guardrails that name them
    } = evidence;
    let PredictionsSpec {
        uri,
        columns: _,
        on_missing,
    } = predictions;
    let of_holdout = holdout.as_ref().and_then(|holdout| holdout.uri.as_deref());
    check_addresses(
        [Some(uri.as_str()), of_holdout],
        store.as_ref(),
        world,
        problems,
    );
    match (world, pods) {
        (World::Local, Some(_)) => {
            let message = "must be left out here: `podium run` compares in its own process";
            problems.add("evidence.evaluator", message);
        }
        (World::Cluster, Some(pods)) => evaluator::check(pods, problems),
        (World::Local | World::Cluster, None) => {}
    }
    if world == World::Local && on_missing.is_some() {
        let message = "must be left out here: `podium run` ends when nothing is left to do, and looks for the predictions when it is called again";
        problems.add("evidence.predictions.onMissing", message);
    }
    if let Some(ScorerSpec {
        job,
        active_deadline_seconds: _,
    }) = scorer
    {
        let path = "evidence.scorer.job";
        tuning_job::refuse_own_labels(job, path, problems);
        if world == World::Local {
            tuning_refusals::refuse_labels_of_a_process(job, path, problems);
        }
        if let Some(template) = problems.take(tuning_job::pod_template(job, path)) {
            let given = BTreeSet::from(SCORER_VARIABLES);
            let path = format!("{path}.template");
            environment::refuse_hidden(&template, &path, &given, "variable", problems);
        }
    }
    let HoldoutSpec {
        name: _,
        sha256: _,
        uri: _,
        max_evaluations,
        rows_noun,
    } = holdout.as_ref()?;
    Some(Holdout {
        max_evaluations: count(*max_evaluations),
        rows_noun: rows_noun.clone(),
    })
}

/// Where the predictions and the holdout lie.
fn check_addresses(
    [predictions, holdout]: [Option<&str>; 2],
    store: Option<&StoreSpec>,
    world: World,
    problems: &mut Problems,
) {
    match world {
        World::Local if store.is_some() => problems.add(
            "evidence.store",
            "must be left out here: `podium run` reads files of this machine, and no object store",
        ),
        World::Local => {}
        World::Cluster => {
            for (uri, path) in [
                (predictions, "evidence.predictions.uri"),
                (holdout, "evidence.holdout.uri"),
            ] {
                if let Some(uri) = uri {
                    check_object(uri, path, problems);
                }
            }
        }
    }
}

/// What pods read must lie where they reach it.
fn check_object(uri: &str, path: &str, problems: &mut Problems) {
    let place = uri
        .strip_prefix("s3://")
        .and_then(|place| place.split_once('/'));
    let is_object = place.is_some_and(|(bucket, key)| !bucket.is_empty() && !key.is_empty());
    if !is_object {
        let message = format!(
            "must have the form s3://BUCKET/KEY in a cluster, whose pods reach no file of another machine; got `{uri}`"
        );
        problems.add(path, message);
    }
}

fn convert_challengers(spec: &ChallengersSpec) -> (Challengers, Option<BTreeMap<String, String>>) {
    let ChallengersSpec {
        alias,
        versions,
        tuning_jobs,
    } = spec;
    match (alias, versions, tuning_jobs) {
        (_, Some(versions), _) => {
            let ChallengerVersions {
                newer_than_champion,
                tags,
            } = versions;
            let versions = Challengers::Versions {
                newer_than_champion: *newer_than_champion,
                tags: tags.clone(),
            };
            (versions, None)
        }
        (_, _, Some(ChallengerTuningJobs { selector })) => {
            let LabelSelectorSpec { match_labels } = selector;
            (Challengers::TuningJobs, Some(match_labels.clone()))
        }
        (Some(ChallengerAlias {}) | None, None, None) => (Challengers::Alias, None),
    }
}

fn convert_promotion(spec: &PromotionSpec, problems: &mut Problems) -> (Policy, Vec<Window>) {
    let PromotionSpec {
        mode,
        approval,
        cooldown_seconds,
        windows,
        exclusivity,
        on_external_change,
        first_champion,
    } = spec;
    let mut converted = Vec::new();
    for (position, window) in windows.iter().enumerate() {
        match Window::parse(window) {
            Ok(window) => converted.push(window),
            Err(bad) => bad_schedule(bad, &format!("promotion.windows[{position}]"), problems),
        }
    }
    let (required, expire_seconds) = match approval {
        Some(ApprovalPolicy {
            required,
            expire_seconds,
        }) => (count(*required), seconds(*expire_seconds)),
        None => (1, 259_200),
    };
    let policy = Policy {
        model: String::new(),
        aliases: Aliases {
            champion: String::new(),
            challenger: String::new(),
            previous: String::new(),
        },
        suspend: false,
        challengers: Challengers::Alias,
        mode: match mode {
            ModeSpec::Automatic => Mode::Automatic,
            ModeSpec::Approval => Mode::Approval,
            ModeSpec::DryRun => Mode::DryRun,
        },
        first_champion: match first_champion {
            FirstChampionSpec::Approval => FirstChampion::Approval,
            FirstChampionSpec::Automatic => FirstChampion::Automatic,
            FirstChampionSpec::Never => FirstChampion::Never,
        },
        approvals_required: required,
        approvals_expire_seconds: expire_seconds,
        cooldown_seconds: seconds(*cooldown_seconds),
        exclusivity: match exclusivity {
            ExclusivitySpec::Ledger => Exclusivity::Ledger,
            ExclusivitySpec::Guarded => Exclusivity::Guarded,
        },
        on_external_change: match on_external_change {
            OnExternalChangeSpec::Adopt => OnExternalChange::Adopt,
            OnExternalChangeSpec::Hold => OnExternalChange::Hold,
            OnExternalChangeSpec::Revert => OnExternalChange::Revert,
        },
        pin: None,
        reconsider: Vec::new(),
        acknowledged_epoch: 0,
        reuse: Reuse {
            spending: podium_core::looks::Spending::Harmonic,
            total_error: 0.025,
            max_evaluations: None,
        },
    };
    (policy, converted)
}

/// The share of the holdout that versions are compared on.
#[must_use]
pub fn confirm_fraction(reuse: Option<&ReuseSpec>) -> Option<f64> {
    reuse.and_then(|reuse| reuse.confirm_fraction)
}
