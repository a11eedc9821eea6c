//! How often the comparison decides rightly: `decisions [REPLICATIONS]`, one line of text per figure, with what it must be. Ends with
//! a code other than 0 when a figure misses.
//!
//! Scores are binormal with correlation 0.9 between the models; the area under the curve is known exactly.
//!
//! Several looks at one holdout need millions of resamples. Most challengers are far from any boundary, so a challenger is drawn
//! only when DeLong's formula puts it above 0.8 of the critical value; the others keep DeLong's numbers, with which they are not
//! superior either. The last line shows how far DeLong's standard errors are from the bootstrap's in the runs of the better challenger.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)] // A measurement, not a product.

use std::ops::RangeInclusive;
use std::process::ExitCode;

use podium_core::comparison::{
    Comparison, Holdout, IntervalKind, MetricOutcome, Settings, Statistics, Verdict, compare,
    judge, measure,
};
use podium_core::looks::{Spending, holm};
use podium_core::random::Stream;
use rayon::prelude::*;

fn main() -> ExitCode {
    let replications: u64 = std::env::args().nth(1).map_or(1000, |text| {
        text.parse().expect("REPLICATIONS must be a number")
    });
    let mut report = Report {
        replications,
        missed: false,
    };
    let improved = single_looks(&mut report);
    several_looks(&mut report, &improved);
    ExitCode::from(u8::from(report.missed))
}

/// Prints figures, and knows whether one missed.
struct Report {
    replications: u64,
    missed: bool,
}

impl Report {
    /// The share of replications, in percent.
    fn percent(&self, count: usize) -> f64 {
        100.0 * count as f64 / self.replications as f64
    }

    /// One line: figures in percent, each with its name and where it must lie, when it must.
    fn line(&mut self, case: &str, figures: &[(&str, f64, Option<RangeInclusive<f64>>)]) {
        let texts: Vec<String> = figures
            .iter()
            .map(|(name, percent, must_be)| {
                let Some(must_be) = must_be else {
                    return format!("{name} {percent:.1}%");
                };
                let holds = must_be.contains(percent);
                self.missed |= !holds;
                let (least, most) = (must_be.start(), must_be.end());
                let missed = if holds { "" } else { ", MISSED" };
                format!("{name} {percent:.1}% (must be {least} to {most}{missed})")
            })
            .collect();
        println!("{case}: {}", texts.join(", "));
    }
}

/// Comparisons that are the only one on their holdout; gives back those of a challenger that is better by 0.02.
fn single_looks(report: &mut Report) -> Vec<Comparison> {
    let settings = Settings::default();
    let few = Settings {
        minimum_positives: 20.0,
        ..Settings::default()
    };
    single_look(
        report,
        "null, 200 positives in 20,000 rows",
        0.0,
        [Some(1.5..=3.5), Some(1.5..=3.5), Some(93.0..=97.0)],
        |seed| compare(&independent(0.9, seed), &settings, seed).unwrap(),
    );
    let improved = single_look(
        report,
        "+0.02, 200 positives in 20,000 rows",
        0.02,
        [Some(94.0..=100.0), Some(0.0..=0.5), Some(93.0..=97.0)],
        |seed| compare(&independent(0.92, seed), &settings, seed).unwrap(),
    );
    single_look(
        report,
        "null, 200 customers x 20 rows, clustered",
        0.0,
        [Some(0.0..=4.0), Some(0.0..=4.0), Some(92.0..=98.0)],
        |seed| compare(&clustered(seed, true), &few, seed).unwrap(),
    );
    single_look(
        report,
        "null, 200 customers x 20 rows, as rows",
        0.0,
        [None, None, None],
        |seed| compare(&clustered(seed, false), &few, seed).unwrap(),
    );
    improved
}

/// One challenger, one look, the whole error.
fn single_look(
    report: &mut Report,
    name: &str,
    truth: f64,
    must_be: [Option<RangeInclusive<f64>>; 3],
    comparison: impl Fn(u64) -> Comparison + Sync + Send,
) -> Vec<Comparison> {
    let found: Vec<Comparison> = (0..report.replications)
        .into_par_iter()
        .map(comparison)
        .collect();
    let share = |holds: &dyn Fn(&Comparison) -> bool| {
        report.percent(found.iter().filter(|one| holds(one)).count())
    };
    let [better, worse, holds] = must_be;
    let outcome = |outcome: MetricOutcome| share(&|one| one.metrics[0].outcome == outcome);
    let figures = [
        ("better", outcome(MetricOutcome::Better), better),
        ("worse", outcome(MetricOutcome::Worse), worse),
        (
            "interval holds the truth",
            share(&|one| {
                one.metrics[0].low.unwrap() <= truth && truth <= one.metrics[0].high.unwrap()
            }),
            holds,
        ),
    ];
    report.line(name, &figures);
    found
}

