//! The settings of a comparison.

use super::Problems;
use crate::champion_policy::{
    CostsSpec, GuardrailSpec, IntervalKind, Method, MetricName, PrimarySpec, ReuseSpec, SliceSpec,
    Spending as SpendingSpec, TestSpec, WeightRole,
};
use podium_core::comparison as core;
use podium_core::looks::Spending;
use podium_core::metrics::{Costs, Metric, ThresholdOperator};
use podium_core::problem::SpecProblem;
use std::collections::BTreeMap;

/// The settings of a comparison.
#[must_use]
pub fn comparison_settings(test: &TestSpec) -> core::Settings {
    // Every field is named, so that a new one does not compile until it is carried out or refused.
    let TestSpec {
        method,
        resamples,
        fraction,
        confidence,
        interval,
        weights,
        threshold,
        above_threshold,
        costs,
        minimum_positives,
        minimum_clusters,
        primary,
        guardrails,
        observe,
        reuse: _, // the error allowed at a look is the judge's
    } = test;
    let default = core::Settings::default();
    let resamples = resamples.map(super::count);
    let mut decision = default.decision;
    decision.threshold = *threshold;
    if *above_threshold {
        decision.operator = ThresholdOperator::Above;
    }
    if let Some(CostsSpec {
        false_positive,
        false_negative,
    }) = costs
    {
        decision.costs = Costs {
            false_positive: *false_positive,
            false_negative: *false_negative,
        };
    }
    core::Settings {
        method: match method {
            Method::PairedBootstrap => core::Method::PairedBootstrap,
            Method::SeparateIntervals => {
                let separate = core::SeparateIntervals::default();
                core::Method::SeparateIntervals(core::SeparateIntervals {
                    resamples: resamples.unwrap_or(separate.resamples),
                    fraction: fraction.unwrap_or(separate.fraction),
                    metrics: separate.metrics,
                })
            }
        },
        resamples: resamples.unwrap_or(default.resamples),
        confidence: *confidence,
        interval: match interval.unwrap_or_default() {
            IntervalKind::NormalT => core::IntervalKind::NormalT,
            IntervalKind::Percentile => core::IntervalKind::Percentile,
            IntervalKind::Basic => core::IntervalKind::Basic,
            IntervalKind::BCa => core::IntervalKind::BCa,
        },
        weights: match weights {
            WeightRole::Importance => core::WeightRole::Importance,
            WeightRole::Frequency => core::WeightRole::Frequency,
            WeightRole::Class => core::WeightRole::Class,
            WeightRole::Balanced => core::WeightRole::Balanced,
        },
        decision,
        minimum_positives: f64::from(*minimum_positives),
        minimum_clusters: minimum_clusters.map_or(default.minimum_clusters, |clusters| {
            usize::try_from(clusters).unwrap_or(default.minimum_clusters)
        }),
        primary: primary.as_ref().map_or(default.primary, core_primary),
        guardrails: guardrails.iter().filter_map(core_guardrail).collect(),
        observed: observe.iter().map(|name| metric(*name)).collect(),
    }
}

fn core_primary(primary: &PrimarySpec) -> core::Primary {
    let PrimarySpec {
        metric: name,
        min_improvement,
    } = primary;
    core::Primary {
        metric: metric(*name),
        min_improvement: *min_improvement,
    }
}

fn core_guardrail(guardrail: &GuardrailSpec) -> Option<core::Guardrail> {
    let GuardrailSpec {
        metric: name,
        slice,
        max_regression,
        measurement: _, // see `measurements`
        max_increase_percent: _,
    } = guardrail;
    Some(core::Guardrail {
        metric: metric((*name)?),
        slice: slice.clone(),
        max_regression: (*max_regression)?,
    })
}

/// Measurements that guardrails name, with the increase in percent that each allows.
#[must_use]
pub fn measurements(test: &TestSpec) -> BTreeMap<String, f64> {
    let of_guardrail = |guardrail: &GuardrailSpec| {
        let name = guardrail.measurement.clone()?;
        Some((name, guardrail.max_increase_percent?))
    };
    test.guardrails.iter().filter_map(of_guardrail).collect()
}

/// How the use of one holdout is paid for. Separate intervals and other kinds of intervals cannot be asked for a smaller error.
pub(super) fn spending(test: &TestSpec) -> Spending {
    let asked = test.reuse.as_ref().map(|reuse| reuse.spending);
    match (test.method, asked) {
        (Method::SeparateIntervals, _) | (_, Some(SpendingSpec::None)) => Spending::None,
        (_, Some(SpendingSpec::Bonferroni)) => Spending::Bonferroni,
        (_, Some(SpendingSpec::Harmonic) | None) => Spending::Harmonic,
    }
}

