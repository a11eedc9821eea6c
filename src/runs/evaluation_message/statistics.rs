//! Statistics as few bytes. What follows from the specification and from other numbers does not travel: names, roles and margins of
//! metrics, the settings, differences, Student's intervals and p-values.
//!
//! When they do not fit, parts are left out in the order of [`PARTS`], the verdict being the same without them.

use super::bytes::{Reader, Writer};
use podium_core::comparison::{
    Asked, Class, CrossCheck, Interval, IntervalKind, MetricStatistics, NotComparableReason, Role,
    Settings, Statistics, Warning, asked,
};
use podium_core::metrics::{Metric, Value};
use std::collections::BTreeMap;

/// The parts that may be left out, in this order.
pub(super) const PARTS: [&str; 5] = [
    // Metrics that decide nothing.
    "observed",
    // Intervals and p-values of kinds that do not decide; Student's follow from the rest.
    "intervals",
    // All metrics of both models.
    "metrics",
    // DeLong's interval.
    "crossCheck",
    // Those of guardrails that are not decided by Student's interval, and their degrees of freedom.
    "standardErrors",
];

const INTERVALS: usize = 1;
const METRICS: usize = 2;
const CROSS_CHECK: usize = 3;
const STANDARD_ERRORS: usize = 4;

/// The kinds that travel.
const KINDS: [IntervalKind; 3] = [
    IntervalKind::Percentile,
    IntervalKind::Basic,
    IntervalKind::BCa,
];
/// Warnings that statistics may have.
const MOST_WARNINGS: u64 = 16;
/// Of which none is longer.
const TEXT: usize = 1000;

/// How many of [`PARTS`] are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut(pub(super) usize);

impl Cut {
    fn leaves_out(self, part: usize) -> bool {
        self.0 > part
    }

    /// The parts that are left out.
    pub(super) fn names(self) -> Vec<String> {
        let names = PARTS.iter().take(self.0);
        names.map(ToString::to_string).collect()
    }
}

/// The same statistics without what is left out, as they are when they arrive.
#[must_use]
pub fn without_parts(statistics: &Statistics, left_out: &[String]) -> Statistics {
    let cut = Cut(left_out.len());
    let mut rest = statistics.clone();
    rest.metrics = rest
        .metrics
        .into_iter()
        .filter(|metric| travels(metric.role, cut))
        .map(|metric| metric_without(metric, &rest.settings, cut))
        .collect();
    if cut.leaves_out(METRICS) {
        rest.champion.clear();
        rest.challenger.clear();
    }
    if cut.leaves_out(CROSS_CHECK) {
        rest.cross_check = None;
    }
    rest
}

fn metric_without(mut metric: MetricStatistics, settings: &Settings, cut: Cut) -> MetricStatistics {
    let deciding = settings.deciding_interval();
    if !keeps_error(metric.role, deciding, cut) {
        metric.standard_error = None;
        metric.degrees_of_freedom = 0.0;
    }
    // Student's follow from the standard error alone.
    let has_error = metric.standard_error.is_some();
    let stays = |kind: &IntervalKind| match kind {
        IntervalKind::NormalT => has_error,
        kind => !cut.leaves_out(INTERVALS) || *kind == deciding,
    };
    metric.intervals.retain(|kind, _| stays(kind));
    metric.p_values.retain(|kind, _| stays(kind));
    metric
}

/// Metrics that decide nothing come after all others.
fn travels(role: Role, cut: Cut) -> bool {
    role != Role::Observed || cut.0 == 0
}

fn keeps_error(role: Role, deciding: IntervalKind, cut: Cut) -> bool {
    let is_needed = deciding == IntervalKind::NormalT || role != Role::Guardrail;
    is_needed || !cut.leaves_out(STANDARD_ERRORS)
}

