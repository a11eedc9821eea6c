//! One measurement is judged at any error, and its progress can be watched.

use super::*;
use podium_core::comparison::{Guardrail, Method, SeparateIntervals, Verdict};
use podium_core::metrics::Metric;

/// Files whose challenger is a little better.
fn better() -> Files {
    let files = Files::new();
    files.write_challenger(|rows| {
        for row in rows.iter_mut().filter(|row| row[1] == "1") {
            let score: f64 = row[4].parse().unwrap();
            row[4] = (score + 0.1).to_string();
        }
    });
    files
}

#[test]
fn the_error_that_is_allowed_decides_and_the_statistics_stay() {
    let files = better();
    let request = files.request();
    let judged = |allowed| evaluate(&LocalFiles, &request, allowed, &mut |_, _| {}).unwrap();
    let usual = judged(None);
    assert_eq!(usual.comparison.allowed_error, 0.5 * (1.0 - 0.95));
    assert_eq!(usual.comparison.verdict, Verdict::Superior);
    let p_value = usual.comparison.metrics[0].p_value.unwrap();
    let strict = judged(Some(0.5 * p_value));
    assert_eq!(strict.comparison.verdict, Verdict::Inconclusive);
    assert_eq!(strict.comparison.statistics, usual.comparison.statistics);
    assert_eq!(strict.evidence, usual.evidence);
}

#[test]
fn evidence_can_be_read_first_and_measured_later() {
    let files = better();
    let request = files.request();
    let (holdout, evidence) = read_evidence(&LocalFiles, &request).unwrap();
    // What happens to the files meanwhile changes nothing.
    files.write("challenger.csv", "id,y\n");
    let statistics = measure(&request, &holdout, &evidence, &mut |_, _| {}).unwrap();
    files.write_challenger(|_| {});
    assert_ne!(
        files.evaluate(&request).comparison.statistics.metrics,
        statistics.metrics
    );
    let again = better();
    assert_eq!(
        again.evaluate(&again.request()).comparison.statistics,
        statistics
    );
}

#[test]
fn progress_is_told_until_every_resample_is_drawn() {
    let files = better();
    let mut calls = Vec::new();
    let evaluated = evaluate(&LocalFiles, &files.request(), None, &mut |done, wanted| {
        calls.push((done, wanted));
    });
    let drawn = evaluated.unwrap().comparison.statistics.resamples;
    assert!(calls.is_sorted(), "{calls:?}");
    assert!(calls.iter().all(|(done, wanted)| done <= wanted));
    assert_eq!(calls.last(), Some(&(drawn, drawn)));
}

#[test]
fn separate_intervals_refuse_what_they_do_not_read() {
    let files = better();
    let mut request = files.request();
    request.settings.method = Method::SeparateIntervals(SeparateIntervals::default());
    request.settings.guardrails = vec![Guardrail {
        metric: Metric::F1,
        slice: None,
        max_regression: 0.1,
    }];
    assert_eq!(
        files.refusal(&request),
        "separate intervals must have no guardrails: they do not read them"
    );
    request.settings.guardrails.clear();
    request.settings.observed = vec![Metric::F1];
    assert_eq!(
        files.refusal(&request),
        "separate intervals must have no observed metrics: they do not read them"
    );
}