/// What the schema cannot say of the settings.
pub(super) fn check(test: &TestSpec, slices: &[SliceSpec]) -> Result<(), Vec<SpecProblem>> {
    let mut problems = Problems::default();
    match test.method {
        Method::PairedBootstrap => check_paired(test, &mut problems),
        Method::SeparateIntervals => check_separate(test, &mut problems),
    }
    check_guardrails(test, slices, &mut problems);
    check_slices(slices, &mut problems);
    if problems.0.is_empty() {
        Ok(())
    } else {
        Err(problems.0)
    }
}

fn check_paired(test: &TestSpec, problems: &mut Problems) {
    if test.fraction.is_some() {
        problems.add(
            "test.fraction",
            "may only be set when `method` is SeparateIntervals",
        );
    }
    if test.resamples.is_some_and(|resamples| resamples < 200) {
        problems.add(
            "test.resamples",
            "must be at least 200 when `method` is PairedBootstrap",
        );
    }
    let interval = test.interval.unwrap_or_default();
    if interval != IntervalKind::NormalT && spending(test) != Spending::None {
        problems.add(
            "test.interval",
            "must be NormalT unless `test.reuse.spending` is None: quantiles of resamples cannot resolve the small errors that are allowed at later looks",
        );
    }
    if test.costs.is_some() && !names_metric(test, MetricName::Cost) {
        problems.add(
            "test.costs",
            "may only be set when the metric `cost` is named by `primary`, a guardrail or `observe`",
        );
    }
    if test
        .primary
        .as_ref()
        .is_some_and(|primary| test.observe.contains(&primary.metric))
    {
        problems.add(
            "test.observe",
            "must not name the metric of `primary`, which is always reported",
        );
    }
}

fn names_metric(test: &TestSpec, name: MetricName) -> bool {
    test.primary
        .as_ref()
        .is_some_and(|primary| primary.metric == name)
        || test.observe.contains(&name)
        || test
            .guardrails
            .iter()
            .any(|guardrail| guardrail.metric == Some(name))
}

/// A setting that the method does not read is refused: it would seem to hold.
fn check_separate(test: &TestSpec, problems: &mut Problems) {
    let mut unread = |path: &str, set: bool| {
        if set {
            let message = "must be left out when `method` is SeparateIntervals, which votes by ROC AUC, accuracy and weighted F1 and reads no other setting";
            problems.add(path, message);
        }
    };
    unread("test.primary", test.primary.is_some());
    unread("test.guardrails", !test.guardrails.is_empty());
    unread("test.interval", test.interval.is_some());
    unread("test.observe", !test.observe.is_empty());
    unread("test.costs", test.costs.is_some());
    let reuse = test.reuse.as_ref();
    let spends = |reuse: &ReuseSpec| reuse.spending != SpendingSpec::None;
    unread("test.reuse.spending", reuse.is_some_and(spends));
}

fn check_guardrails(test: &TestSpec, slices: &[SliceSpec], problems: &mut Problems) {
    for (position, guardrail) in test.guardrails.iter().enumerate() {
        let path = format!("test.guardrails[{position}]");
        let unknown = guardrail
            .slice
            .as_ref()
            .filter(|name| !slices.iter().any(|s| &s.name == *name));
        if let Some(name) = unknown {
            let message = format!("must name one of `evidence.slices`, not `{name}`");
            problems.add(&format!("{path}.slice"), message);
        }
        let same = |other: &&GuardrailSpec| {
            (other.metric, &other.slice, &other.measurement)
                == (guardrail.metric, &guardrail.slice, &guardrail.measurement)
        };
        if test
            .guardrails
            .iter()
            .take(position)
            .any(|other| same(&other))
        {
            problems.add(&path, "must not repeat an earlier guardrail");
        }
    }
}

/// In a cluster the list is a map by name; here a repeated name is said.
fn check_slices(slices: &[SliceSpec], problems: &mut Problems) {
    for (position, slice) in slices.iter().enumerate() {
        if slices
            .iter()
            .take(position)
            .any(|other| other.name == slice.name)
        {
            let message = format!("must not repeat the name `{}`", slice.name);
            problems.add(&format!("evidence.slices[{position}].name"), message);
        }
    }
}

fn metric(name: MetricName) -> Metric {
    match name {
        MetricName::RocAuc => Metric::RocAuc,
        MetricName::AveragePrecision => Metric::AveragePrecision,
        MetricName::AreaUnderPr => Metric::AreaUnderPr,
        MetricName::Accuracy => Metric::Accuracy,
        MetricName::F1 => Metric::F1,
        MetricName::WeightedF1 => Metric::WeightedF1,
        MetricName::Precision => Metric::Precision,
        MetricName::Recall => Metric::Recall,
        MetricName::Mcc => Metric::Mcc,
        MetricName::LogLoss => Metric::LogLoss,
        MetricName::Brier => Metric::Brier,
        MetricName::Ks => Metric::Ks,
        MetricName::Cost => Metric::Cost,
    }
}
