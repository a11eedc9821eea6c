//! The live view of a run: what fits on the terminal, the most interesting first.

use super::print::harmless;
use super::progress::{Snapshot, ready_message, retrain_message, row, table};
use kube::ResourceExt;
use podium_api::{TUNING_JOB_LABEL, Trial, TuningJob};
use podium_core::significant::four_digits;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Trials that ended and are kept to be shown.
const LATEST: usize = 64;

/// Columns and rows of a terminal that does not tell its size.
const USUAL_SIZE: Size = Size {
    columns: 80,
    rows: 24,
};

/// How much fits on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// The size of the terminal that standard error goes to.
pub(super) fn terminal_size() -> Size {
    match rustix::termios::tcgetwinsize(std::io::stderr()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => Size {
            columns: usize::from(size.ws_col),
            rows: usize::from(size.ws_row),
        },
        _ => USUAL_SIZE,
    }
}

/// The trials that may be shown: those that go on, the best of each search, and the latest that ended.
#[derive(Debug, Default)]
pub(super) struct LiveTrials {
    open: BTreeMap<(String, i32), Arc<Trial>>,
    ended: VecDeque<Arc<Trial>>,
    succeeded: BTreeMap<String, Arc<Trial>>,
}

impl LiveTrials {
    /// Takes in trials that changed.
    pub(super) fn take_in(&mut self, changed: Vec<Arc<Trial>>) {
        for trial in changed {
            let status = trial.status.as_ref();
            let key = (trial.name_any(), trial.spec.index);
            if status.is_none_or(|status| status.completion_time.is_none()) {
                self.open.insert(key, trial);
                continue;
            }
            self.open.remove(&key);
            self.ended.push_back(Arc::clone(&trial));
            if self.ended.len() > LATEST {
                self.ended.pop_front();
            }
            if status.is_some_and(|status| status.objective.is_some()) {
                self.succeeded.insert(trial.name_any(), trial);
            }
        }
    }

    /// At most `rows` trials: those that go on, then the best ones, then the latest that ended.
    fn shown(&mut self, jobs: &[TuningJob], rows: usize) -> Vec<Arc<Trial>> {
        let best = |job: &TuningJob| Some(job.status.as_ref()?.best.as_ref()?.trial.clone());
        let best: Vec<String> = jobs.iter().filter_map(best).collect();
        let latest: Vec<String> = self.ended.iter().map(|trial| trial.name_any()).collect();
        // One that was neither the best nor is one of the latest may still become the best, so only names that lost are forgotten.
        if self.succeeded.len() > 2 * LATEST {
            self.succeeded
                .retain(|name, _| best.contains(name) || latest.contains(name));
        }
        // A search may be deleted with its trials while others go on.
        self.open.retain(|_, trial| {
            let search = trial.labels().get(TUNING_JOB_LABEL);
            search.is_none_or(|search| jobs.iter().any(|job| job.name_any() == *search))
        });
        let mut open: Vec<_> = self.open.values().collect();
        open.sort_by_key(|trial| trial.spec.index);
        let mut shown: Vec<Arc<Trial>> = open.into_iter().cloned().collect();
        shown.extend(
            best.iter()
                .filter_map(|name| self.succeeded.get(name).cloned()),
        );
        let latest = self.ended.iter().rev();
        shown.extend(
            latest
                .filter(|trial| !best.contains(&trial.name_any()))
                .cloned(),
        );
        shown.truncate(rows);
        shown
    }
}

/// What stands behind and below the bar: time left, the best so far, the trials that fit, and the policies.
pub(super) fn live(
    snapshot: &Snapshot,
    trials: &mut LiveTrials,
    now_ms: i64,
    size: Size,
) -> String {
    let jobs = &snapshot.jobs;
    let behind: String = jobs.iter().map(|job| time_left(job, now_ms)).collect();
    let mut lines: Vec<String> = jobs
        .iter()
        .filter_map(|job| job.status.as_ref()?.best.as_ref())
        .map(|best| format!("best {} ({})", four_digits(best.objective), best.trial))
        .collect();
    for policy in &snapshot.policies {
        let said = [ready_message(policy), retrain_message(policy)];
        let said = said.into_iter().flatten();
        lines.extend(said.map(|message| format!("{}: {message}", policy.name_any())));
    }
    // The bar, the heading and the cursor need a line each; the trials come before what is said of policies.
    let for_all = size.rows.saturating_sub(3);
    lines.truncate(for_all.div_ceil(2));
    let shown = trials.shown(jobs, for_all.saturating_sub(lines.len()));
    if !shown.is_empty() {
        let mut table = table(&["TRIAL", "PHASE", "OBJECTIVE", "DURATION", "PARAMETERS"]);
        for trial in shown {
            table.add_row(row(&trial, now_ms));
        }
        lines.splice(0..0, table.to_string().lines().map(str::to_string));
    }
    let mut text = harmless(&behind);
    for line in lines {
        text.push('\n');
        text.push_str(&cut(&harmless(&line.replace('\n', " ")), size.columns));
    }
    text
}