/// Looks at a holdout in one run.
const LOOKS: u32 = 20;

/// Challengers of one look, where there are several.
const BATCH: u64 = 5;

/// Looks at one holdout after another look. The statistics of an improved challenger do not depend on the look: they are judged again.
fn several_looks(report: &mut Report, improved: &[Comparison]) {
    let total = Settings::default().one_sided_error();
    let screen = Screen::new();
    let runs = report.replications;
    let harmonic = |look: u32| Spending::Harmonic.allowed_error(total, look, LOOKS);

    let in_a_row: Vec<[bool; 2]> = (0..runs)
        .into_par_iter()
        .map(|run| {
            let shared = Shared::new(run);
            let mut took = [false, false];
            for look in 1..=LOOKS {
                // Once the title is lost without spending, only the smaller error is still asked.
                let largest = if took[1] { harmonic(look) } else { total };
                let statistics = screen.measure(&shared, u64::from(look), largest);
                for (took, error) in took.iter_mut().zip([harmonic(look), total]) {
                    *took |= judge(&statistics, &[], error).verdict == Verdict::Superior;
                }
            }
            took
        })
        .collect();
    let count = |which: usize| in_a_row.iter().filter(|took| took[which]).count();
    let (harmonically, freely) = (report.percent(count(0)), report.percent(count(1)));
    report.line(
        "20 equal challengers in a row, one takes the title",
        &[
            ("Harmonic", harmonically, Some(0.0..=3.5)),
            ("without spending", freely, Some(12.0..=22.0)),
        ],
    );

    let in_batches = (0..runs)
        .into_par_iter()
        .filter(|&run| {
            let shared = Shared::new(run);
            (1..=LOOKS).any(|look| {
                let error = harmonic(look);
                let batch: Vec<Statistics> = (0..BATCH)
                    .map(|one| screen.measure(&shared, 100 * u64::from(look) + one, error))
                    .collect();
                let allowed = holm(&batch.iter().collect::<Vec<_>>(), &[], error);
                batch.iter().zip(allowed).any(|(statistics, error)| {
                    judge(statistics, &[], error).verdict == Verdict::Superior
                })
            })
        })
        .count();
    let batches = report.percent(in_batches);
    report.line(
        "20 batches of 5 equal challengers, one takes the title",
        &[("Holm and Harmonic", batches, Some(0.0..=3.5))],
    );

    let found = |look: u32| {
        let is_found = |one: &&Comparison| {
            judge(&one.statistics, &[], harmonic(look)).verdict == Verdict::Superior
        };
        report.percent(improved.iter().filter(is_found).count())
    };
    let (first, tenth) = (found(1), found(10));
    report.line(
        "+0.02 is found, Harmonic",
        &[
            ("at the first look", first, Some(92.0..=100.0)),
            ("at the tenth", tenth, Some(48.0..=100.0)),
        ],
    );

    let farthest = improved
        .iter()
        .map(|one| {
            let delong = one.statistics.cross_check.unwrap().standard_error;
            (delong / one.metrics[0].standard_error.unwrap() - 1.0).abs()
        })
        .fold(0.0, f64::max);
    report.line(
        "DeLong's standard error differs from the bootstrap's",
        &[("by at most", 100.0 * farthest, Some(0.0..=20.0))],
    );
}

fn drawn(holdout: &Holdout, seed: u64) -> Statistics {
    measure(holdout, &Settings::default(), seed, &mut |_, _| {}).unwrap()
}

/// The rows of one run and how the champion ranks them. Any two models have a correlation of 0.9, two challengers too.
struct Shared {
    run: u64,
    holdout: Holdout,
    /// The part of the scores that all models share.
    common: Vec<f64>,
    champion: Influences,
}

impl Shared {
    fn new(run: u64) -> Self {
        let mut stream = Stream::new(run, &[3]);
        let labels = (0..ROWS).map(|row| u8::from(row < POSITIVES)).collect();
        let common: Vec<f64> = (0..ROWS).map(|_| stream.normal()).collect();
        let champion = scores(&common, Stream::new(run, &[4]));
        Self {
            run,
            common,
            champion: Influences::of(&champion),
            holdout: Holdout {
                labels,
                champion,
                ..Holdout::default()
            },
        }
    }

    /// Scores of an equally good challenger.
    fn challenger(&self, number: u64) -> Vec<f64> {
        scores(&self.common, Stream::new(self.run, &[4, number]))
    }
}

/// Scores with an area of 0.9 from what all models share and what one sees alone.
fn scores(common: &[f64], mut own: Stream) -> Vec<f64> {
    let score = |(row, common): (usize, &f64)| {
        let mean = if row < POSITIVES { shift(0.9) } else { 0.0 };
        0.9_f64.sqrt() * common + 0.1_f64.sqrt() * own.normal() + mean
    };
    common.iter().enumerate().map(score).collect()
}

