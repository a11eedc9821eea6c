//! From rows to statistics.

use std::collections::BTreeMap;

use super::effective::Effective;
use super::holdout::{Holdout, Refusal};
use super::questions::{Question, questions};
use super::rows::Rows;
use super::settings::{Method, Settings};
use super::statistics::{MetricStatistics, Statistics};
use super::{obstacle, paired, separate, warnings};
use crate::metrics::{Metric, Value, evaluate_checked};

/// Measures two models on `holdout`. Equal arguments give equal bits, on any number of threads.
///
/// `progress` is called after each chunk of resamples with the number drawn so far and the number wanted now, which doubles up to
/// 50,000 while a deciding metric lies too near its boundary; the size of a chunk depends on the number of threads, the bits do not.
/// It is not called under [`Method::SeparateIntervals`], nor when the holdout cannot answer, where nothing is drawn.
///
/// # Errors
/// Rows or settings that cannot be used, each with its row number or field.
pub fn measure(
    holdout: &Holdout,
    settings: &Settings,
    seed: u64,
    progress: &mut dyn FnMut(u32, u32),
) -> Result<Statistics, Refusal> {
    let rows = Rows::check(holdout, settings)?;
    let questions = questions(holdout, settings);
    let mut statistics = describe(&rows, &questions, settings, seed);
    statistics.obstacle = obstacle::of(&rows, &questions, &statistics.metrics, settings);
    if statistics.obstacle.is_none() {
        match &settings.method {
            Method::PairedBootstrap => paired::draw(&rows, &questions, &mut statistics, progress),
            Method::SeparateIntervals(separate) => {
                separate::draw(&rows, &questions, separate, &mut statistics);
            }
        }
    }
    Ok(statistics)
}

/// Everything that is known of the rows before anything is drawn.
fn describe(rows: &Rows<'_>, questions: &[Question], settings: &Settings, seed: u64) -> Statistics {
    let metrics_of = |slice: Option<usize>| {
        let part = rows.part(slice);
        [part.champion(), part.challenger()]
            .map(|predictions| evaluate_checked(&predictions, &settings.decision))
    };
    let mut by_slice: BTreeMap<Option<usize>, [BTreeMap<Metric, Value>; 2]> = BTreeMap::new();
    let metrics = questions
        .iter()
        .map(|question| {
            let slice = question.measure.slice;
            let [champion, challenger] = by_slice.entry(slice).or_insert_with(|| metrics_of(slice));
            undrawn(
                question,
                champion[&question.metric()],
                challenger[&question.metric()],
                Effective::of(rows, slice),
            )
        })
        .collect();
    let [champion, challenger] = by_slice.remove(&None).unwrap_or_else(|| metrics_of(None));
    let effective = Effective::of(rows, None);
    let mut statistics = Statistics {
        metrics,
        champion,
        challenger,
        rows: rows.labels.len(),
        clusters: rows.clusters,
        positives: rows.labels.iter().filter(|&&label| label == 1).count(),
        effective_positives: effective.positives,
        effective_negatives: effective.negatives,
        resamples: 0,
        empty_resamples: 0,
        cross_check: None,
        obstacle: None,
        warnings: Vec::new(),
        seed,
        settings: settings.clone(),
    };
    statistics.warnings = warnings::of_rows(rows, &statistics);
    statistics
}

fn undrawn(
    question: &Question,
    champion: Value,
    challenger: Value,
    effective: Effective,
) -> MetricStatistics {
    MetricStatistics {
        metric: question.metric(),
        slice: question.slice.clone(),
        role: question.role,
        margin: question.margin,
        champion,
        challenger,
        difference: challenger
            .defined()
            .zip(champion.defined())
            .map(|(challenger, champion)| challenger - champion),
        standard_error: None,
        degrees_of_freedom: effective.degrees_of_freedom(),
        intervals: BTreeMap::new(),
        p_values: BTreeMap::new(),
    }
}
