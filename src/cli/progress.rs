//! Showing what goes on: bars and a live table on a terminal, plain lines elsewhere.

use super::live_trials::{LiveTrials, duration, live, terminal_size};
use super::print::harmless;
use crate::local::agenda::Key;
use crate::local::scope::Scope;
use crate::ports::{Cluster, Object, PortError};
use comfy_table::Table;
use indicatif::{ProgressBar, ProgressStyle};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use podium_api::schema::Conditions;
use podium_api::{ChampionPolicy, Evaluation, TUNING_JOB_LABEL, Trial, TuningJob};
use podium_core::significant::four_digits;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

/// A bar on standard error for a count of things; nothing where that is no terminal.
pub(super) fn bar(noun: &'static str) -> ProgressBar {
    let template = format!("{{bar:40}} {noun} {{pos}} of {{len}}, {{eta}} left");
    let style =
        ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

/// A table without lines, as kubectl prints them.
pub(super) fn table(headers: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(headers.iter().map(ToString::to_string).collect::<Vec<_>>());
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    table
}

/// What people follow besides the trials, at one moment.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub(super) jobs: Vec<TuningJob>,
    pub(super) policies: Vec<ChampionPolicy>,
    pub(super) evaluations: Vec<Evaluation>,
}

impl Snapshot {
    /// Everything that `scope` covers.
    pub(super) async fn take(cluster: &impl Cluster, scope: &Scope) -> Result<Self, PortError> {
        Ok(Self {
            jobs: covered(cluster, scope).await?,
            policies: covered(cluster, scope).await?,
            evaluations: covered(cluster, scope).await?,
        })
    }
}

async fn covered<K: Object>(cluster: &impl Cluster, scope: &Scope) -> Result<Vec<K>, PortError> {
    let mut objects = cluster.list::<K>().await?;
    objects.retain(|object| scope.covers(object));
    Ok(objects)
}

fn job_of(trial: &Trial) -> String {
    trial
        .labels()
        .get(TUNING_JOB_LABEL)
        .cloned()
        .unwrap_or_default()
}

/// Shows snapshots as they come.
pub(super) enum Progress {
    Terminal(ProgressBar, LiveTrials),
    Lines(Said),
}

impl Progress {
    /// A live view on a terminal, plain lines elsewhere.
    pub(super) fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines(Said::default());
        }
        let style =
            ProgressStyle::with_template("{bar:40} {pos} of {len} trials, {elapsed} so far{msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(0).with_style(style);
        bar.enable_steady_tick(Duration::from_millis(500));
        Self::Terminal(bar, LiveTrials::default())
    }

    /// Shows what holds now; `changed` are the trials that were written since the last call.
    pub(super) fn show(&mut self, snapshot: &Snapshot, mut changed: Vec<Arc<Trial>>, now_ms: i64) {
        changed.sort_by_key(|trial| (job_of(trial), trial.spec.index));
        match self {
            Self::Terminal(bar, trials) => {
                trials.take_in(changed);
                let wanted: i32 = snapshot.jobs.iter().map(|job| job.spec.max_trials).sum();
                let counted = snapshot
                    .jobs
                    .iter()
                    .filter_map(|job| job.status.as_ref()?.trials);
                let done: i32 = counted
                    .map(|t| t.succeeded + t.stopped_early + t.infeasible + t.failed)
                    .sum();
                bar.set_length(u64::try_from(wanted).unwrap_or(0));
                bar.set_position(u64::try_from(done).unwrap_or(0));
                bar.set_message(live(snapshot, trials, now_ms, terminal_size()));
            }
            Self::Lines(said) => {
                for line in said.news(snapshot, &changed, now_ms) {
                    println!("{line}");
                }
            }
        }
    }

    /// Says at once what keeps an object from being carried out.
    pub(super) fn failed(&self, key: &Key, why: &str) {
        match self {
            Self::Terminal(bar, _) => bar.println(harmless(&format!("{}: {why}", key.name))),
            Self::Lines(_) => println!("{}: {why}", key.name),
        }
    }

    /// Says what became of manifests.
    pub(super) fn note(&self, lines: &[String]) {
        for line in lines {
            match self {
                Self::Terminal(bar, _) => bar.println(harmless(line)),
                Self::Lines(_) => eprintln!("{line}"),
            }
        }
    }

    pub(super) fn finish(&self) {
        if let Self::Terminal(bar, _) = self {
            bar.finish_and_clear();
        }
    }
}