/// The line as far as it fits; an ellipsis tells that it goes on.
fn cut(line: &str, columns: usize) -> String {
    if line.chars().count() <= columns {
        return line.to_string();
    }
    let kept: String = line.chars().take(columns.saturating_sub(1)).collect();
    format!("{kept}…")
}

fn time_left(job: &TuningJob, now_ms: i64) -> String {
    let estimated = job
        .status
        .as_ref()
        .and_then(|status| status.estimated_completion_time.as_ref());
    match estimated {
        Some(at) => {
            let seconds = (at.0.as_millisecond() - now_ms).max(0) / 1000;
            format!(", about {} left", duration(seconds))
        }
        None => String::new(),
    }
}

pub(super) fn duration(seconds: i64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h{minutes:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_api::TrialSpec;
    use serde_json::json;

    fn trial(index: i32, phase: &str, objective: Option<f64>) -> Arc<Trial> {
        let spec: TrialSpec = serde_json::from_value(json!({
            "index": index, "parameters": {"x": "a".repeat(200)}, "seed": 1, "origin": "Random",
        }))
        .unwrap();
        let mut trial = Trial::new(&format!("toy-{index}"), spec);
        let ended = (phase != "Running").then_some("2026-11-26T10:00:00Z");
        let status = json!({"phase": phase, "objective": objective, "completionTime": ended});
        trial.status = Some(serde_json::from_value(status).unwrap());
        Arc::new(trial)
    }

    fn names(shown: &[Arc<Trial>]) -> Vec<String> {
        shown.iter().map(|trial| trial.name_any()).collect()
    }

    fn search(best: &str) -> TuningJob {
        serde_json::from_value(json!({
            "apiVersion": "podium.dev/v1alpha1", "kind": "TuningJob", "metadata": {"name": "toy"},
            "spec": {"maxTrials": 100, "objective": {"direction": "Minimize", "metric": "loss"}, "parameters": [], "trial": {}},
            "status": {"best": {"trial": best, "objective": 1e-9, "parameters": {}}},
        }))
        .unwrap()
    }

    #[test]
    fn running_trials_come_first_then_the_best_then_the_latest() {
        let mut trials = LiveTrials::default();
        trials.take_in((1..=20).map(|i| trial(i, "Succeeded", Some(1.0))).collect());
        trials.take_in(vec![trial(21, "Running", None), trial(22, "Running", None)]);
        let shown = trials.shown(&[search("toy-3")], 5);
        assert_eq!(
            names(&shown),
            ["toy-21", "toy-22", "toy-3", "toy-20", "toy-19"]
        );
        trials.take_in(vec![trial(21, "Failed", None)]);
        let shown = trials.shown(&[search("toy-3")], 3);
        assert_eq!(names(&shown), ["toy-22", "toy-3", "toy-21"]);
    }

    #[test]
    fn nothing_is_wider_or_higher_than_the_terminal() {
        let mut trials = LiveTrials::default();
        trials.take_in((1..=40).map(|i| trial(i, "Running", None)).collect());
        let snapshot = Snapshot {
            jobs: vec![search("toy-3")],
            ..Snapshot::default()
        };
        for (columns, rows) in [(80, 24), (20, 5), (300, 60), (1, 1)] {
            let text = live(&snapshot, &mut trials, 0, Size { columns, rows });
            let lines: Vec<&str> = text.lines().skip(1).collect();
            assert!(lines.len() < rows.max(3), "{rows}: {text}");
            assert!(lines.iter().all(|line| line.chars().count() <= columns));
        }
    }
}
