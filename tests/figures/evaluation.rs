//! What a comparison of a million rows costs where it is made: in a pod with limits, from files of an object store.

use crate::bed::forests::comparing;
use crate::bed::mlflow::Mlflow;
use crate::bed::object_store::ObjectStore;
use crate::bed::operator::program;
use crate::bed::{on_bed, run};
use crate::figure;
use crate::process::{cpu_seconds, mib};
use crate::registry::operator_of;
use kube::ResourceExt;
use kube::api::ListParams;
use podium_api::Evaluation;
use podium_operator::runs::evaluation_runner::QUESTION_VARIABLE;
use serde_json::json;
use std::time::{Duration, Instant};

/// Makes the rows; `bench/evaluation.py` measures on the same.
const MAKE_ROWS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/million_rows.sh");

/// How often a process is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// What a process had used when it was last seen.
struct Used {
    wall: Duration,
    cpu_seconds: f64,
    peak_mib: f64,
}

/// The process of this machine that compares versions of a model.
fn comparing_process(model: &str) -> Option<u32> {
    let ids = std::fs::read_dir("/proc").unwrap();
    let mut ids = ids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let (variable, asked) = (
        format!("{QUESTION_VARIABLE}={{"),
        format!("\"model\":\"{model}\""),
    );
    ids.find(|id| {
        let environment = std::fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment);
        environment.contains(&variable) && environment.contains(&asked)
    })
}

/// Looks at that process until it has ended. One in a pod is one of this machine, since the test bed's node is.
async fn used_by_comparison(model: &str) -> Used {
    let waited = Instant::now();
    let id = loop {
        if let Some(id) = comparing_process(model) {
            break id;
        }
        assert!(
            waited.elapsed() < Duration::from_secs(180),
            "no pod compares"
        );
        tokio::time::sleep(LOOK).await;
    };
    let began = Instant::now();
    let mut used = Used {
        wall: Duration::ZERO,
        cpu_seconds: 0.0,
        peak_mib: 0.0,
    };
    // One that has ended and was not waited for yet has no memory.
    while let (Some(peak), Some(cpu)) = (mib(id, "VmHWM"), cpu_seconds(id)) {
        used = Used {
            wall: began.elapsed(),
            cpu_seconds: cpu,
            peak_mib: peak,
        };
        tokio::time::sleep(LOOK).await;
    }
    used
}

#[test]
fn a_million_rows_in_a_pod() {
    on_bed("figures-evaluation", async |bed| {
        let folder = bed.directory();
        let rows = run(
            MAKE_ROWS,
            &[&program(), &folder.display().to_string()],
            None,
        );
        let rows = rows.unwrap();
        let store = ObjectStore::of_testbed(&bed);
        store.put("holdout.parquet", &folder.join("holdout.parquet"));
        for version in ["1", "2"] {
            let name = format!("v{version}.parquet");
            store.put(&format!("predictions/{name}"), &folder.join(&name));
        }
        let mlflow = Mlflow::of_testbed();
        let model = mlflow.model_with_versions(&bed.namespace, 2);
        mlflow.point(&model, "champion", "1");
        mlflow.point(&model, "challenger", "2");
        let _operator = operator_of(&bed, &mlflow.url).await;
        let mut policy = comparing(&store, "fraud", &model, "predictions");
        let spec = &mut policy["spec"];
        spec["evidence"]["evaluator"]["podTemplate"]["spec"]["containers"][0]["resources"] =
            json!({"limits": {"cpu": "1", "memory": "1Gi"}});
        spec["test"]["guardrails"] = json!([{"metric": "weightedF1", "maxRegression": 0.01}]);
        bed.apply(&policy);
        let used = used_by_comparison(&model).await;
        let mut told = None;
        bed.wait(120, "the comparison has ended", async || {
            let all = bed.api::<Evaluation>().list(&ListParams::default()).await;
            let all = all.map_or_else(|_| Vec::new(), |list| list.items);
            told = all.into_iter().find_map(|evaluation| {
                let created = evaluation.creation_timestamp()?.0;
                let status = evaluation.status?;
                let ended = status.completion_time?.0;
                let said = status.sentence.or(status.message)?;
                Some((ended.as_second() - created.as_second(), said))
            });
            told.is_some()
        })
        .await;
        let (seconds, said) = told.unwrap();
        figure(
            "a comparison of a million rows of an object store, in a pod of 1 CPU and 1Gi",
            &format!(
                "{:.1} s, {:.1} s of it computed, {:.0} MiB at most; {seconds} s from the Evaluation to its verdict; {rows}; {said}",
                used.wall.as_secs_f64(),
                used.cpu_seconds,
                used.peak_mib
            ),
        );
    });
}