pub(super) fn row(trial: &Trial, now_ms: i64) -> Vec<String> {
    let status = trial.status.clone().unwrap_or_default();
    let running = || {
        let since = status.start_time.as_ref()?.0.as_millisecond();
        Some(duration((now_ms - since).max(0) / 1000))
    };
    vec![
        trial.name_any(),
        status.phase.clone().unwrap_or_default(),
        status.objective.map(four_digits).unwrap_or_default(),
        status.duration.clone().or_else(running).unwrap_or_default(),
        status
            .parameters_text
            .clone()
            .unwrap_or_else(|| parameters(trial)),
    ]
}

fn parameters(trial: &Trial) -> String {
    let words: Vec<String> = trial
        .spec
        .parameters
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    words.join(" ")
}

pub(super) fn ready_message(policy: &ChampionPolicy) -> Option<&str> {
    let ready = condition(&policy.status.as_ref()?.conditions, "Ready")?;
    Some(ready.message.as_str()).filter(|message| !message.is_empty())
}

/// Where the retraining loop of a policy is, if it is carried out.
pub(super) fn retrain_message(policy: &ChampionPolicy) -> Option<&str> {
    let status = policy.status.as_ref()?;
    let ready = condition(&status.conditions, "Ready")?;
    let retrain = status
        .retrain
        .as_ref()
        .filter(|_| ready.reason != "InvalidSpec");
    retrain?.message.as_deref()
}

/// The condition of a kind.
pub(super) fn condition<'a>(conditions: &'a Conditions, kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// What was said already, by object.
#[derive(Default)]
pub(super) struct Said(BTreeMap<String, String>);

impl Said {
    /// Lines for what changed since the last snapshot.
    fn news(&mut self, snapshot: &Snapshot, changed: &[Arc<Trial>], now_ms: i64) -> Vec<String> {
        let mut lines = Vec::new();
        for trial in changed {
            let status = trial.status.clone().unwrap_or_default();
            let phase = status.phase.clone().unwrap_or_default();
            if phase.is_empty() || phase == "Pending" {
                continue;
            }
            let cells = row(trial, now_ms);
            let line = match phase.as_str() {
                "Queued" | "Running" => format!("{} {phase}: {}", cells[0], cells[4]),
                _ => {
                    let objective = status.objective.map(|_| format!(" objective {}", cells[2]));
                    let why = status
                        .message
                        .filter(|_| phase != "Succeeded")
                        .map(|message| format!(": {message}"));
                    format!(
                        "{} {phase}{}{}{}",
                        cells[0],
                        objective.unwrap_or_default(),
                        if cells[3].is_empty() {
                            String::new()
                        } else {
                            format!(" in {}", cells[3])
                        },
                        why.unwrap_or_default()
                    )
                }
            };
            self.say(&format!("trial/{}", cells[0]), &phase, line, &mut lines);
        }
        for job in &snapshot.jobs {
            let status = job.status.clone().unwrap_or_default();
            let phase = status.phase.clone().unwrap_or_default();
            let ready = condition(&status.conditions, "Ready");
            let message = ready
                .map(|ready| ready.message.as_str())
                .unwrap_or_default();
            if !phase.is_empty() {
                let line = format!("{} {phase}: {message}", job.name_any());
                self.say(&format!("job/{}", job.name_any()), &phase, line, &mut lines);
            }
        }
        for policy in &snapshot.policies {
            if let Some(message) = ready_message(policy) {
                let line = format!("{}: {message}", policy.name_any());
                self.say(
                    &format!("policy/{}", policy.name_any()),
                    message,
                    line,
                    &mut lines,
                );
            }
            if let Some(message) = retrain_message(policy) {
                let line = format!("{}: {message}", policy.name_any());
                let what = format!("retrain/{}", policy.name_any());
                self.say(&what, message, line, &mut lines);
            }
        }
        lines
    }

    fn say(&mut self, what: &str, state: &str, line: String, lines: &mut Vec<String>) {
        if self.0.get(what).map(String::as_str) != Some(state) {
            self.0.insert(what.to_string(), state.to_string());
            lines.push(line);
        }
    }
}
