//! What an operator of many policies needs while these compare: their pods are ended by a stub, and say what the real program found.

use crate::bed::manifests::champion_policy;
use crate::bed::mlflow::Mlflow;
use crate::bed::operator::program;
use crate::bed::{Bed, on_bed};
use crate::mlflow_registry::mlflow_registry;
use crate::registry::{Log, POLICIES, Who, forget_models, model_of, settled_policies, way};
use crate::stub_kubelet::{NO_SCHEDULER, StubKubelet};
use crate::{figure, memory_mib, resident_mib};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use podium_api::Evaluation;
use podium_api::evaluation::{EvaluationSpec, EvaluationStatus};
use podium_operator::ports::{AliasUpdate, ModelRegistry as _};
use podium_operator::runs::evaluation_message::{Outcome, decode, encode};
use podium_operator::runs::evaluation_runner::{COMPARE, QUESTION_VARIABLE};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Comparisons that are asked for in a minute.
const PER_MINUTE: usize = 50;
/// For so many minutes, unless the variable says otherwise: what an hour leaves in the caches takes an hour to be seen.
const MINUTES: usize = 3;
const MINUTES_VARIABLE: &str = "PODIUM_FIGURE_MINUTES";
/// How long a pod runs.
const RUNS_FOR: Duration = Duration::from_secs(5);

fn minutes() -> usize {
    let given = std::env::var(MINUTES_VARIABLE);
    given.map_or(MINUTES, |minutes| minutes.parse().unwrap())
}