/// Writes what travels.
pub(super) fn write(writer: &mut Writer, statistics: &Statistics, cut: Cut) {
    let rest = without_parts(statistics, &cut.names());
    writer.count(rest.seed);
    writer.count(rest.rows as u64);
    writer.option(rest.clusters, |writer, clusters| {
        writer.count(clusters as u64);
    });
    writer.count(rest.positives as u64);
    writer.floats(&[rest.effective_positives, rest.effective_negatives]);
    writer.count(u64::from(rest.resamples));
    writer.count(u64::from(rest.empty_resamples));
    let deciding = rest.settings.deciding_interval();
    for metric in &rest.metrics {
        write_metric(writer, metric, keeps_error(metric.role, deciding, cut));
    }
    for of_model in [&rest.champion, &rest.challenger] {
        let values = Metric::ALL.map(|metric| of_model.get(&metric).copied());
        let all: Option<Vec<Value>> = values.into_iter().collect();
        writer.option(all, |writer, all| {
            for value in all {
                writer.value(value);
            }
        });
    }
    writer.option(rest.cross_check, write_cross_check);
    writer.option(rest.obstacle.as_ref(), |writer, obstacle| {
        write_json(writer, obstacle);
    });
    writer.count(rest.warnings.len() as u64);
    for warning in &rest.warnings {
        write_warning(writer, warning);
    }
}

/// Reads statistics that were measured by `settings`.
pub(super) fn read(reader: &mut Reader<'_>, settings: Settings, cut: Cut) -> Option<Statistics> {
    let seed = reader.count()?;
    let rows = size(reader)?;
    let clusters = reader.option(size)?;
    let positives = size(reader)?;
    let (effective_positives, effective_negatives) = (reader.float()?, reader.float()?);
    let (resamples, empty_resamples) = (number(reader)?, number(reader)?);
    let mut metrics = Vec::new();
    for asked in asked(&settings) {
        if travels(asked.role, cut) {
            metrics.push(read_metric(reader, asked, &settings, cut)?);
        }
    }
    let (champion, challenger) = (read_all(reader)?, read_all(reader)?);
    let cross_check = reader.option(read_cross_check)?;
    let obstacle: Option<NotComparableReason> = reader.option(read_json)?;
    let count = reader.count().filter(|count| *count <= MOST_WARNINGS)?;
    let mut warnings = Vec::new();
    for _ in 0..count {
        warnings.push(read_warning(reader)?);
    }
    Some(Statistics {
        metrics,
        champion,
        challenger,
        rows,
        clusters,
        positives,
        effective_positives,
        effective_negatives,
        resamples,
        empty_resamples,
        cross_check,
        obstacle,
        warnings,
        seed,
        settings,
    })
}

fn size(reader: &mut Reader<'_>) -> Option<usize> {
    usize::try_from(reader.count()?).ok()
}

fn number(reader: &mut Reader<'_>) -> Option<u32> {
    u32::try_from(reader.count()?).ok()
}

/// Which of the kinds there are of, as bits, and their numbers.
fn write_metric(writer: &mut Writer, metric: &MetricStatistics, with_error: bool) {
    writer.value(metric.champion);
    writer.value(metric.challenger);
    if with_error {
        writer.option(metric.standard_error, Writer::float);
        writer.float(metric.degrees_of_freedom);
    }
    let bits = |has: &dyn Fn(&IntervalKind) -> bool| {
        let of_kinds = KINDS.iter().enumerate();
        of_kinds.fold(0, |bits, (place, kind)| {
            bits | (u8::from(has(kind)) << place)
        })
    };
    writer.byte(bits(&|kind| metric.intervals.contains_key(kind)));
    writer.byte(bits(&|kind| metric.p_values.contains_key(kind)));
    for interval in KINDS.iter().filter_map(|kind| metric.intervals.get(kind)) {
        writer.floats(&[interval.low, interval.high]);
    }
    for p_value in KINDS.iter().filter_map(|kind| metric.p_values.get(kind)) {
        writer.float(*p_value);
    }
}

