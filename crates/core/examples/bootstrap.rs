//! Time of one comparison on one core, as one line of JSON: `bootstrap [ROWS] [RESAMPLES]`.
//!
//! Rows are those of `gen_data.py` in spirit: correlated binormal scores, 1% positives, weights that vary within a class.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)] // A measurement, not a product.

use podium_core::comparison::{Holdout, Settings, compare};
use podium_core::metrics::Metric;
use podium_core::random::Stream;
use std::time::Instant;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let rows: usize = arguments
        .next()
        .map_or(100_000, |text| text.parse().expect("ROWS must be a number"));
    let resamples: u32 = arguments.next().map_or(2_000, |text| {
        text.parse().expect("RESAMPLES must be a number")
    });
    let holdout = holdout(rows);
    let settings = Settings {
        resamples,
        observed: vec![Metric::Accuracy, Metric::F1],
        ..Settings::default()
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    let began = Instant::now();
    let comparison = pool.install(|| compare(&holdout, &settings, 7)).unwrap();
    let seconds = began.elapsed().as_secs_f64();
    let drawn = f64::from(comparison.statistics.resamples);
    println!(
        "{{\"peer\": \"podium\", \"n\": {rows}, \"B\": {drawn}, \"wall_s\": {seconds:.4}, \"s_per_resample\": {:.3e}, \"row_resamples_per_s\": {:.3e}}}",
        seconds / drawn,
        rows as f64 * drawn / seconds
    );
}

fn holdout(rows: usize) -> Holdout {
    let mut stream = Stream::new(20_240_607, &[]);
    let mut holdout = Holdout::default();
    let mut weights = Vec::with_capacity(rows);
    let probability =
        |score: f64, mean: f64| 1.0 / (1.0 + (-(mean * score - 0.5 * mean * mean)).exp());
    for _ in 0..rows {
        let label = u8::from(stream.uniform() < 0.01);
        let (first, second) = (stream.normal(), stream.normal());
        let (champion, challenger) = (1.812, 1.896);
        let shared = 0.9 * first + (1.0_f64 - 0.81).sqrt() * second;
        holdout.labels.push(label);
        holdout
            .champion
            .push(probability(first + champion * f64::from(label), champion));
        holdout.challenger.push(probability(
            shared + challenger * f64::from(label),
            challenger,
        ));
        let of_class = if label == 1 { 50.0 } else { 0.505 };
        weights.push(of_class * (0.5 * stream.normal() - 0.125).exp());
    }
    holdout.weights = Some(weights);
    holdout
}