/// Draws resamples only for challengers that they could decide about.
struct Screen {
    /// Statistics whose numbers are replaced.
    template: Statistics,
}

impl Screen {
    fn new() -> Self {
        Self {
            template: drawn(&independent(0.9, 0), 0),
        }
    }

    /// Statistics of a challenger that is judged at errors up to `error`.
    fn measure(&self, shared: &Shared, number: u64, error: f64) -> Statistics {
        let challenger = shared.challenger(number);
        let (difference, standard_error) =
            Influences::of(&challenger).difference_from(&shared.champion);
        if difference > 0.8 * self.critical(error) * standard_error {
            let holdout = Holdout {
                challenger,
                ..shared.holdout.clone()
            };
            return drawn(&holdout, shared.run);
        }
        let mut statistics = self.template.clone();
        let primary = &mut statistics.metrics[0];
        primary.difference = Some(difference);
        primary.standard_error = Some(standard_error);
        // Larger than that of any challenger that is drawn, so that Holm comes to those first.
        primary.p_values.insert(IntervalKind::NormalT, 0.5);
        statistics
    }

    /// Student's position at `error`, as the interval of a standard error of 1 about 0 shows it.
    fn critical(&self, error: f64) -> f64 {
        let mut statistics = self.template.clone();
        statistics.metrics[0].difference = Some(0.0);
        statistics.metrics[0].standard_error = Some(1.0);
        judge(&statistics, &[], error).metrics[0].high.unwrap()
    }
}

/// DeLong's influences of unweighted rows without ties, the first [`POSITIVES`] of which are positive.
struct Influences {
    roc_auc: f64,
    by_row: Vec<f64>,
}

impl Influences {
    fn of(scores: &[f64]) -> Self {
        let (positives, negatives) = (POSITIVES as f64, (ROWS - POSITIVES) as f64);
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_unstable_by(|&left, &right| scores[left].total_cmp(&scores[right]));
        let (mut positives_below, mut negatives_below) = (0.0, 0.0);
        let mut by_row = vec![0.0; scores.len()];
        let mut roc_auc = 0.0;
        for row in order {
            if row < POSITIVES {
                by_row[row] = negatives_below / negatives;
                roc_auc += by_row[row] / positives;
                positives_below += 1.0;
            } else {
                by_row[row] = 1.0 - positives_below / positives;
                negatives_below += 1.0;
            }
        }
        Self { roc_auc, by_row }
    }

    /// The difference from the champion's ROC AUC and its standard error.
    fn difference_from(&self, champion: &Self) -> (f64, f64) {
        let difference = self.roc_auc - champion.roc_auc;
        let variance_of = |rows: std::ops::Range<usize>| {
            let number = rows.len() as f64;
            let squares: f64 = rows
                .map(|row| (self.by_row[row] - champion.by_row[row] - difference).powi(2))
                .sum();
            squares / (number - 1.0) / number
        };
        let variance = variance_of(0..POSITIVES) + variance_of(POSITIVES..ROWS);
        (difference, variance.sqrt())
    }
}

/// Rows of a holdout without clusters, the first of which are positive.
const ROWS: usize = 20_000;
const POSITIVES: usize = 200;

/// `sqrt(2)` times the normal quantile of the areas used here.
fn shift(roc_auc: f64) -> f64 {
    match roc_auc {
        0.9 => 1.812_387_6,
        0.92 => 1.987_077_2,
        _ => f64::NAN,
    }
}

fn independent(challenger: f64, seed: u64) -> Holdout {
    let mut stream = Stream::new(seed, &[1]);
    let mut holdout = Holdout::default();
    for row in 0..ROWS {
        let label = u8::from(row < POSITIVES);
        let (first, second) = (stream.normal(), stream.normal());
        holdout.labels.push(label);
        holdout.champion.push(first + shift(0.9) * f64::from(label));
        holdout
            .challenger
            .push(0.9 * first + 0.19_f64.sqrt() * second + shift(challenger) * f64::from(label));
    }
    holdout
}

/// Rows of a customer have one label and share half of the variance of their scores.
fn clustered(seed: u64, name_clusters: bool) -> Holdout {
    let mut stream = Stream::new(seed, &[2]);
    let mut holdout = Holdout::default();
    let mut clusters = Vec::new();
    for customer in 0..200_u64 {
        let label = u8::from(customer < 60);
        let shared = [stream.normal(), stream.normal()];
        for _ in 0..20 {
            let own = [stream.normal(), stream.normal()];
            let score = |model: usize| {
                0.5_f64.sqrt() * (shared[model] + own[model]) + shift(0.9) * f64::from(label)
            };
            holdout.labels.push(label);
            holdout.champion.push(score(0));
            holdout.challenger.push(score(1));
            clusters.push(customer);
        }
    }
    holdout.clusters = name_clusters.then_some(clusters);
    holdout
}
