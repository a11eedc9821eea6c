//! What the operator counts, under the names that dashboards expect.

use http::Method;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use std::time::Duration;

/// Seconds; a reconcile takes milliseconds, one that waits for a slow API server seconds.
const DURATIONS: [f64; 9] = [0.001, 0.005, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// Seconds; trials take from seconds to a day.
const TRIAL_DURATIONS: [f64; 10] = [
    1.0, 10.0, 60.0, 300.0, 900.0, 3_600.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0,
];

/// Labels as pairs, in a fixed order.
type Labels = Vec<(&'static str, String)>;

/// All counts of one operator.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reconciles: Family<Labels, Counter>,
    durations: Family<Labels, Histogram>,
    requests: Family<Labels, Counter>,
    desyncs: Family<Labels, Counter>,
    watch_failures: Family<Labels, Counter>,
    queue: Family<Labels, Gauge>,
    trials: Family<Labels, Counter>,
    trial_durations: Family<Labels, Histogram>,
    suggestion_durations: Family<Labels, Histogram>,
    trials_running: Gauge,
    leader: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("podium");
        let metrics = Self {
            reconciles: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            requests: Family::default(),
            desyncs: Family::default(),
            watch_failures: Family::default(),
            queue: Family::default(),
            trials: Family::default(),
            trial_durations: Family::new_with_constructor(|| Histogram::new(TRIAL_DURATIONS)),
            suggestion_durations: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            trials_running: Gauge::default(),
            leader: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register(
            "reconcile",
            "Reconciles, by kind and result",
            metrics.reconciles.clone(),
        );
        registry.register(
            "reconcile_duration_seconds",
            "How long reconciles took, by kind",
            metrics.durations.clone(),
        );
        registry.register(
            "api_requests",
            "Requests to the API server, by verb, resource and HTTP status",
            metrics.requests.clone(),
        );
        registry.register(
            "watch_desyncs",
            "How often a watch had to list anew, by kind",
            metrics.desyncs.clone(),
        );
        registry.register(
            "watch_failures",
            "How often a watch was interrupted or refused, by kind",
            metrics.watch_failures.clone(),
        );
        registry.register(
            "workqueue_depth",
            "Objects that wait for a reconcile, by kind",
            metrics.queue.clone(),
        );
        registry.register(
            "trials",
            "Trials that ended, by outcome",
            metrics.trials.clone(),
        );
        registry.register(
            "trial_duration_seconds",
            "How long trials took from the start of their first run to their end, by outcome",
            metrics.trial_durations.clone(),
        );
        registry.register(
            "suggestion_duration_seconds",
            "How long it took to suggest the next trials of a search, by algorithm",
            metrics.suggestion_durations.clone(),
        );
        registry.register(
            "trials_running",
            "Trials that run now",
            metrics.trials_running.clone(),
        );
        registry.register(
            "leader",
            "1 while this operator leads, else 0",
            metrics.leader.clone(),
        );
        let build = [("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "The version of this operator", Info::new(build));
        Self {
            registry,
            ..metrics
        }
    }
}

impl Metrics {
    /// A reconcile of an object of `kind` ended after `took`.
    pub fn reconciled(&self, kind: &str, result: &'static str, took: Duration) {
        let kind = ("kind", kind.to_string());
        self.durations
            .get_or_create(&vec![kind.clone()])
            .observe(took.as_secs_f64());
        self.reconciles
            .get_or_create(&vec![kind, ("result", result.to_string())])
            .inc();
    }

    /// A request was answered with `code`, or `error` without an answer.
    pub fn request(&self, method: &Method, resource: String, code: String) {
        let labels = [
            ("verb", method.as_str().to_string()),
            ("resource", resource),
            ("code", code),
        ];
        self.requests.get_or_create(&labels.into()).inc();
    }

    /// A watch of `kind` lists anew.
    pub fn desync(&self, kind: String) {
        self.desyncs.get_or_create(&vec![("kind", kind)]).inc();
    }

    /// A watch of `kind` was interrupted or refused.
    pub fn watch_failed(&self, kind: &str) {
        let labels = vec![("kind", kind.to_string())];
        self.watch_failures.get_or_create(&labels).inc();
    }

    /// So many more objects of `kind` wait for a reconcile.
    pub fn queue_changed(&self, kind: &str, more: i64) {
        let labels = vec![("kind", kind.to_string())];
        self.queue.get_or_create(&labels).inc_by(more);
    }

    /// An event with this reason was told, of something that had taken so long.
    pub fn happened(&self, reason: &str, took: Option<Duration>) {
        let outcome = match reason {
            "TrialSucceeded" => "succeeded",
            "TrialFailed" => "failed",
            "TrialInfeasible" => "infeasible",
            "TrialStopped" => "stopped_early",
            "TrialRetried" => "retried",
            _ => return,
        };
        let labels = vec![("outcome", outcome.to_string())];
        self.trials.get_or_create(&labels).inc();
        if let Some(took) = took {
            self.trial_durations
                .get_or_create(&labels)
                .observe(took.as_secs_f64());
        }
    }

    /// `algorithm` suggested the next trials of a search.
    pub fn suggested(&self, algorithm: &str, took: Duration) {
        self.suggestion_durations
            .get_or_create(&vec![("algorithm", algorithm.to_string())])
            .observe(took.as_secs_f64());
    }

    /// Whether this operator leads.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// Everything as text, with so many trials running now.
    #[must_use]
    pub fn text(&self, trials_running: usize) -> String {
        self.trials_running
            .set(i64::try_from(trials_running).unwrap_or(i64::MAX));
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_the_dashboards() {
        let metrics = Metrics::default();
        metrics.reconciled("TuningJob", "success", Duration::from_millis(3));
        metrics.request(&Method::POST, "trials".to_string(), "201".to_string());
        metrics.happened("TrialSucceeded", Some(Duration::from_secs(7)));
        metrics.happened("TrialRetried", None);
        metrics.happened("RunStarted", None);
        metrics.suggested("Hyperopt", Duration::from_millis(2));
        metrics.desync("Trial".to_string());
        metrics.watch_failed("trials");
        metrics.leads(true);
        let text = metrics.text(4);
        for line in [
            "podium_reconcile_total{kind=\"TuningJob\",result=\"success\"} 1",
            "podium_reconcile_duration_seconds_count{kind=\"TuningJob\"} 1",
            "podium_api_requests_total{verb=\"POST\",resource=\"trials\",code=\"201\"} 1",
            "podium_trials_total{outcome=\"succeeded\"} 1",
            "podium_trials_total{outcome=\"retried\"} 1",
            "podium_trial_duration_seconds_sum{outcome=\"succeeded\"} 7.0",
            "podium_trial_duration_seconds_bucket{le=\"10.0\",outcome=\"succeeded\"} 1",
            "podium_suggestion_duration_seconds_count{algorithm=\"Hyperopt\"} 1",
            "podium_trials_running 4",
            "podium_leader 1",
            "podium_watch_desyncs_total{kind=\"Trial\"} 1",
            "podium_watch_failures_total{kind=\"trials\"} 1",
            "podium_build_info{version=",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
