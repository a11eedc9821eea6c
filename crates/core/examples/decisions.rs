//! How often the comparison decides rightly: `decisions [REPLICATIONS]`, one line of text per case.
//!
//! Scores are binormal with correlation 0.9 between the models; the area under the curve is known exactly.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)] // A measurement, not a product.

use podium_core::comparison::{Comparison, Holdout, Outcome, Settings, compare};
use podium_core::random::Stream;
use rayon::prelude::*;

fn main() {
    let replications: u64 = std::env::args().nth(1).map_or(1000, |text| {
        text.parse().expect("REPLICATIONS must be a number")
    });
    let settings = Settings::default();
    let few = Settings {
        minimum_positives: 20.0,
        ..Settings::default()
    };
    report(
        "null, 200 positives in 20,000 rows",
        0.0,
        replications,
        |seed| compare(&independent(0.9, seed), &settings, seed).unwrap(),
    );
    report(
        "+0.02, 200 positives in 20,000 rows",
        0.02,
        replications,
        |seed| compare(&independent(0.92, seed), &settings, seed).unwrap(),
    );
    report(
        "null, 200 customers x 20 rows, clustered",
        0.0,
        replications,
        |seed| compare(&clustered(seed, true), &few, seed).unwrap(),
    );
    report(
        "null, 200 customers x 20 rows, as rows",
        0.0,
        replications,
        |seed| compare(&clustered(seed, false), &few, seed).unwrap(),
    );
}

/// Shares of replications, in percent.
fn report(
    name: &str,
    truth: f64,
    replications: u64,
    comparison: impl Fn(u64) -> Comparison + Sync + Send,
) {
    let found: Vec<Comparison> = (0..replications).into_par_iter().map(comparison).collect();
    let share = |holds: &dyn Fn(&Comparison) -> bool| {
        100.0 * found.iter().filter(|one| holds(one)).count() as f64 / replications as f64
    };
    println!(
        "{name}: better {:.1}%, worse {:.1}%, interval holds the truth {:.1}%",
        share(&|one| one.metrics[0].outcome == Outcome::Better),
        share(&|one| one.metrics[0].outcome == Outcome::Worse),
        share(&|one| one.metrics[0].low.unwrap() <= truth && truth <= one.metrics[0].high.unwrap()),
    );
}

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
    for row in 0..20_000 {
        let label = u8::from(row < 200);
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