/// A policy whose comparisons no kubelet runs.
fn policy(number: usize, model: &str) -> Value {
    let mut policy = champion_policy(&format!("p{number}"), model);
    let spec = &mut policy["spec"];
    spec["challengers"] = json!({"alias": {}});
    spec["evidence"]["store"] = json!({
        "endpoint": "https://s3.example.com", "region": "eu-central-1", "pathStyle": true,
        "credentialsSecretRef": {"name": "object-store"},
    });
    spec["evidence"]["evaluator"] = json!({"podTemplate": {"spec": {
        "schedulerName": NO_SCHEDULER,
        "containers": [{"name": "evaluator", "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}}}],
    }}});
    policy
}

/// Predictions that tell the labels apart as well as `signal` says, with a noise of their own for each `step`.
fn predictions(signal: f64, step: u32) -> String {
    let line = |row: u32| {
        let (label, noise) = (
            u32::from(row.is_multiple_of(3)),
            f64::from(row * step % 97) / 97.0,
        );
        let score = signal * f64::from(label) + (1.0 - signal) * noise;
        format!("{row},{label},{score}\n")
    };
    let lines: String = (0..900).map(line).collect();
    format!("id,label,score\n{lines}")
}

/// What the program finds when it compares a challenger of so much signal with a champion of a quarter.
fn found(folder: &Path, signal: f64) -> Outcome {
    let file = |name: &str, content: String| {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let question = json!({
        "policyRef": {"name": "any"}, "model": "any",
        "champion": {"version": "1", "predictions": file("champion.csv", predictions(0.25, 31))},
        "challenger": {"version": "2", "predictions": file("challenger.csv", predictions(signal, 53))},
        "columns": {"id": "id", "label": "label", "score": "score"},
        "test": {"primary": {"metric": "rocAuc"}}, "rowsNoun": "rows",
    });
    let question = question.to_string();
    let message = folder.join("message");
    let done = Command::new(program())
        .args(COMPARE)
        .env(QUESTION_VARIABLE, &question)
        .env("PODIUM_TERMINATION_MESSAGE_PATH", &message)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    let spec: EvaluationSpec = serde_json::from_str(&question).unwrap();
    let message = std::fs::read_to_string(message).unwrap();
    let outcome = decode(&question, &spec, Some(&message)).unwrap();
    assert!(matches!(outcome, Outcome::Compared(_)), "{outcome:?}");
    outcome
}

/// What a pod is asked. Kubernetes makes one `$` of two.
fn question_of(pod: &Pod) -> Option<String> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut variables = containers.flat_map(|container| container.env.iter().flatten());
    let question = variables.find(|variable| variable.name == QUESTION_VARIABLE)?;
    Some(question.value.as_ref()?.replace("$$", "$"))
}

/// The message of a pod: one model of five has a better challenger, and those of the others are worse than their champions.
fn message_of(pod: &Pod, better: &Outcome, worse: &Outcome) -> String {
    // What an earlier figure left waiting is asked nothing.
    let Some(question) = question_of(pod) else {
        return String::new();
    };
    let spec: EvaluationSpec = serde_json::from_str(&question).unwrap();
    let is_better = spec.model.ends_with(['0', '5']);
    encode(&question, if is_better { better } else { worse })
}

/// The comparisons that have ended.
async fn ended(bed: &Bed) -> Vec<EvaluationStatus> {
    let all = bed.api::<Evaluation>().list(&ListParams::default()).await;
    let all = all.map_or_else(|_| Vec::new(), |list| list.items);
    let all = all.into_iter().filter_map(|evaluation| evaluation.status);
    all.filter(|status| status.completion_time.is_some())
        .collect()
}

/// How many ended in a minute.
fn per_minute(ended: &[EvaluationStatus]) -> f64 {
    let times = ended.iter().filter_map(|status| {
        let time = status.completion_time.as_ref()?;
        Some(time.0.as_second())
    });
    let times: Vec<i64> = times.collect();
    let first = times.iter().min().copied().unwrap_or_default();
    let last = times.iter().max().copied().unwrap_or_default();
    60.0 * times.len() as f64 / (last - first).max(1) as f64
}

#[test]
fn fifty_comparisons_a_minute_of_five_hundred_policies() {
    let total = PER_MINUTE * minutes();
    on_bed("figures-compare", async |bed| {
        let (better, worse) = (found(&bed.directory(), 0.5), found(&bed.directory(), 0.05));
        let log = Log::default();
        let url = way(Who::Operator, &log).await;
        // The first one is champion, and each round through all models has one more challenger.
        let versions = |number: usize| 1 + total.saturating_sub(number).div_ceil(POLICIES);
        let comparing = |number: usize| policy(number, &model_of(&bed, number));
        let (operator, _) = settled_policies(&bed, &url, versions, comparing).await;
        let said = move |pod: &Pod| message_of(pod, &better, &worse);
        let kubelet = StubKubelet::saying(bed.client.clone(), RUNS_FOR, said);
        let people = mlflow_registry(&Mlflow::of_testbed().url);
        let idle = resident_mib(&operator);
        log.lock().unwrap().clear();
        let began = Instant::now();
        for number in 0..total {
            let due = Duration::from_secs(60) * number as u32 / PER_MINUTE as u32;
            tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
            let (model, round) = (model_of(&bed, number % POLICIES), number / POLICIES);
            let before = (round > 0).then(|| (round + 1).to_string());
            let version = (round + 2).to_string();
            let moved = people.move_alias(&model, "challenger", before.as_deref(), Some(&version));
            assert_eq!(moved.await.unwrap(), AliasUpdate::Done, "{model}");
        }
        let mut all = Vec::new();
        bed.wait(300, "all comparisons have ended", async || {
            tokio::time::sleep(Duration::from_secs(2)).await;
            all = ended(&bed).await;
            all.len() == total
        })
        .await;
        let took = began.elapsed().as_secs_f64();
        let requests = log.lock().unwrap().len() as f64 / took;
        drop(kubelet);
        let judged = |verdict: &str| {
            let with = all.iter().filter(|s| s.verdict.as_deref() == Some(verdict));
            with.count()
        };
        let now = resident_mib(&operator);
        figure(
            "500 policies of one server that compare 50 times a minute",
            &format!(
                "{total} comparisons, {:.0} ended in a minute, {} Superior and {} Inferior; {requests:.1} requests a second to MLflow; \
                 resident memory {idle:.1} MiB before, {now:.1} after, {:.1} MiB at most; {:.1} KiB for each, whose Job and pod stay for an hour",
                per_minute(&all),
                judged("Superior"),
                judged("Inferior"),
                memory_mib(&operator, "VmHWM"),
                (now - idle) * 1024.0 / total as f64
            ),
        );
        drop(operator);
        forget_models(&bed);
    });
}