fn read_metric(
    reader: &mut Reader<'_>,
    asked: Asked,
    settings: &Settings,
    cut: Cut,
) -> Option<MetricStatistics> {
    let (champion, challenger) = (reader.value()?, reader.value()?);
    let (standard_error, degrees_of_freedom) =
        match keeps_error(asked.role, settings.deciding_interval(), cut) {
            true => (reader.option(Reader::float)?, reader.float()?),
            false => (None, 0.0),
        };
    let (with_interval, with_p_value) = (kinds(reader.byte()?)?, kinds(reader.byte()?)?);
    let mut intervals = BTreeMap::new();
    for kind in with_interval {
        let (low, high) = (reader.float()?, reader.float()?);
        intervals.insert(kind, Interval { low, high });
    }
    let mut p_values = BTreeMap::new();
    for kind in with_p_value {
        p_values.insert(kind, reader.float()?);
    }
    let mut metric = MetricStatistics {
        metric: asked.metric,
        slice: asked.slice,
        role: asked.role,
        margin: asked.margin,
        champion,
        challenger,
        difference: challenger
            .defined()
            .zip(champion.defined())
            .map(|(challenger, champion)| challenger - champion),
        standard_error,
        degrees_of_freedom,
        intervals,
        p_values,
    };
    metric.add_student(settings.one_sided_error());
    Some(metric)
}

fn kinds(bits: u8) -> Option<Vec<IntervalKind>> {
    let is_set = |place: usize| (bits >> place) & 1 == 1;
    let of_bits = KINDS.iter().enumerate().filter(|(place, _)| is_set(*place));
    let is_known = bits >> KINDS.len() == 0;
    is_known.then(|| of_bits.map(|(_, kind)| *kind).collect())
}

fn read_all(reader: &mut Reader<'_>) -> Option<BTreeMap<Metric, Value>> {
    let all = reader.option(|reader| {
        let mut values = BTreeMap::new();
        for metric in Metric::ALL {
            values.insert(metric, reader.value()?);
        }
        Some(values)
    })?;
    Some(all.unwrap_or_default())
}

fn write_cross_check(writer: &mut Writer, cross_check: CrossCheck) {
    let CrossCheck {
        difference,
        standard_error,
        z,
        p_value,
        interval: Interval { low, high },
    } = cross_check;
    writer.floats(&[difference, standard_error, z, p_value, low, high]);
}

fn read_cross_check(reader: &mut Reader<'_>) -> Option<CrossCheck> {
    Some(CrossCheck {
        difference: reader.float()?,
        standard_error: reader.float()?,
        z: reader.float()?,
        p_value: reader.float()?,
        interval: Interval {
            low: reader.float()?,
            high: reader.float()?,
        },
    })
}

fn write_json(writer: &mut Writer, value: &impl serde::Serialize) {
    writer.text(&serde_json::to_string(value).unwrap_or_default());
}

fn read_json<T: serde::de::DeserializeOwned>(reader: &mut Reader<'_>) -> Option<T> {
    let text = reader.text().filter(|text| text.len() <= TEXT)?;
    serde_json::from_str(text).ok()
}

/// The warnings that follow from rows have a byte each, and any other is written as it stands in a status.
fn write_warning(writer: &mut Writer, warning: &Warning) {
    let class_byte = |class: &Class| u8::from(*class == Class::Positive);
    match warning {
        Warning::FewEffectiveRows { class, effective } => {
            writer.bytes(&[0, class_byte(class)]);
            writer.float(*effective);
        }
        Warning::SuspectedLeakage {
            challenger,
            roc_auc,
        } => {
            writer.bytes(&[1, u8::from(*challenger)]);
            writer.float(*roc_auc);
        }
        Warning::IdenticalScores => writer.byte(2),
        Warning::HeavyWeight { row, share } => {
            writer.byte(3);
            writer.count(*row as u64);
            writer.float(*share);
        }
        Warning::WeakMethod => writer.byte(4),
        other => {
            writer.byte(5);
            write_json(writer, other);
        }
    }
}

fn read_warning(reader: &mut Reader<'_>) -> Option<Warning> {
    let flag = |reader: &mut Reader<'_>| match reader.byte()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    };
    Some(match reader.byte()? {
        0 => Warning::FewEffectiveRows {
            class: match flag(reader)? {
                true => Class::Positive,
                false => Class::Negative,
            },
            effective: reader.float()?,
        },
        1 => Warning::SuspectedLeakage {
            challenger: flag(reader)?,
            roc_auc: reader.float()?,
        },
        2 => Warning::IdenticalScores,
        3 => Warning::HeavyWeight {
            row: size(reader)?,
            share: reader.float()?,
        },
        4 => Warning::WeakMethod,
        5 => read_json(reader)?,
        _ => return None,
    })
}
